import { describe, expect, test } from "vitest";
import type { Holder } from "../src/api/types";
import { Content, EMPTY } from "../src/state/content";
import { type Base, begin, type Doc, type Effect, type Event, step, unsaved } from "../src/state/document";

const base = (text: string | null, hash: string | null, by = "anna"): Base => ({
  hash,
  by,
  at: "2026-01-01T00:00:00.000Z",
  content: text === null ? EMPTY : Content.of(text),
});

/** Runs events one after the other; reads are answered by the events given. */
function run(doc: Doc, ...events: Event[]): { doc: Doc; effects: Effect[] } {
  let effects: Effect[] = [];
  for (const event of events) ({ doc, effects } = step(doc, event));
  return { doc, effects };
}
const read = (doc: Doc, disk: Base): Event => ({ type: "read", number: doc.reading ?? -1, disk });
const opened = (text = "one\n"): Doc => {
  const { doc } = begin("a.txt");
  return run(doc, read(doc, base(text, "h1"))).doc;
};
const typed = (text: string): Event => ({ type: "typed", content: Content.of(text) });
const kinds = (effects: Effect[]): string[] => effects.map((effect) => effect.do);
const holder: Holder = { session: "deploy" };

describe("one open file", () => {
  /** SERVE-5: a save names the version it began from; nothing is shown as saved before the server said so. */
  test("save", () => {
    const { doc, effects } = run(opened(), typed("two\n"), { type: "save" });
    expect(effects).toEqual([{ do: "put", content: doc.content, expected: "h1", queue: false }]);
    expect(unsaved(doc)).toBe(true);
    const after = run(doc, { type: "saved", hash: "h2", at: "", by: "me" }).doc;
    expect([unsaved(after), after.base.hash, after.save.kind]).toEqual([false, "h2", "idle"]);
  });

  test("typed while a save was under way: the newer text stays, unsaved, from the saved version", () => {
    const { doc } = run(opened(), typed("two\n"), { type: "save" }, typed("two and\n"), { type: "saved", hash: "h2", at: "", by: "me" });
    expect([doc.content.toString(), doc.base.hash, doc.base.content.toString(), unsaved(doc)]).toEqual(["two and\n", "h2", "two\n", true]);
  });

  test("a new file is saved on the condition that there is none", () => {
    const { doc } = begin("new.txt");
    const { effects } = run(doc, read(doc, base(null, null)), typed("x"), { type: "save" });
    expect(effects[0]).toMatchObject({ do: "put", expected: null });
  });

  /** SERVE-5: with nothing typed the text follows the disk; with something typed it stays, and the newer version is told. */
  test("changed by another", () => {
    const heard: Event = { type: "changed", version: { hash: "h2", by: "anna", at: "" } };
    const clean = run(opened(), heard);
    expect(kinds(clean.effects)).toEqual(["read"]);
    expect(run(clean.doc, read(clean.doc, base("theirs\n", "h2"))).doc.content.toString()).toBe("theirs\n");

    const dirty = run(opened(), typed("mine\n"), heard);
    const told = run(dirty.doc, read(dirty.doc, base("theirs\n", "h2"))).doc;
    expect([told.content.toString(), told.newer?.hash, told.base.hash]).toEqual(["mine\n", "h2", "h1"]);
  });

  test("typed while the newer version was read: the text stays", () => {
    const { doc } = run(opened(), { type: "changed", version: { hash: "h2", by: "anna", at: "" } }, typed("mine\n"));
    const told = run(doc, read(doc, base("theirs\n", "h2"))).doc;
    expect([told.content.toString(), told.newer?.hash]).toEqual(["mine\n", "h2"]);
  });

  test("the own save's event, before and after its answer, is no change", () => {
    const event: Event = { type: "changed", version: { hash: "h2", by: "me", at: "" } };
    const saving = run(opened(), typed("two\n"), { type: "save" }).doc;
    for (const order of [
      [event, { type: "saved", hash: "h2", at: "", by: "me" }],
      [{ type: "saved", hash: "h2", at: "", by: "me" }, event],
    ] as Event[][]) {
      const { doc, effects } = run(saving, ...order);
      expect([doc.newer, kinds(effects).filter((kind) => kind !== "say")]).toEqual([null, []]);
    }
  });

  test("another's change that was heard while a save was under way is looked at after it", () => {
    const { effects } = run(
      opened(),
      typed("two\n"),
      { type: "save" },
      { type: "changed", version: { hash: "h3", by: "anna", at: "" } },
      { type: "saved", hash: "h2", at: "", by: "me" },
    );
    expect(kinds(effects)).toContain("read");
  });

  test("the answer of a read that a save overtook is not believed", () => {
    const asked = run(opened(), { type: "look-again" }).doc;
    const late = read(asked, base("one\n", "h1"));
    const { doc, effects } = run(asked, typed("two\n"), { type: "save" }, { type: "saved", hash: "h2", at: "", by: "me" }, late);
    expect([doc.content.toString(), kinds(effects)]).toEqual(["two\n", ["read"]]);
  });

  test("answers of older reads are not looked at", () => {
    const first = run(opened(), { type: "look-again" }).doc;
    const second = run(first, { type: "look-again" }).doc;
    expect(run(second, read(first, base("old\n", "h0"))).doc).toBe(second);
  });

  /** SERVE-5: a conflict changes nothing on the screen. */
  test("conflict", () => {
    const { doc } = run(
      opened(),
      typed("mine\n"),
      { type: "save" },
      { type: "refused-conflict", theirs: { hash: "h2", by: "anna", at: "" } },
    );
    expect([doc.save.kind, doc.content.toString(), doc.newer?.hash]).toEqual(["conflict", "mine\n", "h2"]);
  });

  test("conflict with our own save, of which no answer had come: settled", () => {
    const conflict = run(
      opened(),
      typed("mine\n"),
      { type: "save" },
      { type: "refused-conflict", theirs: { hash: "h2", by: "me", at: "" } },
      { type: "look-again" },
    ).doc;
    const after = run(conflict, read(conflict, base("mine\n", "h2", "me"))).doc;
    expect([after.save.kind, unsaved(after)]).toEqual(["idle", false]);
  });

  test("conflict with our own save, and typed on since: settled, the rest is unsaved", () => {
    const { doc } = run(
      opened(),
      typed("mine\n"),
      { type: "save" },
      typed("mine and more\n"),
      { type: "refused-conflict", theirs: { hash: "h2", by: "me", at: "" } },
      { type: "look-again" },
    );
    const after = run(doc, read(doc, base("mine\n", "h2", "me"))).doc;
    expect([after.save.kind, after.newer, after.content.toString(), unsaved(after)]).toEqual(["idle", null, "mine and more\n", true]);
  });

  test("asked to look again while a save is under way: looked at after it", () => {
    const { effects } = run(
      opened(),
      typed("two\n"),
      { type: "save" },
      { type: "look-again" },
      { type: "saved", hash: "h2", at: "", by: "me" },
    );
    expect(kinds(effects)).toContain("read");
  });

  test("decided for theirs: the own text is put aside", () => {
    const { doc, effects } = run(opened(), typed("mine\n"), { type: "take-theirs", theirs: base("theirs\n", "h2"), why: "test" });
    expect(doc.content.toString()).toBe("theirs\n");
    expect(effects.find((effect) => effect.do === "aside")).toMatchObject({ why: "test" });
  });

  test("decided for the merged text: saved on theirs", () => {
    const { effects } = run(opened(), typed("mine\n"), {
      type: "take",
      content: Content.of("both\n"),
      theirs: base("theirs\n", "h2"),
      save: true,
    });
    expect(kinds(effects)).toEqual(["aside", "put"]);
    expect(effects[1]).toMatchObject({ expected: "h2" });
  });

  /** SERVE-6a: the lock was not had: retry, cancel, or leave it queued; the text stays. */
  test("a lock that is not had", () => {
    const locked = run(opened(), typed("mine\n"), { type: "save" }, { type: "refused-lock", holder, leased: false }).doc;
    expect(locked.save).toMatchObject({ kind: "locked", holder });
    expect(run(locked, { type: "save" }).effects).toMatchObject([{ do: "put", queue: false, expected: "h1" }]);
    expect(run(locked, { type: "dismissed" }).doc).toMatchObject({ save: { kind: "idle" } });
    const queued = run(locked, { type: "save", queue: true }, { type: "queued", id: "q", holder: null }).doc;
    expect(unsaved(queued)).toBe(true);
    const other = run(queued, { type: "queue-ended", id: "other", state: "written", hash: "h9", at: "", by: "" }).doc;
    expect(other).toBe(queued);
    const written = run(queued, { type: "queue-ended", id: "q", state: "written", hash: "h2", at: "", by: "me" }).doc;
    expect([unsaved(written), written.base.hash]).toEqual([false, "h2"]);
    expect(run(queued, { type: "queue-ended", id: "q", state: "cancelled", at: "", by: "" }).doc.content.toString()).toBe("mine\n");
    expect(run(queued, { type: "queue-ended", id: "q", state: "failed", at: "", by: "" }).doc.save.kind).toBe("failed");
  });

  /** SERVE-6a: a second save while one is queued is not sent. */
  test("queued: no second save", () => {
    const { effects } = run(
      opened(),
      typed("mine\n"),
      { type: "save", queue: true },
      { type: "queued", id: "q", holder: null },
      typed("more\n"),
      { type: "save" },
    );
    expect(kinds(effects)).toEqual(["say"]);
  });

  test("a queued save of a former life: text typed after it is not taken as saved", () => {
    const restored = run(opened(), {
      type: "restore",
      content: Content.of("mine and more\n"),
      base: base("one\n", "h1"),
      queuedId: "q",
    }).doc;
    const ended = run(restored, { type: "queue-ended", id: "q", state: "written", hash: "h2", at: "", by: "me" }).doc;
    const after = run(ended, read(ended, base("mine\n", "h2", "me"))).doc;
    expect([after.content.toString(), unsaved(after), after.newer?.hash]).toEqual(["mine and more\n", true, "h2"]);
  });

  /** SERVE-5: no answer to a save: the file is read, and its content tells. */
  test("no answer", () => {
    const unsure = run(opened(), typed("mine\n"), { type: "save" }, { type: "no-answer" }, { type: "look-again" }).doc;
    expect(unsure.save.kind).toBe("unsure");
    expect(run(unsure, read(unsure, base("mine\n", "h2", "me"))).doc).toMatchObject({ save: { kind: "idle" }, base: { hash: "h2" } });
    expect(run(unsure, read(unsure, base("one\n", "h1"))).effects).toMatchObject([{ do: "put", expected: "h1" }]);
    const other = run(unsure, read(unsure, base("theirs\n", "h3")));
    expect([other.doc.save.kind, kinds(other.effects)]).toEqual(["conflict", []]);
  });

  test("removed by another: the text stays on the screen; made anew, it follows", () => {
    const asked = run(opened(), { type: "changed", version: { hash: null, by: "anna", at: "" } }).doc;
    const gone = run(asked, read(asked, base(null, null))).doc;
    expect([gone.content.toString(), unsaved(gone), gone.base.hash]).toEqual(["one\n", true, null]);
    const again = run(gone, { type: "changed", version: { hash: "h5", by: "anna", at: "" } }).doc;
    expect(run(again, read(again, base("new\n", "h5"))).doc.content.toString()).toBe("new\n");
    const on = run(again, typed("one more\n")).doc;
    expect(run(on, read(on, base("new\n", "h5"))).doc.content.toString()).toBe("one more\n");
  });

  test("a draft of what is on the disk by now was saved", () => {
    const { doc } = run(opened("two\n"), { type: "restore", content: Content.of("two\n"), base: base("one\n", "h0") });
    expect([unsaved(doc), doc.newer]).toEqual([false, null]);
  });

  test("a draft from an older version says that there is a newer one", () => {
    const { doc } = run(opened(), { type: "restore", content: Content.of("mine\n"), base: base("zero\n", "h0") });
    expect([doc.content.toString(), doc.base.hash, doc.newer?.hash]).toEqual(["mine\n", "h0", "h1"]);
  });

  test("a draft over unsaved text: that is put aside", () => {
    const { effects } = run(opened(), typed("here\n"), { type: "restore", content: Content.of("draft\n"), base: null });
    expect(kinds(effects)).toContain("aside");
  });
});
