// The official inspector's command line: lists the tools and the resources, and calls one.
import fs from 'node:fs';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { filelatch, versionOf } from './servers.mjs';
import { scratch } from './scenarios.mjs';

const root = scratch(filelatch);
fs.writeFileSync(`${root}/file.txt`, 'text\n');
const inspect = (...words) => {
  const { command, args } = filelatch.start(root);
  const line = ['node_modules/.bin/mcp-inspector', '--cli', command, ...args, ...words];
  return JSON.parse(execFileSync(line[0], line.slice(1), { encoding: 'utf8', timeout: 60_000, stdio: ['ignore', 'pipe', 'ignore'] }));
};

const { tools } = inspect('--method', 'tools/list');
assert.equal(tools.length, 13);
const read = inspect('--method', 'tools/call', '--tool-name', 'read', '--tool-arg', 'path=file.txt');
assert.equal(read.structuredContent.content, 'text\n');
const { resources } = inspect('--method', 'resources/list');
assert.ok(resources.some(({ uri }) => uri === 'filelatch://status'));
fs.rmSync(root, { recursive: true, force: true });
console.log(`inspector ${versionOf('@modelcontextprotocol/inspector')}: ${tools.length} tools listed, one called, ${resources.length} resources`);
