import { on, YAML } from "./editing.mjs";
import { drafted, equal, online, save, saved, shows, type } from "./harness.mjs";

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
};
