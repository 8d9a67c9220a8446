// What the scenarios stand on: the real program with a folder of its own, Chromium, and waiting for conditions (never for time).
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { chromium } from "playwright-core";

const PROGRAM = process.env.FILELATCH_BIN ?? new URL("../../target/debug/filelatch", import.meta.url).pathname;
const CHROMIUM = process.env.CHROMIUM_BIN ?? "/usr/bin/chromium";
/** For a condition that should come true; long, as a busy machine may be slow. */
export const PATIENCE = 20_000;

export const browser = await chromium.launch({
  executablePath: CHROMIUM,
  args: [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
  ],
});

export async function until(what, condition) {
  const end = Date.now() + PATIENCE;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > end) throw new Error(`not in time: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

export const equal = (what, is, should) => {
  if (is !== should) throw new Error(`${what}: ${JSON.stringify(is)}, should be ${JSON.stringify(should)}`);
};

/** A folder, and `filelatch serve` on it. */
export class Site {
  root = mkdtempSync(join(tmpdir(), "filelatch-page-"));
  children = new Set();
  contexts = [];
  port = 0;

  constructor(options = {}) {
    this.args = options.login ? [] : ["--no-auth"];
    // Names that are seen on pictures.
    this.folder = join(this.root, "acme");
    mkdirSync(this.folder);
  }
  write(path, text) {
    mkdirSync(dirname(join(this.folder, path)), { recursive: true });
    writeFileSync(join(this.folder, path), text);
  }
  read(path) {
    return readFileSync(join(this.folder, path), "utf8");
  }
  spawn(args, options = {}) {
    const env = { ...process.env, FILELATCH_SESSION: options.session ?? "deploy" };
    const child = spawn(PROGRAM, args, { cwd: this.folder, env, stdio: ["pipe", "pipe", "pipe"], detached: true });
    this.children.add(child);
    // A command that does not read its input may end first.
    child.stdin.on("error", () => undefined);
    child.out = "";
    child.err = "";
    child.stdout.on("data", (part) => (child.out += part));
    child.stderr.on("data", (part) => (child.err += part));
    child.done = new Promise((resolve) =>
      child.on("close", (code) => {
        this.children.delete(child);
        resolve(code);
      }),
    );
    return child;
  }
  async cli(args, options = {}) {
    const child = this.spawn(args, options);
    child.stdin.end(options.input ?? "");
    const code = await child.done;
    if (code !== (options.code ?? 0)) throw new Error(`filelatch ${args.join(" ")}: ${code}\n${child.err}`);
    return child.out;
  }
  /** Another process takes the file's lock; ends when it has it. */
  async hold(path, session = "deploy", options = []) {
    const child = this.spawn(["run", ...options, path, "--", "sh", "-c", "echo held; exec cat"], { session });
    await until(`${path} is held`, () => child.out.includes("held"));
    return {
      pid: child.pid,
      release: async () => {
        child.stdin.end();
        await child.done;
      },
    };
  }
  async start() {
    this.server = this.spawn(["serve", this.folder, "--listen", `127.0.0.1:${this.port}`, ...this.args]);
    const found = await until("the server listens", () => {
      if (this.server.exitCode !== null) throw new Error(`serve ended: ${this.server.err}`);
      return /listening on (http:\/\/[^\s]+)/.exec(this.server.out + this.server.err);
    });
    this.url = found[1].replace(/\/$/, "");
    this.port = Number(new URL(this.url).port);
    this.loginLink = await until("the login link", () =>
      this.args.includes("--no-auth") ? `${this.url}/` : /http:\/\/\S+\/login\?code=\S+/.exec(this.server.out + this.server.err)?.[0],
    );
    return this;
  }
  async stop(signal = "SIGTERM") {
    this.server.kill(signal);
    await this.server.done;
  }
  async restart(signal) {
    await this.stop(signal);
    await this.start();
  }
  /** A browser of its own: nothing in common with others. */
  async person(name, options = {}) {
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, reducedMotion: "reduce", ...options });
    this.contexts.push(context);
    if (name)
      await context.addInitScript((value) => {
        if (!localStorage.getItem("filelatch.name")) localStorage.setItem("filelatch.name", value);
      }, name);
    return { context, tab: (path) => this.tab(context, path) };
  }
  async tab(context, path) {
    const page = await context.newPage();
    this.watch(page);
    await page.goto(`${this.loginLink}`);
    await online(page);
    if (path) await open(page, path);
    return page;
  }
  faults = [];
  watch(page) {
    page.setDefaultTimeout(PATIENCE);
    page.on("pageerror", (error) => this.faults.push(`${error.message}\n${error.stack}`));
    // Refused requests are part of what is tried; anything else in the console is a fault, breaches of the policy among them.
    page.on(
      "console",
      (message) =>
        message.type() === "error" &&
        !/Failed to load resource|WebSocket connection/.test(message.text()) &&
        this.faults.push(message.text()),
    );
  }
  async end() {
    for (const context of this.contexts) await context.close();
    for (const child of this.children) {
      try {
        process.kill(-child.pid, "SIGKILL");
      } catch {
        /* ended by itself */
      }
    }
    rmSync(this.root, { recursive: true, force: true });
    if (this.faults.length > 0) throw new Error(`the page complained:\n${this.faults.join("\n")}`);
  }
}

export const online = (page) => page.locator('[data-test="line"].good').waitFor();
export async function open(page, path) {
  await page.keyboard.press("Control+p");
  await page.getByRole("combobox").fill(path);
  await page.locator(".found-row", { hasText: path }).first().waitFor();
  await page.keyboard.press("Enter");
  await page.locator(`.open-file.active button[title="${path}"]`).waitFor();
  await page.locator(".editor .cm-content").waitFor();
}
export const text = (page) =>
  page.locator(".editor .cm-content").evaluate((element) => element.cmTile?.view?.state.doc.toString() ?? element.innerText);
export const shows = (page, what) => until(`the editor shows ${JSON.stringify(what)}`, async () => (await text(page)).includes(what));
/** Types at the end of the first line that has `after`. */
export async function type(page, after, what) {
  await page.locator(".editor .cm-line", { hasText: after }).first().click();
  await page.keyboard.press("End");
  await page.keyboard.type(what);
}
/** Puts another text in the place of what is written in the line with `before`. */
export async function change(page, before, what) {
  await page.locator(".editor .cm-line", { hasText: before }).first().click();
  await page.keyboard.press("Home");
  await page.keyboard.press("Shift+End");
  await page.keyboard.type(what);
}
export const save = (page) => page.keyboard.press("Control+s");
export const state = (page, word) => page.locator(".state-word", { hasText: word }).waitFor();
export const saved = (page) => state(page, /^Saved/);
export const toast = (page, words) => page.locator(".toast", { hasText: words }).first().waitFor();
/** How many drafts the browser's store has, with their texts. */
export const drafts = (page) =>
  page.evaluate(
    () =>
      new Promise((resolve, reject) => {
        const request = indexedDB.open("filelatch");
        request.onerror = () => reject(request.error);
        request.onsuccess = () => {
          const all = request.result.transaction("drafts").objectStore("drafts").getAll();
          all.onsuccess = () => {
            request.result.close();
            resolve(all.result.map(({ path, text: words, kind }) => ({ path, text: words, kind })));
          };
        };
      }),
  );
export const drafted = (page, words) =>
  until(`a draft with ${JSON.stringify(words)}`, async () => (await drafts(page)).some((draft) => draft.text.includes(words)));
