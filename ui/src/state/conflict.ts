// Two texts that began from one: what fits together by itself, and the places where a person must choose.
//
// The server compares (POST /api/merge) and sends segments: what both have, what only one changed (taken already), and what both
// changed differently. Here the segments become whole lines, each place gets an answer (mine, theirs, both, or own words), and the
// result is put together. When theirs changes again, the answers move to the new comparison; an answer whose place looks different
// now must be confirmed, and own words for a place that is no longer there are put aside, not dropped.

import type { Segment } from "../api/types";

export interface Same {
  kind: "same";
  text: string;
}
export interface Auto {
  kind: "auto";
  text: string;
  from: "ours" | "theirs" | "both";
}
export interface Place {
  kind: "place";
  id: number;
  base: string;
  ours: string;
  theirs: string;
}
export type Part = Same | Auto | Place;

export type Choice = "mine" | "theirs" | "both" | "edited";

export interface Answer {
  choice: Choice;
  /** For `edited`. */
  text: string;
  /** The place looks different than when it was answered: counts as open until confirmed. */
  stale: boolean;
}

export interface Merging {
  parts: Part[];
  answers: ReadonlyMap<number, Answer>;
  /** Own words whose place is gone. */
  aside: string[];
}

/**
 * Whole lines: a place that begins or ends within a line is widened to the line, and places in one line become one. What was taken
 * from one side within such a line stays taken on both sides of the place.
 */
export function wholeLines(segments: readonly Segment[]): Part[] {
  const parts: Part[] = [];
  let open: { base: string; ours: string; theirs: string } | null = null;
  let id = 0;

  const emit = (kind: "same" | "auto", text: string, from: Auto["from"]): void => {
    if (text === "" && kind === "same") return;
    const last = parts.at(-1);
    if (kind === "same" && last?.kind === "same") last.text += text;
    else if (kind === "auto" && last?.kind === "auto" && last.from === from) last.text += text;
    else parts.push(kind === "same" ? { kind, text } : { kind, text, from });
  };
  const close = (): void => {
    if (open === null) return;
    parts.push({ kind: "place", id, ...open });
    id += 1;
    open = null;
  };
  // Takes the unfinished line off the end of what was put out: it belongs to the place that begins in it.
  const unfinished = (): string => {
    let taken = "";
    for (let last = parts.at(-1); last !== undefined && last.kind !== "place" && !last.text.endsWith("\n"); last = parts.at(-1)) {
      const cut = last.text.lastIndexOf("\n") + 1;
      taken = last.text.slice(cut) + taken;
      if (cut > 0) {
        last.text = last.text.slice(0, cut);
        break;
      }
      // A deletion (empty text) before the place in the same line goes into the place too.
      parts.pop();
    }
    return taken;
  };
  const atLineStart = (place: { base: string; ours: string; theirs: string }): boolean =>
    [place.base, place.ours, place.theirs].every((text) => text === "" || text.endsWith("\n"));

  for (const segment of segments) {
    if (segment.type === "conflict") {
      if (open === null) {
        const head = unfinished();
        open = { base: head + segment.base, ours: head + segment.ours, theirs: head + segment.theirs };
      } else {
        open = { base: open.base + segment.base, ours: open.ours + segment.ours, theirs: open.theirs + segment.theirs };
      }
      if (atLineStart(open)) close();
      continue;
    }
    let rest = segment.text;
    if (open !== null) {
      const end = rest.indexOf("\n") + 1;
      const line: string = end === 0 ? rest : rest.slice(0, end);
      open = { base: open.base + line, ours: open.ours + line, theirs: open.theirs + line };
      rest = end === 0 ? "" : rest.slice(end);
      if (end > 0) close();
      if (rest === "") continue;
    }
    if (segment.type === "same") emit("same", rest, "both");
    else emit("auto", rest, segment.from);
  }
  close();
  return parts;
}

export const places = (merging: Merging): Place[] => merging.parts.filter((part): part is Place => part.kind === "place");

export const begin = (segments: readonly Segment[]): Merging => ({ parts: wholeLines(segments), answers: new Map(), aside: [] });

export const lineEnd = (place: Place): string => ((place.ours + place.theirs).includes("\r\n") ? "\r\n" : "\n");

/** Both texts, mine first, each on lines of its own. */
export function both(place: Place): string {
  if (place.ours === "" || place.theirs === "" || place.ours.endsWith("\n")) return place.ours + place.theirs;
  return `${place.ours}${lineEnd(place)}${place.theirs}`;
}

export function textOf(place: Place, answer: Answer): string {
  switch (answer.choice) {
    case "mine":
      return place.ours;
    case "theirs":
      return place.theirs;
    case "both":
      return both(place);
    case "edited":
      return answer.text;
  }
}

export function answer(merging: Merging, id: number, choice: Choice, text = ""): Merging {
  return { ...merging, answers: new Map(merging.answers).set(id, { choice, text, stale: false }) };
}

export function confirm(merging: Merging, id: number): Merging {
  const given = merging.answers.get(id);
  return given === undefined ? merging : { ...merging, answers: new Map(merging.answers).set(id, { ...given, stale: false }) };
}

/** Ids of the places that still need an answer. */
export function open(merging: Merging): number[] {
  return places(merging)
    .filter((place) => merging.answers.get(place.id)?.stale !== false)
    .map((place) => place.id);
}

/** The text put together, or null while a place is open. */
export function result(merging: Merging): string | null {
  let text = "";
  for (const part of merging.parts) {
    if (part.kind !== "place") {
      text += part.text;
      continue;
    }
    const given = merging.answers.get(part.id);
    if (given === undefined || given.stale) return null;
    text += textOf(part, given);
  }
  return text;
}

/** The same merging after theirs changed again: answers go with their places. */
export function again(before: Merging, segments: readonly Segment[]): Merging {
  const parts = wholeLines(segments);
  const answers = new Map<number, Answer>();
  const left = places(before).filter((place) => before.answers.has(place.id));
  const fresh = parts.filter((part): part is Place => part.kind === "place");

  const take = (place: Place, fits: (old: Place) => boolean, changed: boolean): void => {
    if (answers.has(place.id)) return;
    const at = left.findIndex(fits);
    const old = left[at];
    if (old === undefined) return;
    left.splice(at, 1);
    const given = before.answers.get(old.id);
    if (given === undefined) return;
    // My own side chosen and my own side the same: nothing to look at again.
    const stale = given.stale || (changed && !(given.choice === "mine" && old.ours === place.ours));
    answers.set(place.id, { ...given, stale });
  };
  for (const place of fresh) take(place, (old) => old.ours === place.ours && old.theirs === place.theirs && old.base === place.base, false);
  for (const place of fresh) take(place, (old) => old.ours === place.ours && (old.ours !== "" || old.base === place.base), true);
  for (const place of fresh) take(place, (old) => old.base === place.base && old.base !== "", true);

  const orphans = left.map((old) => before.answers.get(old.id)).filter((given) => given?.choice === "edited");
  // Parts that stayed are the same objects: what shows them stays too, with the focus in it.
  const known = new Map(before.parts.map((part) => [JSON.stringify(part), part]));
  return {
    parts: parts.map((part) => known.get(JSON.stringify(part)) ?? part),
    answers,
    aside: [...before.aside, ...orphans.map((given) => given?.text ?? "")],
  };
}
