// Prints the comparison as Markdown: `node compare.mjs [--only WORD] [--reference]`. See `run`.
import os from 'node:os';
import { execFileSync } from 'node:child_process';
import { documents, filelatch, filesystem, memory, versionOf } from './servers.mjs';
import * as scenario from './scenarios.mjs';
import { speed } from './speed.mjs';

const words = process.argv.slice(2);
const option = (name) => (words.includes(name) ? words[words.indexOf(name) + 1] : undefined);
const only = option('--only');
const wanted = (name) => !only || name.includes(only);
const rounds = Number(option('--rounds') ?? 9);

const counts = (done) =>
  `of ${done.acknowledged} answered ${done.lost} lost; torn ${done.torn} of ${done.again}; ` +
  `sent again: ${done.known ? `recognised ${done.known}, ` : ''}applied twice ${done.twice}, not at all ${done.never}, of ${done.again}${done.refused ? ` (${done.refused} refused)` : ''}; copies left behind ${done.left}`;

const rows = [
  ...[1, 2, 4].map((n) => [`40 parallel edits of one file, ${n} server process${n > 1 ? 'es' : ''}: answered ok / kept`, (s) => scenario.parallel(s, n)]),
  ...[1, 4].map((n) => [`40 parallel edits of a file of 1 MB, ${n} process${n > 1 ? 'es' : ''}: answered ok / kept`, (s) => scenario.parallel(s, n, { bytes: 1 << 20 })]),
  ['edit in a file with CRLF and a byte order mark', scenario.crlf],
  ['text that stands there twice', scenario.ambiguous],
  ['write made from a version that is no longer there', scenario.stale],
  ['one edit in a file of 1 MB', scenario.megabyte],
  ['symbolic links out of the folder, read and edited', scenario.link],
  ['kill -9 in the middle of an edit', async (s) => counts(await scenario.killed(s, 40))],
];
const entities = [1, 2, 4].map((n) => [`40 parallel entities in one graph, ${n} process${n > 1 ? 'es' : ''}: answered ok / kept`, (s) => scenario.entities(s, n)]);

async function table(list, servers) {
  console.log(`| | ${servers.map(({ name, version }) => `${name} ${version}`).join(' | ')} |\n|---|${'---|'.repeat(servers.length)}`);
  for (const [what, run] of list) {
    const cells = [];
    for (const server of servers) {
      cells.push(await run(server).catch((error) => `failed: ${scenario.short(String(error.message ?? error))}`));
    }
    console.log(`| ${what} | ${cells.join(' | ')} |`);
  }
  console.log();
}

const shell = (...command) => execFileSync(command[0], command.slice(1), { encoding: 'utf8' }).trim();
console.log(
  `${new Date().toISOString().slice(0, 10)}; ${os.cpus().length} CPUs (${os.cpus()[0].model.trim()}), ${os.type()} ${os.release()}; Node ${process.versions.node}; ` +
    `client @modelcontextprotocol/sdk ${versionOf('@modelcontextprotocol/sdk')} over stdio; ${shell('stat', '-f', '-c', '%T', os.tmpdir())}; load ${os.loadavg()[0].toFixed(1)}\n`,
);
const reference = words.includes('--reference');
if (wanted('files')) await table(rows, reference ? [filesystem] : [filelatch, filesystem]);
if (wanted('entities')) await table(entities, reference ? [memory] : [documents, memory]);
if (wanted('speed') && !reference) console.log(await speed(filelatch, filesystem, { rounds }));
