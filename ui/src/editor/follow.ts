// A text that changed elsewhere comes into the editor as the smallest replacement, and the cursor stays where it was in the text.

import { EditorSelection, type Text, type TransactionSpec } from "@codemirror/state";

interface Change {
  from: number;
  to: number;
  insert: Text;
}

/** What is between the common beginning and the common end. Whole lines are compared: cheap, as versions share them. */
export function smallest(before: Text, after: Text): Change | null {
  const most = Math.min(before.lines, after.lines);
  let head = 0;
  const forwards = [before.iterLines(), after.iterLines()] as const;
  while (head < most) {
    const [a, b] = [forwards[0].next(), forwards[1].next()];
    if (a.value !== b.value) break;
    head += 1;
  }
  if (head === before.lines && head === after.lines) return null;
  let tail = 0;
  while (tail < most - head && before.line(before.lines - tail).text === after.line(after.lines - tail).text) tail += 1;
  // The replaced region in characters; line breaks belong to what they end, but for the last line, which has none.
  const start = (text: Text): number => (head === 0 ? 0 : head < text.lines ? text.line(head + 1).from : text.length);
  const end = (text: Text): number => (tail === 0 ? text.length : text.line(text.lines - tail + 1).from);
  let from = start(before);
  let [to, stop] = [end(before), end(after)];
  let begin = start(after);
  // One of them ends where the common beginning ends: the break before it is part of the change.
  if (head > 0 && (head >= before.lines || head >= after.lines)) {
    from = before.line(head).to;
    begin = after.line(head).to;
  }
  to = Math.max(to, from);
  stop = Math.max(stop, begin);
  return { from, to, insert: after.slice(begin, stop) };
}

/** `anchor` and `head` where they would be looked for in the new text: same place outside the change, same line and column inside. */
export function follow(before: Text, after: Text, selection: { anchor: number; head: number }): TransactionSpec | null {
  const change = smallest(before, after);
  if (change === null) return null;
  const place = (position: number): number => {
    if (position <= change.from) return position;
    if (position >= change.to) return position + change.insert.length - (change.to - change.from);
    const line = before.lineAt(position);
    const there = after.line(Math.min(line.number, after.lines));
    return Math.min(there.from + (position - line.from), there.to);
  };
  return { changes: change, selection: EditorSelection.single(place(selection.anchor), place(selection.head)) };
}
