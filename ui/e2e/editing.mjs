import { change, equal, open, save, saved, shows, Site, state, text, toast, type, until } from "./harness.mjs";

const YAML =
  '# who may deploy\nreplicas: 2          # per zone\nimage: "app:1.4"\n\nlimits:\n  memory: 512Mi\n  cpu: 500m\n\nregions:\n  - eu-central\n  - us-east\n';

/** With a workspace, so that what is replaced is kept. */
async function site(files = {}, options = {}) {
  const here = new Site(options);
  for (const [path, content] of Object.entries({ "config/deploy.yaml": YAML, ...files })) here.write(path, content);
  await here.cli(["init"]);
  return here.start();
}
async function on(files, run, options) {
  const here = await site(files, options);
  try {
    await run(here);
  } finally {
    await here.end();
  }
}
export { on, YAML };

const dialog = (page) => page.locator("dialog.conflict");

export const scenarios = {
  /** SERVE-5: two tabs edit the same lines; the first saves, the second decides, both see the result. */
  "two tabs, one file: the dialog, a choice, both see it": () =>
    on({}, async (here) => {
      const [one, two] = [await here.person("Anna"), await here.person("Ben")];
      const [anna, ben] = [await one.tab("config/deploy.yaml"), await two.tab("config/deploy.yaml")];
      await type(anna, "replicas", " and Anna");
      await type(ben, "replicas", " and Ben");
      await save(anna);
      await saved(anna);
      // The second is told before it saves, with its text kept.
      await ben.locator('[data-test="changed"]', { hasText: "Changed by Anna" }).waitFor();
      await shows(ben, "and Ben");
      await save(ben);
      await dialog(ben)
        .getByRole("heading", { name: /Anna saved a newer version/ })
        .waitFor();
      await dialog(ben).getByText("Your text is safe. Nothing has been written yet.").waitFor();
      equal("the disk while the dialog is open", here.read("config/deploy.yaml"), YAML.replace("per zone", "per zone and Anna"));
      equal("saving with an open place", await dialog(ben).getByRole("button", { name: "Save merged" }).isDisabled(), true);
      await ben.keyboard.press("Alt+3");
      await dialog(ben).getByRole("button", { name: "Save merged" }).click();
      await saved(ben);
      const merged = YAML.replace(
        "replicas: 2          # per zone\n",
        "replicas: 2          # per zone and Ben\nreplicas: 2          # per zone and Anna\n",
      );
      equal("the disk", here.read("config/deploy.yaml"), merged);
      await until("the first tab follows", async () => (await text(anna)) === merged);
      equal("the second tab", await text(ben), merged);
    }),

  /** SERVE-5: changes of different places: one click. */
  "changes that fit: one click": () =>
    on({}, async (here) => {
      const [anna, ben] = [
        await (await here.person("Anna")).tab("config/deploy.yaml"),
        await (await here.person("Ben")).tab("config/deploy.yaml"),
      ];
      await type(ben, "us-east", "-1");
      await type(anna, "replicas", " and Anna");
      await save(anna);
      await saved(anna);
      await ben.locator('[data-test="changed"]').waitFor();
      await save(ben);
      await dialog(ben).getByText("Both changes fit together.").waitFor();
      // The button has the focus: Enter is enough.
      await until("the focus", () => ben.evaluate(() => document.activeElement?.textContent?.trim() === "Save both changes"));
      await ben.keyboard.press("Enter");
      await saved(ben);
      equal("the disk", here.read("config/deploy.yaml"), YAML.replace("per zone", "per zone and Anna").replace("us-east", "us-east-1"));
    }),

  /** SERVE-5: the notice's three ways; what is typed stays, or can be taken back. */
  "the notice: difference, merge, reload": () =>
    on({}, async (here) => {
      const anna = await (await here.person("Anna")).tab("config/deploy.yaml");
      await type(anna, "us-east", "-1");
      await here.cli(["write", "config/deploy.yaml"], { session: "deploy", input: YAML.replace("2 ", "5 ") });
      const notice = anna.locator('[data-test="changed"]');
      await notice.getByText(/Changed by deploy/).waitFor();
      await notice.getByRole("button", { name: "Show difference" }).click();
      await anna.locator(".comparison .cm-changedLine").first().waitFor();
      await anna.keyboard.press("Escape");
      await notice.getByRole("button", { name: "Merge" }).click();
      await shows(anna, "replicas: 5");
      await shows(anna, "us-east-1");
      await notice.waitFor({ state: "detached" });
      await state(anna, "Unsaved");
      equal("nothing is saved by merging", here.read("config/deploy.yaml"), YAML.replace("2 ", "5 "));
      // Again, and this time theirs is taken; the own text can be had back.
      await here.cli(["write", "config/deploy.yaml"], { session: "deploy", input: YAML.replace("2 ", "6 ") });
      await notice.getByRole("button", { name: "Reload" }).click();
      await until("theirs is shown", async () => (await text(anna)) === YAML.replace("2 ", "6 "));
      await anna.getByRole("button", { name: /What happens/ }).click();
      await anna.getByRole("tab", { name: /Drafts/ }).click();
      await anna.locator(".item", { hasText: "put aside by “Reload”" }).getByRole("button", { name: "Take it" }).click();
      await shows(anna, "us-east-1");
    }),

  /** SERVE-5: without unsaved text the page follows, quietly, and the cursor stays in its line. */
  "nothing typed: the text follows the disk": () =>
    on({}, async (here) => {
      const anna = await (await here.person("Anna")).tab("config/deploy.yaml");
      await anna.locator(".editor .cm-line", { hasText: "us-east" }).click();
      await here.cli(["write", "config/deploy.yaml"], { session: "deploy", input: `# a new first line\n${YAML}` });
      await shows(anna, "a new first line");
      await toast(anna, "now as saved by deploy");
      equal("the cursor's line", await anna.locator(".editor .cm-activeLine").innerText(), "  - us-east");
      await save(anna);
      await toast(anna, "Nothing to save");
    }),

  /** SERVE-5: theirs changes again while the dialog is open: it says so, and what was decided stays decided. */
  "theirs changes again while the dialog is open": () =>
    on({}, async (here) => {
      const ben = await (await here.person("Ben")).tab("config/deploy.yaml");
      await type(ben, "replicas", " and Ben");
      await change(ben, "cpu:", "cpu: 550m");
      const theirs = YAML.replace("per zone", "per zone and Anna").replace("cpu: 500m", "cpu: 600m");
      await here.cli(["write", "config/deploy.yaml"], { session: "Anna", input: theirs });
      await save(ben);
      await dialog(ben).locator(".place").nth(1).waitFor();
      await ben.keyboard.press("Alt+1");
      await dialog(ben).getByText("1 still open").waitFor();
      const again = theirs.replace("cpu: 600m", "cpu: 700m");
      await here.cli(["write", "config/deploy.yaml"], { session: "Anna", input: again });
      await dialog(ben)
        .getByText(/Anna saved again while this was open/)
        .waitFor();
      equal(
        "decided before",
        await dialog(ben)
          .locator(".place")
          .first()
          .getByRole("button", { name: /Take mine/ })
          .getAttribute("aria-pressed"),
        "true",
      );
      const second = dialog(ben).locator(".place").nth(1);
      await second.getByText("700m").waitFor();
      await second.getByRole("button", { name: "Write it yourself" }).click();
      await second.getByRole("textbox").fill("  cpu: 650m # agreed");
      await ben.keyboard.press("Control+s");
      await saved(ben);
      equal(
        "the disk",
        here.read("config/deploy.yaml"),
        YAML.replace("per zone", "per zone and Ben").replace("cpu: 500m", "cpu: 650m # agreed"),
      );
    }),

  /** SERVE-5, VER-3: keep mine and keep theirs; the version that loses is kept. */
  "keep mine, keep theirs: both are kept": () =>
    on({}, async (here) => {
      const ben = await (await here.person("Ben")).tab("config/deploy.yaml");
      const theirs = YAML.replace("per zone", "per zone and Anna");
      const mine = YAML.replace("per zone", "per zone and Ben");
      await type(ben, "replicas", " and Ben");
      await here.cli(["write", "config/deploy.yaml"], { session: "Anna", input: theirs });
      await save(ben);
      await dialog(ben).getByRole("button", { name: "Keep mine" }).click();
      await saved(ben);
      equal("the disk", here.read("config/deploy.yaml"), mine);
      await ben.getByRole("button", { name: "History", exact: true }).click();
      await ben.locator(".item-button", { hasText: "Anna" }).first().click();
      await ben.locator(".comparison", { hasText: "and Anna" }).waitFor();
      await ben.getByRole("button", { name: "Restore this version" }).click();
      await toast(ben, "restored");
      await until("the disk has theirs again", () => here.read("config/deploy.yaml") === theirs);
      await until("the editor, too", async () => (await text(ben)) === theirs);

      await type(ben, "replicas", " and Ben again");
      await here.cli(["write", "config/deploy.yaml"], { session: "Anna", input: theirs.replace("Anna", "Anna again") });
      await save(ben);
      await dialog(ben).getByRole("button", { name: "Keep theirs" }).click();
      await shows(ben, "Anna again");
      await ben.getByRole("tab", { name: /Drafts/ }).click();
      await ben.locator(".item", { hasText: "put aside by “Keep theirs”" }).waitFor();
    }),

  /** SERVE-5: a new file, its folder with it; a name that is there meanwhile is a conflict, not overwritten. */
  "a new file": () =>
    on({}, async (here) => {
      const anna = await (await here.person("Anna")).tab();
      const make = async (path) => {
        await anna.getByRole("button", { name: "New file" }).click();
        await anna.getByLabel("Path").fill(path);
        await anna.keyboard.press("Enter");
        await anna.locator(`.open-file.active button[title="${path}"]`).waitFor();
        await state(anna, "New file");
        await anna.locator(".editor .cm-content").click();
      };
      await make("new/folder/notes.md");
      await anna.keyboard.type("# Notes");
      await save(anna);
      await saved(anna);
      equal("the disk", here.read("new/folder/notes.md"), "# Notes");
      await anna.locator('[data-path="new/folder/notes.md"], [data-path="new"]').first().waitFor();
      await make("taken.txt");
      await anna.keyboard.type("mine");
      here.write("taken.txt", "theirs\n");
      await save(anna);
      await dialog(anna).waitFor();
      equal("the disk", here.read("taken.txt"), "theirs\n");
    }),

  /** SERVE-5: line ends and a missing last one stay as they are. */
  "line ends stay": () =>
    on({ "dos.txt": "one\r\ntwo\r\n", "mixed.txt": "one\r\ntwo\nthree" }, async (here) => {
      const anna = await (await here.person("Anna")).tab("dos.txt");
      await type(anna, "one", "!");
      await save(anna);
      await saved(anna);
      equal("CRLF", here.read("dos.txt"), "one!\r\ntwo\r\n");
      await open(anna, "mixed.txt");
      await shows(anna, "three");
      await type(anna, "three", "!");
      await save(anna);
      await saved(anna);
      equal("mixed", here.read("mixed.txt"), "one\r\ntwo\nthree!");
    }),
};
