import { on, YAML } from "./editing.mjs";
import { equal, open, save, saved, shows, state, text, type, until } from "./harness.mjs";

const FILE = "config/deploy.yaml";
const dialog = (page) => page.locator("dialog.lock-dialog");

export const scenarios = {
  /** SERVE-4, SERVE-5: another process's lock is seen within a second, in the tree and at the file, and its end too. */
  "a lock is seen within a second": () =>
    on({}, async (here) => {
      const anna = await (await here.person("Anna")).tab(FILE);
      await anna.getByRole("button", { name: /What happens/ }).click();
      // The machine may be busy with other things: one of three tries must be in time.
      const times = [];
      while (times.length < 3 && !times.some((time) => time < 1000)) {
        const lock = await here.hold(FILE);
        const began = Date.now();
        await anna.locator('[data-test="lock"]', { hasText: "deploy" }).waitFor();
        times.push(Date.now() - began);
        await anna.locator(`.row[data-path="${FILE}"] .locked`).waitFor();
        await anna.locator(".side-list .item", { hasText: FILE }).waitFor();
        await lock.release();
        await anna.locator('[data-test="lock"]').waitFor({ state: "detached" });
      }
      console.log(`        seen after ${times.join(", ")} ms`);
      if (!times.some((time) => time < 1000)) throw new Error("the lock was seen too late");
    }),

  /** SERVE-6a: who holds it; cancel, retry, leave queued; the text stays. */
  "a lock that is not had: cancel, retry, leave queued": () =>
    on({}, async (here) => {
      const anna = await (await here.person("Anna")).tab(FILE);
      const lock = await here.hold(FILE);
      await type(anna, "replicas", " and Anna");
      await save(anna);
      await dialog(anna)
        .getByText(/deploy/)
        .first()
        .waitFor();
      await dialog(anna).getByText("Your text is safe. Nothing has been written yet.").waitFor();
      equal("the disk", here.read(FILE), YAML);
      await dialog(anna).getByRole("button", { name: "Cancel" }).click();
      await dialog(anna).waitFor({ state: "detached" });
      await shows(anna, "and Anna");
      await state(anna, "Unsaved");

      // Retry, while it is let go.
      await save(anna);
      await dialog(anna).waitFor();
      await lock.release();
      await dialog(anna).getByText("is free now").waitFor();
      await dialog(anna).getByRole("button", { name: "Retry" }).click();
      await saved(anna);
      equal("the disk", here.read(FILE), YAML.replace("per zone", "per zone and Anna"));

      // Left queued: written when the lock is free.
      const second = await here.hold(FILE);
      await type(anna, "image", " # queued");
      await save(anna);
      await dialog(anna).getByRole("button", { name: "Leave queued" }).click();
      await anna.locator('[data-test="queued"]').waitFor();
      await shows(anna, "# queued");
      await second.release();
      await saved(anna);
      await until("the disk", () => here.read(FILE).includes("# queued"));
    }),

  /** SERVE-6a: a lease says until when; a save that is left queued waits for its end. */
  "a lease": () =>
    on({}, async (here) => {
      const anna = await (await here.person("Anna")).tab(FILE);
      const lease = await here.hold(FILE, "deploy", ["--max-hold", "10m"]);
      await anna.locator('[data-test="lock"]', { hasText: "deploy" }).waitFor();
      await type(anna, "replicas", " and Anna");
      await save(anna);
      await dialog(anna)
        .getByText(/deploy.*at most until/)
        .waitFor();
      equal("the disk", here.read(FILE), YAML);
      await dialog(anna).getByRole("button", { name: "Leave queued" }).click();
      await anna.locator('[data-test="queued"]').waitFor();
      await lease.release();
      await saved(anna);
      equal("the disk", here.read(FILE), YAML.replace("per zone", "per zone and Anna"));
    }),

  /** SERVE-6a: a queued save can be cancelled; the text stays. */
  "a queued save is cancelled": () =>
    on({}, async (here) => {
      const anna = await (await here.person("Anna")).tab(FILE);
      const lock = await here.hold(FILE);
      await type(anna, "image", " # queued");
      await save(anna);
      await dialog(anna).getByRole("button", { name: "Leave queued" }).click();
      await anna.locator('[data-test="queued"]').getByRole("button", { name: "Cancel it" }).click();
      await state(anna, "Unsaved");
      await lock.release();
      await shows(anna, "# queued");
      equal("the disk", here.read(FILE), YAML);
    }),

  /** SERVE-5, MERGE-4: what a program could not bring together is listed at once, and decided here. */
  "a stored conflict is decided": () =>
    on({}, async (here) => {
      const anna = await (await here.person("Anna")).tab(FILE);
      const base = (await here.cli(["hash", FILE])).trim().split(/\s/)[0];
      await here.cli(["write", FILE], { session: "ben", input: YAML.replace("512Mi", "1Gi") });
      const late = ["write", FILE, "--strategy", "merge", "--expect", base];
      await here.cli(late, { session: "deploy", input: YAML.replace("512Mi", "768Mi"), code: 3 });
      await anna.getByRole("button", { name: "1 conflict" }).click();
      await anna.locator(".side-list .item-button", { hasText: FILE }).click();
      const stored = anna.locator("dialog.conflict");
      await stored.getByRole("heading", { name: /deploy and ben changed the same file/ }).waitFor();
      await stored.locator(".place").getByRole("button", { name: "Take deploy’s" }).click();
      await stored.getByRole("button", { name: "Save merged" }).click();
      await until("the disk", () => here.read(FILE).includes("768Mi"));
      await anna.getByRole("button", { name: "1 conflict" }).waitFor({ state: "detached" });
      await shows(anna, "768Mi");
    }),

  /** SERVE-5: queues and the audit log follow what happens. */
  "live lists": () =>
    on({}, async (here) => {
      const anna = await (await here.person("Anna")).tab(FILE);
      await anna.getByRole("button", { name: /What happens/ }).click();
      await anna.getByRole("tab", { name: /Queues/ }).click();
      await anna.getByText("No queues.").waitFor();
      await here.cli(["queue", "add", "checks", "--", "make", "check"]);
      await anna.locator(".side-list .command", { hasText: "make check" }).waitFor();
      await anna.getByRole("tab", { name: /Audit/ }).click();
      await anna.getByText("Nothing yet.").waitFor();
      await here.cli(["write", "live.txt"], { session: "ben", input: "x\n" });
      await anna
        .locator(".side-list .item", { hasText: "live.txt" })
        .getByText(/by ben/)
        .waitFor();
      await anna.locator('.row[data-path="live.txt"]').waitFor();
    }),

  /** SERVE-5: who else has the file open. */
  "who is here": () =>
    on({ "notes.txt": "notes\n" }, async (here) => {
      const anna = await (await here.person("Anna")).tab(FILE);
      const ben = await (await here.person("Ben")).tab(FILE);
      await anna.getByText("Ben is here").waitFor();
      await ben.getByText("Anna is here").waitFor();
      await open(ben, "notes.txt");
      await anna.getByText("Ben is here").waitFor({ state: "detached" });
      await anna.locator('.row[data-path="notes.txt"] .person').waitFor();
      equal("the text", (await text(anna)).length, YAML.length);
    }),
};
