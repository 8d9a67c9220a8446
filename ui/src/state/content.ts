// A file's text as the editor keeps it, without changing a byte of it on the way.
//
// The editor knows lines, not line ends. A file whose line ends are all alike is cut into lines and joined with the same ends. In a
// file that mixes them only "\n" cuts, and "\r" stays in the text as a character, so what is not touched stays as it was.
// The lines are a tree (CodeMirror's `Text`): versions share what is the same, and no version is made into one string before
// somebody needs it. Typing in 5 MB costs what typing in 5 KB costs.

import { Text } from "@codemirror/state";

export type LineEnds = "lf" | "crlf" | "mixed";

export function lineEndsOf(text: string): LineEnds {
  if (!text.includes("\r")) return "lf";
  let crlf = 0;
  for (let i = text.indexOf("\r\n"); i >= 0; i = text.indexOf("\r\n", i + 2)) crlf += 1;
  const count = (what: string): number => {
    let n = 0;
    for (let i = text.indexOf(what); i >= 0; i = text.indexOf(what, i + 1)) n += 1;
    return n;
  };
  return count("\n") === crlf && count("\r") === crlf ? "crlf" : "mixed";
}

export class Content {
  private text: string | undefined;

  constructor(
    readonly lines: Text,
    readonly ends: LineEnds,
  ) {}

  static of(text: string): Content {
    const ends = lineEndsOf(text);
    const content = new Content(Text.of(text.split(ends === "crlf" ? "\r\n" : "\n")), ends);
    content.text = text;
    return content;
  }

  /** The same lines as an editor has them now. */
  with(lines: Text): Content {
    return lines === this.lines ? this : new Content(lines, this.ends);
  }

  /** Length in UTF-16 units, line ends counted. */
  get length(): number {
    return this.lines.length + (this.ends === "crlf" ? this.lines.lines - 1 : 0);
  }

  equals(other: Content): boolean {
    if (this === other) return true;
    if (this.lines.length !== other.lines.length || this.lines.lines !== other.lines.lines) return false;
    if (this.ends !== other.ends) return this.toString() === other.toString();
    return this.lines === other.lines || this.lines.eq(other.lines);
  }

  toString(): string {
    this.text ??= this.lines.sliceString(0, this.lines.length, this.ends === "crlf" ? "\r\n" : "\n");
    return this.text;
  }
}

export const EMPTY = Content.of("");
