import { describe, expect, test } from "vitest";
import type { Segment } from "../src/api/types";
import { again, answer, begin, both, confirm, open, places, type Part, result, wholeLines } from "../src/state/conflict";
import { random } from "./world";

const conflict = (base: string, ours: string, theirs: string): Segment => ({ type: "conflict", base, ours, theirs });
const same = (text: string): Segment => ({ type: "same", text });
const side = (parts: readonly Part[], which: "ours" | "theirs" | "base"): string =>
  parts.map((part) => (part.kind === "place" ? part[which] : part.text)).join("");
const sideOf = (segments: readonly Segment[], which: "ours" | "theirs" | "base"): string =>
  segments.map((segment) => (segment.type === "conflict" ? segment[which] : segment.text)).join("");

describe("places to decide", () => {
  test("whole lines stay as they are", () => {
    const parts = wholeLines([same("a\n"), conflict("b\n", "B\n", "bb\n"), same("c\n")]);
    expect(parts).toEqual([
      { kind: "same", text: "a\n" },
      { kind: "place", id: 0, base: "b\n", ours: "B\n", theirs: "bb\n" },
      { kind: "same", text: "c\n" },
    ]);
  });

  test("a place within a line becomes the line, two in one line become one", () => {
    const parts = wholeLines([same('{\n  "a": '), conflict("1", "2", "3"), same(', "b": '), conflict("1", "4", "5"), same(",\n}\n")]);
    expect(parts).toEqual([
      { kind: "same", text: "{\n" },
      { kind: "place", id: 0, base: '  "a": 1, "b": 1,\n', ours: '  "a": 2, "b": 4,\n', theirs: '  "a": 3, "b": 5,\n' },
      { kind: "same", text: "}\n" },
    ]);
  });

  /** SERVE-5: widening to lines changes no side: chosen everywhere alike, a side's text comes out. */
  test("no letter is lost or added, whatever the segments", () => {
    for (let seed = 1; seed <= 2000; seed += 1) {
      const next = random(seed);
      const text = (): string => Array.from({ length: Math.floor(next() * 6) }, () => "ab \n\n"[Math.floor(next() * 5)]).join("");
      const segments = Array.from({ length: Math.floor(next() * 8) }, (): Segment => {
        const kind = next();
        return kind < 0.4
          ? conflict(text(), text(), text())
          : kind < 0.7
            ? same(text())
            : { type: "merged", text: text(), from: next() < 0.5 ? "ours" : "theirs" };
      });
      const parts = wholeLines(segments);
      for (const which of ["ours", "theirs", "base"] as const) expect(side(parts, which), `seed ${seed}`).toBe(sideOf(segments, which));
      let merging = begin(segments);
      for (const place of places(merging)) merging = answer(merging, place.id, "theirs");
      expect(result(merging), `seed ${seed}`).toBe(sideOf(segments, "theirs"));
    }
  });
});

describe("answers", () => {
  const segments = [same("a\n"), conflict("b\n", "mine\n", "theirs\n"), same("c\n"), conflict("d\n", "m\n", "t\n")];

  test("no result while a place is open", () => {
    const merging = answer(begin(segments), 0, "mine");
    expect([result(merging), open(merging)]).toEqual([null, [1]]);
    expect(result(answer(merging, 1, "both"))).toBe("a\nmine\nc\nm\nt\n");
    expect(result(answer(merging, 1, "edited", "own\n"))).toBe("a\nmine\nc\nown\n");
  });

  test("both: each on lines of its own", () => {
    expect(both({ kind: "place", id: 0, base: "", ours: "x", theirs: "y" })).toBe("x\ny");
    expect(both({ kind: "place", id: 0, base: "", ours: "x", theirs: "y\r\n" })).toBe("x\r\ny\r\n");
    expect(both({ kind: "place", id: 0, base: "", ours: "x\n", theirs: "y\n" })).toBe("x\ny\n");
  });

  /** SERVE-5: theirs changes while the dialog is open: what was decided stays decided. */
  test("compared again: answers go with their places", () => {
    const decided = answer(answer(begin(segments), 0, "theirs"), 1, "mine");
    const moved = again(decided, [conflict("0\n", "mine 0\n", "new\n"), ...segments]);
    expect(open(moved)).toEqual([0]);
    expect([moved.answers.get(1)?.choice, moved.answers.get(2)?.choice]).toEqual(["theirs", "mine"]);
  });

  test("a place that looks different asks once more, unless my own side was chosen", () => {
    const decided = answer(answer(begin(segments), 0, "theirs"), 1, "mine");
    const changed = again(decided, [same("a\n"), conflict("b\n", "mine\n", "other\n"), same("c\n"), conflict("d\n", "m\n", "other\n")]);
    expect(open(changed)).toEqual([0]);
    expect(result(changed)).toBe(null);
    expect(result(confirm(changed, 0))).toBe("a\nother\nc\nm\n");
  });

  test("own words whose place is gone are put aside", () => {
    const edited = answer(begin(segments), 0, "edited", "own words\n");
    expect(again(edited, [same("a\nb\nc\n")]).aside).toEqual(["own words\n"]);
  });

  test("parts that stay are the same objects", () => {
    const before = begin(segments);
    const after = again(before, [...segments, same("more\n")]);
    expect(after.parts.slice(0, 3).every((part, i) => part === before.parts[i])).toBe(true);
  });
});
