// Proves that dist/ is what the sources give: builds into another folder and compares byte by byte. Fails and names what differs.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "vite";

const root = fileURLToPath(new URL("..", import.meta.url));
const fresh = mkdtempSync(join(tmpdir(), "page-"));
const list = (folder) =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort();
try {
  await build({ root, logLevel: "error", build: { outDir: fresh, emptyOutDir: true } });
  const committed = join(root, "dist");
  const names = new Set([...list(fresh), ...list(committed)]);
  const differ = [...names].filter((name) => {
    try {
      return !readFileSync(join(fresh, name)).equals(readFileSync(join(committed, name)));
    } catch {
      return true;
    }
  });
  if (differ.length > 0) {
    console.error(`ui/dist is not what the sources give; run “npm run build” in ui/ and commit it. Different:\n  ${differ.join("\n  ")}`);
    process.exitCode = 1;
  } else {
    console.log(`ui/dist: ${names.size} files, as built from the sources`);
  }
} finally {
  rmSync(fresh, { recursive: true });
}
