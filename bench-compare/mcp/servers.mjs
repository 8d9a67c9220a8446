// How each server is started, and what its tools and their arguments are called. A scenario speaks to all of them by these words.
import fs from 'node:fs';
import path from 'node:path';
import { execFileSync } from 'node:child_process';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';

const modules = path.resolve('node_modules');
const program = path.resolve(process.env.FILELATCH ?? 'filelatch');

export const versionOf = (name) => JSON.parse(fs.readFileSync(path.join(modules, name, 'package.json'), 'utf8')).version;

export const filesystem = {
  name: 'server-filesystem',
  version: versionOf('@modelcontextprotocol/server-filesystem'),
  prepare: () => {},
  start: (root) => ({ command: process.execPath, args: [path.join(modules, '@modelcontextprotocol/server-filesystem/dist/index.js'), root] }),
  edit: (root, file, edits) => ({
    name: 'edit_file',
    arguments: { path: path.join(root, file), edits: edits.map(([oldText, newText]) => ({ oldText, newText })) },
  }),
  read: (root, file) => ({ name: 'read_text_file', arguments: { path: path.join(root, file) } }),
  textOf: (answer) => answer.content[0].text,
  // It has no way to say which version a write is made from.
  write: (root, file, content) => ({ name: 'write_file', arguments: { path: path.join(root, file), content } }),
};

export const filelatch = {
  name: 'filelatch',
  version: execFileSync(program, ['--version'], { encoding: 'utf8' }).trim().split(' ').pop(),
  program,
  prepare: (root) => execFileSync(program, ['init', root], { stdio: 'ignore' }),
  start: (root) => ({ command: program, args: ['mcp', root] }),
  edit: (root, file, edits, { key, durability } = {}) => ({
    name: 'edit',
    arguments: {
      path: file,
      edits: edits.map(([old_text, new_text]) => ({ old_text, new_text })),
      ...(key && { idempotency_key: key }),
      ...(durability && { durability }),
    },
  }),
  read: (root, file) => ({ name: 'read', arguments: { path: file } }),
  textOf: (answer) => answer.structuredContent.content,
  write: (root, file, content, before) => ({
    name: 'write',
    arguments: { path: file, content, base_hash: before.structuredContent.hash },
  }),
};

export const memory = {
  name: 'server-memory',
  version: versionOf('@modelcontextprotocol/server-memory'),
  file: 'memory.jsonl',
  first: '',
  prepare: () => {},
  start: (root) => ({
    command: process.execPath,
    args: [path.join(modules, '@modelcontextprotocol/server-memory/dist/index.js')],
    env: { MEMORY_FILE_PATH: path.join(root, 'memory.jsonl') },
  }),
  create: (name) => ({
    name: 'create_entities',
    arguments: { entities: [{ name, entityType: 'thing', observations: ['seen'] }] },
  }),
};

// The same work for filelatch, which has no entities: a member of a JSON document.
export const documents = {
  ...filelatch,
  file: 'memory.json',
  first: '{}\n',
  create: (name) => ({
    name: 'patch_doc',
    arguments: { path: 'memory.json', merge_patch: { [name]: { entityType: 'thing', observations: ['seen'] } } },
  }),
};

export async function connect(server, root) {
  const { command, args, env } = server.start(root);
  const transport = new StdioClientTransport({ command, args, env: { ...process.env, ...env }, stderr: 'ignore', cwd: root });
  const client = new Client({ name: 'comparison', version: '1' });
  await client.connect(transport);
  return { client, pid: transport.pid, close: () => client.close() };
}

// A call that never throws: `ok` is what the server said.
export async function call(link, request) {
  try {
    const answer = await link.client.callTool(request, undefined, { timeout: 120_000 });
    return { ok: !answer.isError, answer, text: answer.content?.[0]?.text ?? '' };
  } catch (error) {
    return { ok: false, text: String(error.message ?? error), lost: true };
  }
}
