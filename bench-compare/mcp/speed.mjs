// One edit of a file of 100 KB after another, and 40 at once. The servers take turns, round by round; a figure is the median of its rounds.
import fs from 'node:fs';
import path from 'node:path';
import { call, connect } from './servers.mjs';
import { document, mark, scratch } from './scenarios.mjs';

const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
const quantile = (values, q) => [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * q))];
const PLACES = 40;

async function contender(server, name, options) {
  const root = scratch(server);
  const content = document(PLACES, 100_000);
  const files = ['one.txt', ...Array.from({ length: PLACES }, (_, n) => `own-${n}.txt`)];
  const fresh = () => files.forEach((file) => fs.writeFileSync(path.join(root, file), content));
  fresh();
  const link = await connect(server, root);
  const figures = { p50: [], p95: [], sequence: [], one: [], own: [] };
  let number = 0;
  const edit = async (file, n) => {
    // A mark of a fixed width takes the place of the last one: the file does not grow.
    const request = server.edit(root, file, [mark(n % PLACES, String(number++).padStart(8, '0'))], options);
    const { ok, text } = await call(link, request);
    if (!ok) throw new Error(`${name}: ${text}`);
  };
  const flight = async (count, fileOf) => {
    const began = performance.now();
    let next = 0;
    const lane = async (n) => {
      while (next++ < count) await edit(fileOf(n), n);
    };
    await Promise.all(Array.from({ length: PLACES }, (_, n) => lane(n)));
    return (count * 1000) / (performance.now() - began);
  };
  return {
    name,
    figures,
    async round(sequential, flown) {
      fresh();
      const times = [];
      for (let n = 0; n < sequential; n++) {
        const began = performance.now();
        await edit('one.txt', n);
        times.push(performance.now() - began);
      }
      figures.p50.push(quantile(times, 0.5));
      figures.p95.push(quantile(times, 0.95));
      fresh();
      figures.one.push(await flight(flown, () => 'one.txt'));
      figures.own.push(await flight(flown, (n) => `own-${n}.txt`));
    },
    async end() {
      await link.close();
      fs.rmSync(root, { recursive: true, force: true });
    },
  };
}

export async function speed(ours, theirs, { rounds = 9, sequential = 100, flown = 400 } = {}) {
  const contenders = [
    await contender(ours, 'filelatch, durability file', { durability: 'file' }),
    await contender(ours, 'filelatch, durability full', { durability: 'full' }),
    await contender(ours, 'filelatch, durability none', { durability: 'none' }),
    await contender(theirs, theirs.name),
  ];
  for (const each of contenders) await each.round(20, 80);
  for (const each of contenders) for (const list of Object.values(each.figures)) list.length = 0;
  for (let round = 0; round < rounds; round++) for (const each of contenders) await each.round(sequential, flown);
  await Promise.all(contenders.map((each) => each.end()));
  const last = contenders.at(-1).figures;
  const ratio = (list, other) => median(list.map((value, n) => value / other[n]));
  const rows = [
    '| edit of a file of 100 KB | p50 | p95 | 40 in flight, one file | against the reference | 40 in flight, a file each | against the reference |',
    '|---|---|---|---|---|---|---|',
    ...contenders.map(
      ({ name, figures: f }) =>
        `| ${name} | ${median(f.p50).toFixed(2)} ms | ${median(f.p95).toFixed(2)} ms | ${median(f.one).toFixed(0)}/s | ` +
        `${ratio(f.one, last.one).toFixed(2)} × | ${median(f.own).toFixed(0)}/s | ${ratio(f.own, last.own).toFixed(2)} × |`,
    ),
  ];
  return rows.join('\n');
}
