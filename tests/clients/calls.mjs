// A client made with the TypeScript SDK: lists, calls, watches progress, cancels, and prints what it saw as JSON.
// Arguments: the SDK's folder, the era ("auto" or "legacy"), then "http URL TOKEN" or "stdio COMMAND ARGUMENT…".
const [sdk, mode, transport, ...rest] = process.argv.slice(2)
const { Client, StreamableHTTPClientTransport } = await import(`${sdk}/dist/index.mjs`)
const { StdioClientTransport } = await import(`${sdk}/dist/stdio.mjs`)

const client = new Client({ name: "typescript", version: "1" }, { versionNegotiation: { mode } })
await client.connect(
  transport === "http"
    ? new StreamableHTTPClientTransport(new URL(rest[0]), { requestInit: { headers: { Authorization: `Bearer ${rest[1]}` } } })
    : new StdioClientTransport({ command: rest[0], args: rest.slice(1), env: process.env, stderr: "ignore" }),
)
const seen = { tools: (await client.listTools()).tools.map((tool) => tool.name) }
seen.prompts = (await client.listPrompts()).prompts.map((prompt) => prompt.name)
seen.resources = (await client.listResources()).resources.map((resource) => resource.uri)
const answer = await client.callTool({ name: "generate", arguments: { prompt: "Reverse the words: red green blue" } })
seen.answer = answer.structuredContent
const refused = await client.callTool({ name: "generate", arguments: { prompt: "Hi", colour: 1 } })
seen.refused = { isError: refused.isError, text: refused.content[0].text }
const long = { prompts: Array(64).fill("Tell me a story about a frog."), temperature: 2, max_tokens: 1500 }
const progress = []
const stop = new AbortController()
try {
  await client.callTool({ name: "generate", arguments: long }, {
    signal: stop.signal,
    onprogress: (told) => {
      progress.push(told.progress)
      if (progress.length === 2) stop.abort()
    },
  })
} catch (error) {
  seen.cancelled = String(error)
}
seen.progress = progress
seen.again = (await client.callTool({ name: "generate", arguments: { prompt: "Repeat: still here" } })).structuredContent
await client.close()
process.stdout.write(JSON.stringify(seen))
process.exit(0)
