import { EditorState, Text } from "@codemirror/state";
import { describe, expect, test } from "vitest";
import { follow, smallest } from "../src/editor/follow";

const lines = (text: string): Text => Text.of(text.split("\n"));
const apply = (before: string, after: string, at: number): { text: string; at: number } => {
  const state = EditorState.create({ doc: lines(before), selection: { anchor: at } });
  const spec = follow(state.doc, lines(after), state.selection.main);
  const next = spec === null ? state : state.update(spec).state;
  return { text: next.doc.toString(), at: next.selection.main.head };
};

describe("following a changed text", () => {
  const words = [
    "",
    "a",
    "b",
    "a\n",
    "\n",
    "a\nb",
    "b\na",
    "a\nb\nc",
    "a\nx\nc",
    "a\nb\n",
    "a\n\nb",
    "a\nb\nb\nc",
    "c",
    "\n\n",
    "a\nc",
    "b\nc",
  ];
  test.each(words.flatMap((before) => words.map((after) => [before, after] as const)))("%j becomes %j", (before, after) => {
    for (let at = 0; at <= before.length; at += 1) expect(apply(before, after, at).text).toBe(after);
  });

  /** SERVE-5: the cursor is kept when a file without unsaved text follows the disk. */
  test("the cursor keeps its place in the text", () => {
    expect(apply("one\ntwo\nthree", "zero\none\ntwo\nthree", 5).at).toBe(10);
    expect(apply("one\ntwo\nthree", "one\ntwo\nthree\nfour", 5).at).toBe(5);
    expect(apply("one\ntwo\nthree", "one\nTWO\nthree", 5).at).toBe(5);
  });

  test("only what differs is replaced", () => {
    expect(smallest(lines("a\nb\nc"), lines("a\nx\nc"))).toMatchObject({ from: 2, to: 4 });
    expect(smallest(lines("a\nb"), lines("a\nb"))).toBe(null);
  });
});
