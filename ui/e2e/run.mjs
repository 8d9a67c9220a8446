// Two tabs in Chromium against the real program. `node e2e/run.mjs [--shots] [words of scenarios…]`; FILELATCH_BIN names the program.
import { browser } from "./harness.mjs";
import { scenarios as access } from "./access.mjs";
import { scenarios as drafts } from "./drafts.mjs";
import { scenarios as editing } from "./editing.mjs";
import { scenarios as locks } from "./locks.mjs";
import { scenarios as looks } from "./looks.mjs";
import { scenarios as size } from "./size.mjs";

const wanted = process.argv.slice(2).filter((word) => !word.startsWith("--"));
const all = { ...editing, ...locks, ...drafts, ...access, ...size, ...looks };
let failed = 0;
const began = Date.now();
const queue = Object.entries(all).filter(([name]) => wanted.length === 0 || wanted.some((word) => name.includes(word)));
const seconds = (since) => `${((Date.now() - since) / 1000).toFixed(1)}s`;
async function run([name, scenario]) {
  const start = Date.now();
  try {
    await scenario();
    console.log(`ok      ${name} (${seconds(start)})`);
  } catch (error) {
    failed += 1;
    console.error(`FAILED  ${name} (${seconds(start)})\n${error.stack}`);
  }
}
// Each has a folder, a server and browsers of its own, so some can run at the same time; what measures runs alone.
const alone = queue.filter(([name]) => name.includes("within a second"));
const others = queue.filter((one) => !alone.includes(one));
for (const one of alone) await run(one);
await Promise.all(
  Array.from({ length: 3 }, async () => {
    for (let next = others.shift(); next !== undefined; next = others.shift()) await run(next);
  }),
);
await browser.close();
console.log(`${failed === 0 ? "all ok" : `${failed} failed`} in ${seconds(began)}`);
process.exit(failed === 0 ? 0 : 1);
