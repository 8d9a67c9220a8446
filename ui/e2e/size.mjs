import { on } from "./editing.mjs";
import { drafted, equal, open, save, saved, shows, type, until } from "./harness.mjs";

const many = (count) =>
  Object.fromEntries(Array.from({ length: count }, (_, i) => [`files/part-${i % 40}/file-${i}.json`, `{ "number": ${i} }\n`]));

export const scenarios = {
  /** SERVE-5: a thousand files: few of them are in the page, all are found. */
  "1,000 files": () =>
    on(many(1000), async (here) => {
      const anna = await (await here.person("Anna")).tab();
      await anna.getByText("1,001 files").waitFor();
      await anna.getByRole("searchbox", { name: "Search files" }).fill("file-");
      await until("rows", async () => (await anna.locator(".row").count()) > 20);
      equal("few rows are in the page", (await anna.locator(".row").count()) < 120, true);
      await anna.getByRole("searchbox", { name: "Search files" }).fill("file-777");
      await anna.keyboard.press("Enter");
      await shows(anna, '"number": 777');
      // By the keyboard alone: the last file of the tree.
      await anna.getByRole("searchbox", { name: "Search files" }).fill("");
      await anna.locator('.row[tabindex="0"]').focus();
      await anna.keyboard.press("End");
      await until("the focus is on the last row", () =>
        anna.evaluate(() => document.activeElement?.getAttribute("aria-posinset") === document.activeElement?.getAttribute("aria-setsize")),
      );
    }),

  /** SERVE-5: 5 MB: typing, the draft, saving. */
  "5 MB": () => {
    const big =
      Array.from({ length: 100_000 }, (_, i) => `key-${String(i).padStart(6, "0")}: a value that makes the line this long, ${i}`).join(
        "\n",
      ) + "\n";
    return on({ "big.yaml": big }, async (here) => {
      const anna = await (await here.person("Anna")).tab();
      await open(anna, "big.yaml");
      await anna.locator(".editor .cm-line", { hasText: "key-000000" }).waitFor();
      await type(anna, "key-000000", " typed");
      const longest = await anna.evaluate(
        () =>
          new Promise((resolve) => {
            // The longest time that no frame was drawn while keys come.
            let [last, most, frames] = [performance.now(), 0, 0];
            const frame = (now) => {
              most = Math.max(most, now - last);
              last = now;
              frames += 1;
              if (frames < 90) requestAnimationFrame(frame);
              else resolve(most);
            };
            requestAnimationFrame(frame);
          }),
      );
      await anna.keyboard.type(" and more");
      await drafted(anna, "typed and more");
      await save(anna);
      await saved(anna);
      equal("the disk", here.read("big.yaml"), big.replace("long, 0\n", "long, 0 typed and more\n"));
      console.log(`        longest pause while the draft was written: ${Math.round(longest)} ms`);
    });
  },
};
