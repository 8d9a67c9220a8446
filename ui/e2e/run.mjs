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
for (const [name, scenario] of Object.entries(all)) {
  if (wanted.length > 0 && !wanted.some((word) => name.includes(word))) continue;
  const start = Date.now();
  try {
    await scenario();
    console.log(`ok      ${name} (${((Date.now() - start) / 1000).toFixed(1)}s)`);
  } catch (error) {
    failed += 1;
    console.error(`FAILED  ${name} (${((Date.now() - start) / 1000).toFixed(1)}s)\n${error.stack}`);
  }
}
await browser.close();
console.log(`${failed === 0 ? "all ok" : `${failed} failed`} in ${((Date.now() - began) / 1000).toFixed(1)}s`);
process.exit(failed === 0 ? 0 : 1);
