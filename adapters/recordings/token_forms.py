"""The fixed forms of tokens and keys that their makers document, and that detect-secrets does not know.

Each begins with marks that nothing else begins with, so that prose and code are left alone.
"""

import re

TOKENS = re.compile(
    r"""
      -----BEGIN\ [A-Z ]*PRIVATE\ KEY(?:\ BLOCK)?-----.*?(?:-----END\ [A-Z ]*PRIVATE\ KEY(?:\ BLOCK)?-----|\Z)
    | \bAGE-SECRET-KEY-1[0-9A-Z]{58}\b       # age
    | ^PuTTY-User-Key-File-[23]:.*?(?:^Private-MAC:[^\n]*|\Z)   # PuTTY
    | \bsk-ant-[A-Za-z0-9_-]{20,}            # Anthropic
    | \bsk-or-(?:v1-)?[A-Za-z0-9]{32,}\b     # OpenRouter
    | \bsk-(?:proj|svcacct|admin)-[A-Za-z0-9_-]{20,} | \bsk-[A-Za-z0-9]{32,}\b   # OpenAI
    | \bAIza[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-])   # Google
    | \bGOCSPX-[A-Za-z0-9_-]{20,}            # Google, OAuth client
    | \bya29\.[A-Za-z0-9_-]{20,}             # Google, OAuth access
    | \bhf_[A-Za-z0-9]{30,}\b                # Hugging Face
    | \bgithub_pat_[A-Za-z0-9_]{40,}\b       # GitHub, fine-grained
    | \bglpat-[A-Za-z0-9_-]{20,}             # GitLab
    | \bnpm_[A-Za-z0-9]{36}\b                # npm
    | \bgsk_[A-Za-z0-9]{40,}\b               # Groq
    | \bxai-[A-Za-z0-9]{40,}\b               # xAI
    | \bpplx-[A-Za-z0-9]{32,}\b              # Perplexity
    | \br8_[A-Za-z0-9]{30,}\b                # Replicate
    | \bwhsec_[A-Za-z0-9+/]{24,}={0,2}       # Stripe, webhooks
    | \bxapp-\d-[A-Z0-9]{8,}-\d+-[A-Za-z0-9]{20,}\b   # Slack, apps
    | \bkey-[0-9a-f]{32}\b                   # Mailgun
    | \bdo[oprt]_v1_[0-9a-f]{40,}\b          # DigitalOcean
    | \bshp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}\b # Shopify
    | \blin_(?:api|oauth)_[A-Za-z0-9]{32,}\b # Linear
    | \bntn_[A-Za-z0-9]{40,}\b | \bsecret_[A-Za-z0-9]{43}\b   # Notion
    | \bfigd_[A-Za-z0-9_-]{32,}              # Figma
    | \bhv[sbr]\.[A-Za-z0-9_-]{24,}          # Vault
    | \bdapi[0-9a-f]{32}(?:-\d)?\b           # Databricks
    | \bATATT3[A-Za-z0-9_=-]{40,}            # Atlassian
    | \bdckr_(?:pat|oat)_[A-Za-z0-9_-]{20,}  # Docker
    | \bsntry[su]_[A-Za-z0-9+/=_-]{32,}      # Sentry
    | \bNRAK-[A-Z0-9]{27}\b                  # New Relic
    | \bey[A-Za-z0-9_-]{8,}\.ey[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}   # JSON web token
    | (?<=[?&]sig=)[A-Za-z0-9%+/_-]{30,}     # Azure, shared access signature
    | (?<=[?&]api_key=)[A-Za-z0-9._~%-]{12,} | (?<=[?&]apikey=)[A-Za-z0-9._~%-]{12,}
    | (?<=[?&]access_token=)[A-Za-z0-9._~%-]{12,}
    | (?<=[Bb]earer\ )(?=[A-Za-z0-9._~+/-]*[\dA-Z])[A-Za-z0-9._~+/-]{20,}=*   # HTTP authorization: no words alone
    | (?<=[Bb]asic\ )[A-Za-z0-9+/]{16,}={0,2}(?![A-Za-z0-9+/=])
    """,
    re.VERBOSE | re.DOTALL | re.MULTILINE,
)
