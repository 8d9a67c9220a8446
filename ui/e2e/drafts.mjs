import { on, YAML } from "./editing.mjs";
import { drafted, drafts, equal, online, open, save, saved, shows, state, text, toast, type, until } from "./harness.mjs";

const FILE = "config/deploy.yaml";

export const scenarios = {
  /** SERVE-5: unsaved text is there after a reload. */
  "a reload": () =>
    on({}, async (here) => {
      const anna = await (await here.person("Anna")).tab(FILE);
      await type(anna, "replicas", " and Anna");
      // At once: what is not written yet is written when the page is put away.
      await anna.reload();
      await shows(anna, "and Anna");
      await state(anna, "Unsaved");
      await save(anna);
      await saved(anna);
      await until("the draft is gone", async () => (await drafts(anna)).length === 0);
    }),

  /** SERVE-5: the tab dies without a word; the next one offers the text. */
  "a crash": () =>
    on({}, async (here) => {
      const person = await here.person("Anna");
      const first = await person.tab(FILE);
      await type(first, "replicas", " and Anna");
      await drafted(first, "and Anna");
      // The process of the tab is killed: nothing in it runs any more.
      const session = await person.context.newCDPSession(first);
      void session.send("Page.crash").catch(() => undefined);
      await new Promise((resolve) => first.on("crash", resolve));
      const second = await person.tab();
      const offer = second.locator('[data-test="orphan"]', { hasText: FILE });
      await offer.waitFor();
      await here.cli(["write", FILE], { session: "deploy", input: YAML.replace("us-east", "us-west") });
      await offer.getByRole("button", { name: "Open it" }).click();
      await shows(second, "and Anna");
      // The file went on meanwhile: told, not overwritten.
      await second.locator('[data-test="changed"]', { hasText: "deploy" }).waitFor();
      await offer.waitFor({ state: "detached" });
    }),

  /** SERVE-5: two tabs of one browser keep two drafts of one file, and neither gets the other's. */
  "two tabs, two drafts": () =>
    on({ "config/other.txt": "other\n" }, async (here) => {
      const person = await here.person("Anna");
      const [one, two] = [await person.tab(FILE), await person.tab(FILE)];
      await type(one, "replicas", " first");
      await type(two, "replicas", " second");
      await drafted(one, "first");
      await drafted(two, "second");
      await one.reload();
      await two.reload();
      await shows(one, "first");
      await shows(two, "second");
      equal("the first's text", (await text(one)).includes("second"), false);
      equal("the second's text", (await text(two)).includes("first"), false);
      // What is offered is settled when a draft of a tab that is really gone is offered: only that one.
      const third = await person.tab("config/other.txt");
      await type(third, "other", " third");
      await drafted(third, "third");
      await third.close();
      await one.reload();
      await one.locator('[data-test="orphan"]').waitFor();
      equal(
        "offers",
        await one
          .locator('[data-test="orphan"]')
          .allInnerTexts()
          .then((all) => all.every((words) => words.includes("config/other.txt"))),
        true,
      );
    }),

  /** SERVE-4, SERVE-5: the server ends and comes back: the page says so, keeps the text, and goes on. */
  "the server is restarted": () =>
    on({ "notes.txt": "notes\n" }, async (here) => {
      const anna = await (await here.person("Anna")).tab(FILE);
      await type(anna, "replicas", " and Anna");
      await here.stop();
      await anna.locator('[data-test="offline"]').waitFor();
      await type(anna, "image", " # offline");
      await drafted(anna, "# offline");
      // A save while there is no server is done when it is back.
      await save(anna);
      await state(anna, "Not confirmed");
      await here.start();
      await online(anna);
      await saved(anna);
      equal("the disk", here.read(FILE), YAML.replace("per zone", "per zone and Anna").replace('"app:1.4"', '"app:1.4" # offline'));
      // Events go on.
      await here.cli(["write", "notes.txt"], { session: "deploy", input: "more notes\n" });
      await open(anna, "notes.txt");
      await shows(anna, "more notes");
      await here.cli(["write", "notes.txt"], { session: "deploy", input: "still more\n" });
      await shows(anna, "still more");
    }),

  /** SERVE-5: the server is killed and the file changed while it is away: nothing is overwritten, nothing lost. */
  "the server is killed, the file changes": () =>
    on({}, async (here) => {
      const anna = await (await here.person("Anna")).tab(FILE);
      await type(anna, "replicas", " and Anna");
      await here.stop("SIGKILL");
      await anna.locator('[data-test="offline"]').waitFor();
      await save(anna);
      await state(anna, "Not confirmed");
      await here.cli(["write", FILE], { session: "deploy", input: YAML.replace("per zone", "per zone and deploy") });
      await here.start();
      await anna.locator("dialog.conflict").waitFor();
      await shows(anna, "and Anna");
      equal("the disk", here.read(FILE), YAML.replace("per zone", "per zone and deploy"));
      await anna.keyboard.press("Escape");
      await anna.reload();
      await shows(anna, "and Anna");
    }),

  /** SERVE-5: closing a file with unsaved text loses nothing. */
  "a closed file": () =>
    on({}, async (here) => {
      const anna = await (await here.person("Anna")).tab(FILE);
      await type(anna, "replicas", " and Anna");
      await anna.getByRole("button", { name: `Close ${FILE}` }).click();
      await toast(anna, "kept under Drafts");
      await anna.getByRole("button", { name: /What happens/ }).click();
      await anna.getByRole("tab", { name: /Drafts/ }).click();
      await anna.getByRole("button", { name: "Take it" }).click();
      await shows(anna, "and Anna");
    }),
};
