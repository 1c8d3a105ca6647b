"""Chat templates of the kinds that models come with, written for the tests."""

ASK = "{%- if add_generation_prompt %}<|im_start|>assistant\n<|say|>{%- endif %}"
OFFER = "{%- for tool in tools or [] %}{{ tool | tojson }}\n{%- endfor %}"

# What is said may be text, a list, or either.
STRINGS = "{%- for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{%- endfor %}" + ASK
PARTS = (
    "{%- for m in messages %}<|im_start|>{{ m.role }}\n{%- for part in m.content %}{{ part.text }}{%- endfor %}"
    "<|im_end|>\n{%- endfor %}" + ASK
)
PARTS_FOR_USERS = (
    "{%- for m in messages %}<|im_start|>{{ m.role }}\n{%- if m.role == 'user' %}{%- for part in m.content %}"
    "{{ part['text'] }}{%- endfor %}{%- else %}{{ m.content | trim }}{%- endif %}<|im_end|>\n{%- endfor %}" + ASK
)
NAMED_CONTENT = (
    "{%- for m in messages %}<|im_start|>{{ m.role }}\n"
    "{%- for part in m.content | selectattr('type', 'equalto', 'text') %}{{ part['content'] }}{%- endfor %}"
    "<|im_end|>\n{%- endfor %}" + ASK
)

# Turns that are not shown, or not where they stand.
NO_SYSTEM = (
    "{%- if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{%- endif %}"
    "{%- for m in messages %}{%- if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant') }}{%- endif %}"
    "<|im_start|>{{ m.role }}\n{{ m.content | trim }}<|im_end|>\n{%- endfor %}" + ASK
)
LAST_ONLY = "<|im_start|>user\n{{ messages[-1].content }}<|im_end|>\n" + ASK
CUT = "{%- for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content[:40] }}<|im_end|>\n{%- endfor %}" + ASK
MUTE = "{%- for m in messages %}<|im_start|>{{ m.role }}\n<|im_end|>\n{%- endfor %}" + ASK
# Drops what was thought, as DeepSeek-R1 and Qwen3 do.
THOUGHTLESS = (
    "{%- for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content.split('</think>')[-1] | trim }}<|im_end|>\n"
    "{%- endfor %}" + ASK
)

# Tools, with calls in several forms.
OBJECTS = OFFER + (
    "{%- for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}{%- for call in m.tool_calls or [] %}"
    '<tool_call>\n{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}\n</tool_call>'
    "{%- endfor %}<|im_end|>\n{%- endfor %}" + ASK
)
CONCATENATED = OFFER + (
    "{%- for m in messages %}{%- if m.tool_calls %}<|im_start|>assistant\n{%- for call in m.tool_calls %}"
    "{{ '<tool_call>\n{\"name\": \"' + call['function']['name'] + '\", \"arguments\": ' + call['function']['arguments'] "
    "+ '}\n</tool_call>' }}{%- endfor %}<|im_end|>\n{%- else %}{{ '<|im_start|>' + m.role + '\n' + m.content "
    "+ '<|im_end|>\n' }}{%- endif %}{%- endfor %}" + ASK
)
NO_CONTENT = CONCATENATED.replace("if m.tool_calls", "if m.content is not defined")
ONE_CALL = OFFER + (
    "{%- for m in messages %}{%- if m.tool_calls %}{%- if m.tool_calls | length != 1 %}"
    "{{ raise_exception('This model only supports single tool-calls at once!') }}{%- endif %}"
    '<tool_call>\n{"name": "{{ m.tool_calls[0].function.name }}", "arguments": '
    "{{ m.tool_calls[0].function.arguments | tojson }}}\n</tool_call><|im_end|>\n{%- elif m.role == 'tool' %}"
    "<|im_start|>ipython\n{{ m.content | tojson }}<|im_end|>\n{%- else %}<|im_start|>{{ m.role }}\n{{ m.content }}"
    "<|im_end|>\n{%- endif %}{%- endfor %}" + ASK
)
NINE_LETTERS = OFFER + (
    "{%- if messages[0].role == 'system' %}{%- set told = messages[0].content %}{%- set messages = messages[1:] %}"
    "{%- endif %}{%- for m in messages %}{%- if m.tool_calls is defined and m.tool_calls is not none %}"
    "{%- for call in m.tool_calls %}{%- if call.id | length != 9 %}"
    "{{ raise_exception('Tool call IDs should be alphanumeric strings with length 9!') }}{%- endif %}"
    "<tool_call>{{ call.function | tojson }}{{ call.id }}</tool_call>{%- endfor %}<|im_end|>\n"
    "{%- elif m.role == 'tool' %}{%- if m.tool_call_id | length != 9 %}"
    "{{ raise_exception('Tool call IDs should be alphanumeric strings with length 9!') }}{%- endif %}"
    "[{{ m.content }}]{{ m.tool_call_id }}\n{%- elif m.role == 'user' and loop.last and told is defined %}"
    "[INST] {{ told }}\n\n{{ m.content }}[/INST]{%- else %}[INST] {{ m.content }}[/INST]{%- endif %}{%- endfor %}" + ASK
)
# Shows that there are tools, and neither calls nor results.
TOOLS_BUT_NO_CALLS = OFFER + STRINGS
