// What happens to a file, with each server. Every scenario answers with one cell of the table for one server.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { call, connect } from './servers.mjs';

export const scratch = (server) => {
  const root = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), 'mcp-')));
  server.prepare(root);
  return root;
};

const place = (n) => `place ${String(n).padStart(4, '0')}:`;
// Places that can be told apart, a line each, then filling up to `bytes`.
export const document = (places, bytes = 0) => {
  const width = Math.max(8, Math.ceil(bytes / places) - place(0).length - 2);
  return Array.from({ length: places }, (_, n) => `${place(n)} ${'x'.repeat(width)}\n`).join('');
};
// An edit that can always be made, and that leaves a mark of its own.
export const mark = (n, word) => [place(n), `${place(n)} ${word}`];

async function inside(server, processes, file, content, body) {
  const root = scratch(server);
  const target = path.join(root, file);
  fs.writeFileSync(target, content);
  const links = await Promise.all(Array.from({ length: processes }, () => connect(server, root)));
  try {
    return await body({ root, links, disk: () => fs.readFileSync(target, 'utf8') });
  } finally {
    await Promise.all(links.map((link) => link.close().catch(() => {})));
    fs.rmSync(root, { recursive: true, force: true });
  }
}

// `edits` parallel edits of as many places of one file, shared out over server processes.
export function parallel(server, processes, { edits = 40, bytes = 0 } = {}) {
  return inside(server, processes, 'file.txt', document(edits, bytes), async ({ root, links, disk }) => {
    const answers = await Promise.all(
      Array.from({ length: edits }, (_, n) => call(links[n % processes], server.edit(root, 'file.txt', [mark(n, `<edit ${n}>`)]))),
    );
    const kept = answers.filter((_, n) => disk().includes(`${mark(n, `<edit ${n}>`)[1]} `)).length;
    return `${answers.filter(({ ok }) => ok).length} / ${kept}`;
  });
}

export function entities(server, processes, count = 40) {
  return inside(server, processes, server.file, server.first, async ({ links, disk }) => {
    const answers = await Promise.all(
      Array.from({ length: count }, (_, n) => call(links[n % processes], server.create(`entity-${n}-`))),
    );
    const kept = answers.filter((_, n) => disk().includes(`"entity-${n}-"`)).length;
    return `${answers.filter(({ ok }) => ok).length} / ${kept}`;
  });
}

export function crlf(server) {
  const before = '\uFEFFone\r\ntwo\r\nthree';
  return inside(server, 1, 'crlf.txt', before, async ({ root, links, disk }) => {
    const { ok, text } = await call(links[0], server.edit(root, 'crlf.txt', [['two\nthree', 'zwei\ndrei']]));
    if (!ok) return `refused: ${short(text)}`;
    const after = disk();
    if (after === before.replace('two\r\nthree', 'zwei\r\ndrei')) return 'CRLF, byte order mark and end kept';
    const endings = after.includes('\r\n') ? 'CRLF kept' : 'all line endings became LF';
    return `${endings}${after.startsWith('\uFEFF') ? '' : ', byte order mark lost'}`;
  });
}

export function ambiguous(server) {
  const before = 'a = 1\nb = 2\na = 1\n';
  return inside(server, 1, 'twice.txt', before, async ({ root, links, disk }) => {
    const { ok, answer, text } = await call(links[0], server.edit(root, 'twice.txt', [['a = 1', 'a = 9']]));
    if (ok) return disk() === 'a = 9\nb = 2\na = 1\n' ? 'the first was changed, without a word' : 'changed';
    const places = answer?.structuredContent?.places?.map(({ line }) => line).join(', ');
    return disk() === before ? `refused${places ? `, names lines ${places}` : `: ${short(text)}`}` : 'refused, and changed';
  });
}

// A program reads, another writes, the first writes what it made of what it read.
export function stale(server) {
  return inside(server, 2, 'stale.txt', 'one\ntwo\n', async ({ root, links: [mine, other], disk }) => {
    const before = await call(mine, server.read(root, 'stale.txt'));
    const theirs = await call(other, server.edit(root, 'stale.txt', [['two', 'two, by another']]));
    if (!theirs.ok) return `the other's edit was refused: ${short(theirs.text)}`;
    const content = server.textOf(before.answer).replace('one', 'one, mine');
    const { ok, answer, text } = await call(mine, server.write(root, 'stale.txt', content, before.answer));
    const kept = disk().includes('two, by another');
    if (ok) return kept ? 'merged, both kept' : "answered ok, the other's change is lost";
    const who = answer?.structuredContent?.conflict?.by;
    return kept ? `refused${who ? ", names who wrote meanwhile" : `: ${short(text)}`}; nothing lost` : 'refused, and lost';
  });
}

