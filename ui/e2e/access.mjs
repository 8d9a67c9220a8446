import { on, YAML } from "./editing.mjs";
import { drafted, equal, online, save, saved, shows, text, toast, type } from "./harness.mjs";

export const scenarios = {
  /** SERVE-7, SERVE-5: logged in by the link; a login that ended with the server loses nothing. */
  "a login, and its end": () =>
    on(
      {},
      async (here) => {
        const person = await here.person("Anna");
        const anna = await person.tab("config/deploy.yaml");
        await type(anna, "replicas", " and Anna");
        await drafted(anna, "and Anna");
        await here.restart();
        await anna.getByText("You are logged out.").waitFor();
        await shows(anna, "and Anna");
        // A new login in another tab is a login for this one too.
        const other = await person.context.newPage();
        await other.goto(here.loginLink);
        await online(other);
        await online(anna);
        await anna.getByText("You are logged out.").waitFor({ state: "detached" });
        await anna.bringToFront();
        await type(anna, "image", " # again");
        await save(anna);
        await saved(anna);
        equal(
          "the disk",
          here.read("config/deploy.yaml"),
          YAML.replace("per zone", "per zone and Anna").replace('"app:1.4"', '"app:1.4" # again'),
        );
      },
      { login: true },
    ),

  /** SERVE-7: a login that may only read: the page says so, and nothing can be typed or saved. */
  "a login that may only read": () =>
    on(
      {},
      async (here) => {
        const token = (await here.cli(["token", "create", "admin", "--scope", "admin"])).trim();
        const answer = await fetch(`${here.url}/api/login-links`, {
          method: "POST",
          headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
          body: JSON.stringify({ scopes: ["read"] }),
        });
        here.loginLink = (await answer.json()).url;
        const anna = await (await here.person("Anna")).tab("config/deploy.yaml");
        await anna.getByText("You may read here, not write").waitFor();
        await anna.locator(".editor .cm-line").first().click();
        await anna.keyboard.type("typed");
        await save(anna);
        await toast(anna, "may not save");
        equal("the text", await text(anna), YAML);
        equal("the button", await anna.getByRole("button", { name: "Save", exact: true }).isDisabled(), true);
      },
      { login: true },
    ),
};
