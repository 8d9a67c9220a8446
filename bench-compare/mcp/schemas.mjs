// The list of tools and its schemas, by the TypeScript client; and that standard output has nothing on it but JSON-RPC.
import fs from 'node:fs';
import { spawn } from 'node:child_process';
import assert from 'node:assert/strict';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { JSONRPCMessageSchema, ListResourcesResultSchema, ListToolsResultSchema } from '@modelcontextprotocol/sdk/types.js';
import { connect, filelatch } from './servers.mjs';
import { scratch } from './scenarios.mjs';

async function schemas(root) {
  const link = await connect(filelatch, root);
  // Its own parse lets through what it does not know; `strict` does not.
  const list = await link.client.request({ method: 'tools/list' }, ListToolsResultSchema);
  ListResourcesResultSchema.parse(await link.client.listResources());
  const ajv = new Ajv2020({ strict: false, validateFormats: false });
  for (const tool of list.tools) {
    const where = `tool ${tool.name}`;
    assert.match(tool.name, /^[a-z_]{1,64}$/, where);
    assert.ok(tool.title, `${where}: no title`);
    const words = tool.description?.trim().split(/\s+/).length ?? 0;
    assert.ok(words > 0 && words <= 60, `${where}: its description has ${words} words`);
    for (const hint of ['readOnlyHint', 'destructiveHint', 'idempotentHint', 'openWorldHint']) {
      assert.equal(typeof tool.annotations?.[hint], 'boolean', `${where}: ${hint}`);
    }
    assert.equal(tool.annotations.openWorldHint, false, where);
    for (const [what, schema] of [['input', tool.inputSchema], ['output', tool.outputSchema]]) {
      assert.equal(schema?.type, 'object', `${where}: the root of its ${what} schema`);
      assert.ok(ajv.validateSchema(schema), `${where}, ${what}: ${ajv.errorsText()}`);
      ajv.compile(schema);
    }
    assert.equal(tool.inputSchema.additionalProperties, false, `${where} does not say that it refuses unknown arguments`);
  }
  await link.close();
  return list.tools.length;
}

// Good and bad lines, errors and logs; then the end of input. Every line that comes back is one JSON-RPC message.
async function standardOutput(root) {
  const server = spawn(filelatch.program, ['mcp', root], {
    env: { ...process.env, RUST_BACKTRACE: '1', RUST_LOG: 'trace', FILELATCH_LOG: 'trace' },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let out = '';
  server.stdout.setEncoding('utf8').on('data', (text) => (out += text));
  server.stderr.resume();
  const call = (id, name, args) => ({ jsonrpc: '2.0', id, method: 'tools/call', params: { name, arguments: args } });
  const lines = [
    { jsonrpc: '2.0', id: 1, method: 'initialize', params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'lines', version: '1' } } },
    { jsonrpc: '2.0', method: 'notifications/initialized' },
    call(2, 'read', { path: 'file.txt' }),
    call(3, 'read', { path: '../../etc/passwd' }),
    call(4, 'edit', { path: 'file.txt', edits: [{ old_text: 'nowhere', new_text: '' }] }),
    call(5, 'edit', { path: 7 }),
    call(6, 'no-such-tool', {}),
    call(7, 'doctor', {}),
    { jsonrpc: '2.0', id: 8, method: 'no/such/method' },
    { jsonrpc: '2.0', method: 'notifications/unheard-of', params: [] },
    call(9, 'read', { path: 'a\0b' }),
    call(10, 'write', { path: 'folder', content: '' }),
  ].map((line) => JSON.stringify(line));
  lines.splice(4, 0, '', '{', 'no JSON', '[]', 'null', '"\ud800"', '\u0000\u001b[2J', '{"jsonrpc":"2.0"}');
  fs.mkdirSync(`${root}/folder`);
  server.stdin.write(`${lines.join('\n')}\n`);
  const answered = () => out.split('\n').filter(Boolean).map((line) => JSON.parse(line)).filter(({ id }) => id > 0).length;
  const deadline = Date.now() + 60_000;
  while (answered() < 10 && Date.now() < deadline && server.exitCode === null) await new Promise((next) => setTimeout(next, 20));
  server.stdin.end();
  const [status, signal] = await new Promise((next) => server.on('close', (...how) => next(how)));
  assert.equal(status, 0, `the server ended with ${status ?? signal}`);
  assert.ok(out.endsWith('\n'), 'its last line has no end');
  const messages = out.slice(0, -1).split('\n').map((line) => JSONRPCMessageSchema.parse(JSON.parse(line)));
  for (let id = 1; id <= 10; id++) {
    assert.equal(messages.filter((message) => message.id === id).length, 1, `request ${id}: not one answer`);
  }
  return messages.length;
}

const root = scratch(filelatch);
fs.writeFileSync(`${root}/file.txt`, 'text\n');
console.log(`${await schemas(root)} tools, by the TypeScript client: schemas, titles, annotations, descriptions`);
console.log(`standard output: ${await standardOutput(root)} messages, and nothing else`);
fs.rmSync(root, { recursive: true, force: true });
