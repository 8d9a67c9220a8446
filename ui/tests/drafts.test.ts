import { describe, expect, test } from "vitest";
import { Content, EMPTY } from "../src/state/content";
import { begin, type Doc, step } from "../src/state/document";
import { draftId, Keeper, LONGEST_MS, PAUSE_MS } from "../src/state/drafts";
import { FakeClock, MemoryStore } from "./world";

const opened = (path = "a.txt"): Doc => {
  const { doc } = begin(path);
  return step(doc, { type: "read", number: 0, disk: { hash: "h1", by: null, at: null, content: Content.of("one\n") } }).doc;
};
const typed = (doc: Doc, text: string): Doc => step(doc, { type: "typed", content: Content.of(text) }).doc;
function setUp(tab = "tab", store = new MemoryStore()) {
  const clock = new FakeClock();
  const told: boolean[] = [];
  const keeper = new Keeper("root", tab, store, clock, (broken) => void told.push(broken));
  return { clock, store, keeper, told };
}

describe("drafts", () => {
  /** SERVE-5: what was typed is in the browser's store a moment later, with what it began from. */
  test("kept a moment after the last key", async () => {
    const { clock, store, keeper } = setUp();
    keeper.note(typed(opened(), "two\n"));
    clock.pass(PAUSE_MS - 1);
    await keeper.settled();
    expect(store.drafts.size).toBe(0);
    clock.pass(1);
    await keeper.settled();
    expect([...store.drafts.values()]).toMatchObject([{ path: "a.txt", text: "two\n", baseText: "one\n", base: { hash: "h1" } }]);
  });

  test("and while keys go on without a pause, not later than the longest time", async () => {
    const { clock, store, keeper } = setUp();
    let doc = opened();
    for (let passed = 0; passed <= LONGEST_MS; passed += 100) {
      doc = typed(doc, `${doc.content}x`);
      keeper.note(doc);
      clock.pass(100);
    }
    await keeper.settled();
    expect(store.drafts.size).toBe(1);
  });

  test("gone when the text is saved, also if it was never written", async () => {
    const { clock, store, keeper } = setUp();
    const doc = typed(opened(), "two\n");
    keeper.note(doc);
    clock.pass(PAUSE_MS);
    keeper.note(typed(doc, "one\n"));
    clock.pass(5000);
    await keeper.settled();
    expect(store.drafts.size).toBe(0);
    keeper.note(doc);
    keeper.note(typed(doc, "one\n"));
    clock.pass(5000);
    await keeper.settled();
    expect(store.drafts.size).toBe(0);
  });

  test("a freshly read file does not remove the draft that waits to be brought back", async () => {
    const before = setUp();
    before.keeper.note(typed(opened(), "two\n"));
    await before.keeper.flush();
    const { keeper, store } = setUp("tab", before.store);
    keeper.note(opened());
    await keeper.settled();
    expect(store.drafts.size).toBe(1);
  });

  /** SERVE-5: two tabs of one browser never write each other's drafts. */
  test("each tab its own", async () => {
    const one = setUp("one");
    const two = setUp("two", one.store);
    one.keeper.note(typed(opened(), "first\n"));
    two.keeper.note(typed(opened(), "second\n"));
    await one.keeper.flush();
    await two.keeper.flush();
    expect(one.store.drafts.get(draftId("root", "one", "a.txt"))?.text).toBe("first\n");
    expect(one.store.drafts.get(draftId("root", "two", "a.txt"))?.text).toBe("second\n");
  });

  test("the page is put away: last words at once", () => {
    const { store, keeper } = setUp();
    keeper.note(typed(opened(), "two\n"));
    keeper.leaving();
    expect([...store.last.values()]).toMatchObject([{ text: "two\n" }]);
  });

  test("a file that is closed with unsaved text: put aside", async () => {
    const { store, keeper } = setUp();
    const doc = typed(opened(), "two\n");
    keeper.note(doc);
    keeper.closed(doc);
    await keeper.settled();
    expect([...store.drafts.values()]).toMatchObject([{ kind: "aside", text: "two\n" }]);
  });

  test("a store that fails is told, and its recovery too", async () => {
    const { clock, store, keeper, told } = setUp();
    store.broken = true;
    keeper.note(typed(opened(), "two\n"));
    clock.pass(PAUSE_MS);
    await keeper.settled();
    store.broken = false;
    keeper.note(typed(opened(), "three\n"));
    clock.pass(PAUSE_MS);
    await keeper.settled();
    expect(told).toEqual([true, false]);
    expect(store.drafts.size).toBe(1);
  });

  test("what was put aside long ago is removed; an open draft never", async () => {
    const { clock, store, keeper } = setUp();
    keeper.aside("old.txt", Content.of("x"), { hash: null, by: null, at: null, content: EMPTY }, "test");
    keeper.note(typed(opened(), "two\n"));
    await keeper.flush();
    clock.time += 31 * 86_400_000;
    expect((await keeper.list()).map((draft) => draft.path)).toEqual(["a.txt"]);
    await keeper.settled();
    expect(store.drafts.size).toBe(1);
  });
});
