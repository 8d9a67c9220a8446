import { expect, test } from "vitest";
import { Content } from "../src/state/content";
import { unsaved } from "../src/state/document";
import { random, World } from "./world";

const pick = <T>(from: readonly T[], next: () => number): T | undefined => from[Math.floor(next() * from.length)];

async function act(world: World, next: () => number): Promise<string> {
  const waiting = world.requests.filter((request) => request.answer === null);
  const answered = world.requests.filter((request) => request.answer !== null);
  const theirs = world.disk();
  const moves: [number, string, () => void | Promise<void>][] = [
    [6, "type", () => world.type()],
    [4, "save", () => world.dispatch({ type: "save" })],
    [1, "save, queued if locked", () => world.dispatch({ type: "save", queue: true })],
    [
      6,
      "the server works",
      () => {
        const one = pick(waiting, next);
        if (one) world.work(one);
      },
    ],
    [
      6,
      "an answer comes",
      () => {
        const one = pick(answered, next);
        if (one) world.deliver(one);
      },
    ],
    [
      2,
      "no answer comes",
      () => {
        const one = pick(world.requests, next);
        if (one) world.lose(one);
      },
    ],
    [3, "another writes", () => world.server.write(next() < 0.5 ? `${world.server.current.text}<other>\n` : "<other, all new>\n", "anna")],
    [1, "another removes", () => world.server.write(null, "anna")],
    [
      4,
      "an event comes",
      () => {
        const one = world.server.events.shift();
        if (one) world.dispatch({ type: "changed", version: one });
      },
    ],
    [1, "lock", () => void (world.server.locked = true)],
    [2, "unlock", () => world.server.unlock()],
    [2, "the line is back", () => world.dispatch({ type: "look-again" })],
    [3, "time passes", () => world.settleDrafts()],
    [1, "crash", () => world.crash()],
    [1, "dismiss", () => world.dispatch({ type: "dismissed" })],
    [1, "keep theirs", () => world.dispatch({ type: "take-theirs", theirs, why: "test" })],
    [1, "keep mine", () => world.dispatch({ type: "take", content: world.doc.content, theirs, save: true })],
    [
      1,
      "merge",
      () => world.dispatch({ type: "take", content: Content.of(`${theirs.content}${world.doc.content}`), theirs, save: next() < 0.5 }),
    ],
    [1, "take what is there", () => world.dispatch({ type: "take", content: Content.of("quite different\n"), theirs, save: false })],
  ];
  let at = next() * moves.reduce((sum, [weight]) => sum + weight, 0);
  for (const [weight, name, run] of moves) {
    at -= weight;
    if (at > 0) continue;
    await run();
    return name;
  }
  return "";
}

/** SERVE-5: whatever happens in whatever order, no typed text is lost. */
test("typed text is never lost", async () => {
  for (let seed = 1; seed <= 2500; seed += 1) {
    const world = new World();
    const next = random(seed);
    const log: string[] = [];
    for (let i = 0; i < 70; i += 1) {
      try {
        log.push(await act(world, next));
        world.log = log;
      } catch (error) {
        throw new Error(`seed ${seed}: ${String(error)}; after ${log.join(" · ")}`);
      }
      await world.keeper.settled();
      if (world.lost().length > 0) throw new Error(`seed ${seed}: lost ${world.lost().join()} after ${log.join(" · ")}`);
    }
    await quiet(world, seed);
  }
}, 60_000);

/** SERVE-5: when nothing happens any more, the page shows what is on the disk, or says that its text is not saved. */
async function quiet(world: World, seed: number): Promise<void> {
  world.server.unlock();
  if (world.missed || world.doc.save.kind === "queued") world.dispatch({ type: "look-again" });
  for (let round = 0; round < 30; round += 1) {
    for (const version of world.server.events.splice(0)) world.dispatch({ type: "changed", version });
    for (const request of [...world.requests]) world.work(request);
    for (const request of [...world.requests]) world.deliver(request);
    if (world.doc.save.kind === "queued") world.dispatch({ type: "look-again" });
    world.dispatch({ type: "dismissed" });
  }
  await world.settleDrafts();
  const { doc, server } = world;
  const about = `seed ${seed}: ${world.log.slice(-14).join(" · ")}`;
  expect(world.requests, about).toEqual([]);
  expect(doc.save.kind, about).toBe("idle");
  expect((doc.newer ?? doc.base).hash, about).toBe(server.current.hash);
  if (!unsaved(doc)) expect(doc.content.toString(), about).toBe(server.current.text);
  // A draft is kept exactly while there is unsaved text.
  const open = [...world.store.drafts.values()].filter((draft) => draft.kind === "open");
  expect(
    open.map((draft) => draft.text),
    about,
  ).toEqual(unsaved(doc) ? [doc.content.toString()] : []);
}