export function link(server) {
  return inside(server, 1, 'inside.txt', 'inside\n', async ({ root, links }) => {
    const outside = fs.mkdtempSync(path.join(os.tmpdir(), 'outside-'));
    fs.writeFileSync(path.join(outside, 'secret.txt'), 'secret\n');
    fs.symlinkSync(path.join(outside, 'secret.txt'), path.join(root, 'link.txt'));
    fs.symlinkSync(outside, path.join(root, 'folder'));
    const requests = ['link.txt', 'folder/secret.txt'].flatMap((file) => [
      server.read(root, file),
      server.edit(root, file, [['secret', 'overwritten']]),
    ]);
    const answers = [];
    for (const request of requests) answers.push(await call(links[0], request));
    const told = answers.some(({ text }) => text.includes('secret\n'));
    const changed = fs.readFileSync(path.join(outside, 'secret.txt'), 'utf8') !== 'secret\n';
    fs.rmSync(outside, { recursive: true });
    if (told || changed || answers.some(({ ok }) => ok)) return `**${changed ? 'written' : 'read'} through**`;
    return 'refused';
  });
}

export function megabyte(server) {
  const before = document(10_000, 1 << 20);
  return inside(server, 1, 'large.txt', before, async ({ root, links, disk }) => {
    const began = performance.now();
    const { ok, text } = await call(links[0], server.edit(root, 'large.txt', [mark(5000, '<here>')]));
    const took = performance.now() - began;
    if (!ok) return `refused: ${short(text)}`;
    const right = disk() === before.replace(...mark(5000, '<here>'));
    return right ? `right, first edit after ${took.toFixed(0)} ms` : 'wrong content';
  });
}

// Edits one after another, the server killed in the middle of one; begun anew, that one is sent again. `rounds` times.
export async function killed(server, rounds = 20) {
  const sum = { acknowledged: 0, lost: 0, torn: 0, again: 0, known: 0, twice: 0, never: 0, refused: 0, left: 0 };
  for (let round = 0; round < rounds; round++) {
    await inside(server, 1, 'log.txt', `${document(2000, 200_000)}end\n`, async ({ root, links, disk }) => {
      // Each adds a line of its own, so that a second time shows.
      const request = (n) => server.edit(root, 'log.txt', [['\nend\n', `\nentry ${n}.\nend\n`]], { key: `entry-${n}` });
      const acknowledged = [];
      let pending = 0;
      let dead = false;
      const until = 5 + (round % 5);
      for (;;) {
        if (pending === until) setTimeout(() => { dead = true; process.kill(links[0].pid, 'SIGKILL'); }, Math.random() * 12);
        const { ok, lost, text } = await call(links[0], request(pending));
        if (lost) break;
        if (!ok) throw new Error(text);
        acknowledged.push(pending++);
        if (dead && pending > until + 1000) throw new Error('the server does not die');
      }
      // Let go of the dead one first: it may still be a zombie.
      await links[0].close().catch(() => {});
      const whole = (text) => text.startsWith(document(2000, 200_000)) && text.endsWith('\nend\n');
      if (!whole(disk())) sum.torn += 1;
      const anew = await connect(server, root);
      const repeated = await call(anew, request(pending));
      await anew.close();
      const times = (n) => disk().split(`entry ${n}.\n`).length - 1;
      sum.acknowledged += acknowledged.length;
      sum.lost += acknowledged.filter((n) => times(n) === 0).length;
      sum.again += 1;
      if (!repeated.ok) sum.refused += 1;
      if (repeated.answer?.structuredContent?.outcome === 'repeated') sum.known += 1;
      if (times(pending) > 1) sum.twice += 1;
      if (times(pending) === 0) sum.never += 1;
      const known = new Set(['log.txt', '.filelatch', '.gitignore', '.gitattributes']);
      sum.left += fs.readdirSync(root).filter((name) => !known.has(name) && fs.statSync(path.join(root, name)).size > 10_000).length;
    });
  }
  return sum;
}

export const short = (text) => text.replaceAll('\n', ' ').replaceAll('|', '\\|').slice(0, 60);
