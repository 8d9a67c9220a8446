// Accessibility by axe, at two sizes and in both colours; with --shots the guide's pictures.
import { readFileSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { on, YAML } from "./editing.mjs";
import { change, open, save, saved, type, until } from "./harness.mjs";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const IMAGES = new URL("../../docs/guides/images/", import.meta.url).pathname;

async function check(page, where) {
  // Put in by the debugger, which the page's policy does not bind.
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() =>
    globalThis.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }),
  );
  const bad = violations.filter((one) => one.impact === "serious" || one.impact === "critical");
  if (bad.length > 0)
    throw new Error(
      `${where}: ${bad.map((one) => `${one.id}: ${one.help}\n${one.nodes.map((node) => `    ${node.target.flat().join(" ")}\n    ${node.failureSummary}`).join("\n")}`).join("\n")}`,
    );
}

/** All views, for looking at them: SHOTS_ALL names the folder. */
async function every(page, name) {
  if (process.env.SHOTS_ALL) await page.screenshot({ path: `${process.env.SHOTS_ALL}/${name}.png` });
}

async function shot(page, name) {
  if (!process.argv.includes("--shots")) return;
  const path = `${IMAGES}${name}.png`;
  await page.screenshot({ path, caret: "hide" });
  const size = statSync(path).size;
  if (size > 150_000) throw new Error(`${name}.png has ${size} bytes`);
}

const FILES = {
  "config/features.json": '{\n  "search": { "limit": 50 },\n  "darkMode": true\n}\n',
  "config/policies/owners.toml": '[owners]\nconfig = ["anna", "ben"]\n',
  "docs/handbook.md": "# Handbook\n\nWho changes what, and *when*.\n\n- [deploy](deploy.md)\n",
  "docs/deploy.md": "# Deploying\n",
  "Cargo.toml": '[package]\nname = "acme"\nversion = "0.1.0"\n',
  "package.json": '{\n  "name": "acme",\n  "private": true\n}\n',
  "README.md": "# Acme\n",
};

/** Walks through what the page shows; `see` looks at each view. */
async function walk(here, options, see) {
  const anna = await (await here.person("Anna")).tab("config/deploy.yaml");
  const ben = await (await here.person("Ben", options)).tab("config/features.json");
  await open(ben, "config/deploy.yaml");
  await until("Anna is seen", () => ben.locator(".person").first().isVisible());
  const lock = await here.hold("docs/handbook.md", "release-bot");
  await until(
    "the lock is known",
    async () => (await ben.locator('.row[data-path="docs/handbook.md"] .locked, .row[data-path="docs"] .locked').count()) > 0,
  );
  await type(ben, "us-east", "-1");
  await see(ben, "editor");
  await type(ben, "replicas", ", was 2");
  await change(ben, "memory", "memory: 768Mi");
  await type(anna, "replicas", " of ours");
  await change(anna, "memory", "memory: 1Gi");
  await type(anna, "regions", " # by latency");
  await save(anna);
  await saved(anna);
  await ben.locator('[data-test="changed"]').waitFor();
  await see(ben, "notice");
  await save(ben);
  await ben.locator("dialog.conflict .place").nth(1).waitFor();
  await ben.keyboard.press("Alt+1");
  await until("one is decided", () => ben.locator(".place.decided").first().isVisible());
  await see(ben, "conflict");
  await ben.keyboard.press("Alt+3");
  await ben.getByRole("button", { name: "Save merged" }).click();
  await saved(ben);
  await ben.locator(".toast").first().waitFor({ state: "detached" });
  await ben.getByRole("button", { name: "History", exact: true }).click();
  await ben.locator(".item-button").nth(1).click();
  await ben.locator(".comparison .cm-changedLine").first().waitFor();
  await see(ben, "history");
  for (const tab of ["Locks", "Conflicts", "Drafts", "Queues", "Audit"]) {
    await ben.getByRole("tab", { name: tab }).click();
    await see(ben, tab.toLowerCase());
  }
  await ben.keyboard.press("Escape");
  if (!(await ben.locator(".side-panel .tabs-line > .icon").isHidden())) await ben.locator(".side-panel .tabs-line > .icon").click();
  await ben.getByRole("button", { name: "Keys and help" }).click();
  await see(ben, "help");
  await ben.keyboard.press("Escape");
  await ben.keyboard.press("Control+p");
  await ben.getByRole("combobox").fill("dep");
  await see(ben, "find");
  await ben.keyboard.press("Escape");
  await lock.release();
  const held = await here.hold("config/deploy.yaml", "release-bot");
  await type(ben, "image", " # soon");
  await save(ben);
  await ben.locator("dialog.lock-dialog").waitFor();
  await see(ben, "locked");
  await held.release();
}

const colours = (colorScheme) => () =>
  on({ "config/deploy.yaml": YAML, ...FILES }, (here) =>
    walk(here, { colorScheme }, async (page, view) => {
      await check(page, `${view}, ${colorScheme}`);
      await every(page, `${view}-${colorScheme}`);
      if (colorScheme === "light" && ["editor", "conflict", "history", "locked"].includes(view)) await shot(page, `page-${view}`);
      if (colorScheme === "dark" && view === "conflict") await shot(page, "page-conflict-dark");
    }),
  );

export const scenarios = {
  /** SERVE-5: no serious finding, whatever is shown. */
  "accessible in light": colours("light"),
  "accessible in dark": colours("dark"),
  /** SERVE-5: narrow: nothing is cut off, and the files can be reached. */
  narrow: () =>
    on({ "config/deploy.yaml": YAML, ...FILES }, async (here) => {
      const person = await here.person("Ben", { viewport: { width: 390, height: 800 } });
      const ben = await person.tab();
      await ben.getByRole("button", { name: "Files", exact: true }).click();
      await ben.locator('.row[data-path="README.md"]').click();
      await ben.locator(".editor .cm-line", { hasText: "Acme" }).waitFor();
      await check(ben, "narrow");
      const wide = await ben.evaluate(() => document.documentElement.scrollWidth > innerWidth);
      if (wide) throw new Error("the page is wider than the window");
    }),
};
