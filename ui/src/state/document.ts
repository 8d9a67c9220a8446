// One open file: what is on the screen, what it began from, what is known of the disk, and what is under way.
//
// Promise: typed text is never lost. Whatever is heard or answered, in whatever order, the text on the screen is replaced only
// - silently, when it equals what it began from (there is nothing of the person in it), or
// - on the person's own command, and then what was there is put aside first (effect `aside`), where it can be taken back.
// A save names the version it began from. Nothing is shown as saved before the server said so; when no answer came, the file is
// read again, and its content tells.
//
// Pure: `step` takes a state and an event and gives a state and effects. Who carries the effects out reports back by events.

import type { Holder } from "../api/types";
import { Content, EMPTY } from "./content";

/** A version of a file. `hash` null: the file is not there. */
export interface Version {
  hash: string | null;
  by: string | null;
  at: string | null;
}

export interface Base extends Version {
  content: Content;
}

export type Save =
  | { kind: "idle" }
  /** Asked of the server, not answered. `queue`: to be left with the server if the lock is not had. */
  | { kind: "saving"; content: Content; expected: string | null; queue: boolean }
  /** The lock was not had in time. Nothing is written. */
  | { kind: "locked"; content: Content; expected: string | null; holder: Holder | null; leased: boolean }
  /** With the server, durable, to be written when the lock is free. */
  /** `content` null: of a former life of the page, which may have typed on since. */
  | { kind: "queued"; content: Content | null; id: string; holder: Holder | null }
  /** Someone saved a newer version. Nothing is written. */
  | { kind: "conflict"; content: Content }
  /** No answer came: it may or may not be written. Looked up when the server is back. */
  | { kind: "unsure"; content: Content; expected: string | null; queue: boolean }
  | { kind: "failed"; detail: string; hints: string[] };

export interface Doc {
  path: string;
  phase: "loading" | "ready" | "unreadable";
  /** Why it can't be shown, for `unreadable`. */
  reason: string;
  base: Base;
  content: Content;
  /** A version on the disk that is newer than `base` and not taken over. */
  newer: Version | null;
  /** Heard while a save is under way: ours or not, the answer will tell. */
  heard: Version | null;
  /** The file was removed while nothing was typed: the last text of it, which stays on the screen. */
  ghost: Content | null;
  /** The number of the last read. */
  reads: number;
  /** The read that is under way; answers of others are not looked at. */
  reading: number | null;
  /** A save began or ended since that read began, so its answer may be from before: read again. */
  overtaken: boolean;
  save: Save;
}

export type Event =
  | { type: "typed"; content: Content }
  | { type: "save"; queue?: boolean }
  | { type: "saved"; hash: string; at: string; by: string; content?: Content }
  | { type: "refused-conflict"; theirs: Version }
  | { type: "refused-lock"; holder: Holder | null; leased: boolean }
  | { type: "refused"; detail: string; hints: string[] }
  | { type: "no-answer" }
  | { type: "queued"; id: string; holder: Holder | null }
  | {
      type: "queue-ended";
      id: string;
      state: "written" | "conflict" | "failed" | "cancelled";
      hash?: string | null;
      at: string;
      by: string;
      error?: string | null;
      theirs?: Version | null;
    }
  /** The person put the dialog away: the lock's or the conflict's. */
  | { type: "dismissed" }
  /** Somebody changed the file. */
  | { type: "changed"; version: Version }
  /** The file was read, for the effect with this number. */
  | { type: "read"; number: number; disk: Base }
  | { type: "unreadable"; number: number; reason: string }
  /** No answer to the read: looked at again when the line is back. */
  | { type: "not-read"; number: number }
  /** Put this text, which takes `theirs` into account, in place of the text; not saved yet. */
  | { type: "take"; content: Content; theirs: Base; save: boolean }
  /** Take what is on the disk in place of the text. `why` names the command, for the text that is put aside. */
  | { type: "take-theirs"; theirs: Base; why: string }
  /** A draft is brought back: its text and what it began from. */
  | { type: "restore"; content: Content; base: Base | null; queuedId?: string }
  /** The line to the server is back, or something may have been missed. */
  | { type: "look-again" };

export type Effect =
  | { do: "put"; content: Content; expected: string | null; queue: boolean }
  /** Read the file and report `read`, `unreadable` or `not-read` with this number. */
  | { do: "read"; number: number }
  | { do: "look-up-queued"; id: string }
  | { do: "aside"; content: Content; base: Base; why: string }
  /** Something to tell quietly: screen readers hear it, eyes see it for some seconds. */
  | { do: "say"; text: string };

export interface Step {
  doc: Doc;
  effects: Effect[];
}

const IDLE: Save = { kind: "idle" };
/** A change of which nothing is known: equal to no version. */
const UNKNOWN: Version = { hash: "", by: null, at: null };
/** Gets its number in `step`. */
const READ: Effect = { do: "read", number: -1 };

/** `first` is the number of the first read: who opens a file again takes a greater one, so that late answers are known as such. */
export function begin(path: string, first = 0): Step {
  const base: Base = { hash: null, by: null, at: null, content: EMPTY };
  return {
    doc: {
      path,
      phase: "loading",
      reason: "",
      base,
      content: EMPTY,
      newer: null,
      heard: null,
      ghost: null,
      reads: first,
      reading: first,
      overtaken: false,
      save: IDLE,
    },
    effects: [{ do: "read", number: first }],
  };
}

/** Is there text that is nowhere but here? */
export const unsaved = (doc: Doc): boolean => doc.phase !== "unreadable" && !doc.content.equals(doc.base.content);

/** Is a save with the server, so that another must wait? */
export const busy = (doc: Doc): boolean => doc.save.kind === "saving" || doc.save.kind === "unsure" || doc.save.kind === "queued";

const who = (by: string | null): string => (by === null || by === "external" ? "another program" : by);

export function step(before: Doc, event: Event): Step {
  const { doc, effects } = decide(before, event);
  // Saves that begin or end make the answer of a read that is under way doubtful.
  const moved = doc.save !== before.save || doc.base !== before.base;
  let next = moved && doc.reading !== null ? { ...doc, overtaken: true } : doc;
  // A newer version and nothing typed (any more): the text follows the disk, once nothing else is open.
  const follows = next.newer !== null && next.reading === null && next.phase === "ready" && next.save.kind === "idle";
  if (follows && event.type !== "not-read" && event.type !== "unreadable" && !unsaved(next)) effects.push(READ);
  // However often it is asked for, one read follows, and it is the one that counts.
  const rest: Effect[] = effects.filter((effect) => effect.do !== "read");
  if (rest.length < effects.length) {
    const number = next.reads + 1;
    next = { ...next, reads: number, reading: number, overtaken: false };
    rest.push({ do: "read", number });
  }
  return { doc: next, effects: rest };
}

function decide(doc: Doc, event: Event): Step {
  const effects: Effect[] = [];
  const done = (change: Partial<Doc>): Step => ({ doc: { ...doc, ...change }, effects });
  const stay = (): Step => ({ doc, effects });

  switch (event.type) {
    case "typed": {
      if (doc.phase !== "ready") return stay();
      // A refusal stands until the next save; a mere message goes with the next key.
      return done({ content: event.content, save: doc.save.kind === "failed" ? IDLE : doc.save });
    }

    case "save": {
      if (doc.phase !== "ready" || doc.save.kind === "saving" || doc.save.kind === "unsure") return stay();
      if (doc.save.kind === "queued") {
        effects.push({ do: "say", text: "An earlier save of this file is still waiting. Cancel it first, or wait." });
        return stay();
      }
      // From the lock's dialog the same text is sent again, also if it equals the base meanwhile.
      if (!unsaved(doc) && doc.base.hash !== null && doc.save.kind !== "locked" && doc.newer === null) {
        effects.push({ do: "say", text: "Nothing to save: the file has this text." });
        return done({ save: IDLE });
      }
      return put(doc, doc.content, doc.base.hash, event.queue ?? false, effects);
    }

    case "saved": {
      if (doc.save.kind !== "saving" && doc.save.kind !== "unsure") return stay();
      const written = event.content ?? doc.save.content;
      const base: Base = { hash: event.hash, by: event.by, at: event.at, content: written };
      // The server merged: its text is new here. Typed since → the text stays, and the notice tells of the newer version.
      const untouched = doc.content.equals(doc.save.content);
      effects.push({ do: "say", text: "Saved." });
      return afterAnswer({ ...doc, base, content: untouched ? written : doc.content, save: IDLE, newer: null }, effects);
    }

    case "refused-conflict": {
      if (doc.save.kind !== "saving" && doc.save.kind !== "unsure") return stay();
      if (event.theirs.hash === null) {
        const detail = `The file was removed meanwhile by ${who(event.theirs.by)}. Nothing was written, your text is here. Save again to make the file anew.`;
        const gone: Base = { ...event.theirs, content: EMPTY };
        return afterAnswer({ ...doc, base: gone, newer: null, ghost: null, save: { kind: "failed", detail, hints: [] } }, effects);
      }
      return afterAnswer({ ...doc, save: { kind: "conflict", content: doc.save.content }, newer: event.theirs }, effects);
    }

    case "refused-lock": {
      if (doc.save.kind !== "saving") return stay();
      const { content, expected } = doc.save;
      return afterAnswer({ ...doc, save: { kind: "locked", content, expected, holder: event.holder, leased: event.leased } }, effects);
    }

    case "refused": {
      if (doc.save.kind !== "saving" && doc.save.kind !== "unsure") return stay();
      return afterAnswer({ ...doc, save: { kind: "failed", detail: event.detail, hints: event.hints } }, effects);
    }

    case "no-answer": {
      if (doc.save.kind !== "saving") return stay();
      const { content, expected, queue } = doc.save;
      return done({ save: { kind: "unsure", content, expected, queue } });
    }

    case "queued": {
      if (doc.save.kind !== "saving") return stay();
      effects.push({ do: "say", text: "Left with the server. It is written when the lock is free." });
      return done({ save: { kind: "queued", content: doc.save.content, id: event.id, holder: event.holder } });
    }

    case "queue-ended": {
      if (doc.save.kind !== "queued" || doc.save.id !== event.id) return stay();
      const written = doc.save.content;
      switch (event.state) {
        case "written": {
          if (event.hash == null || written === null) {
            effects.push(READ);
            return done({ save: IDLE, heard: null });
          }
          effects.push({ do: "say", text: "The waiting save was written." });
          const base: Base = { hash: event.hash, by: event.by, at: event.at, content: written };
          return afterAnswer({ ...doc, base, save: IDLE, newer: null }, effects);
        }
        case "conflict":
          // Who decides needs what is there now.
          effects.push(READ);
          return done({ save: { kind: "conflict", content: written ?? doc.content }, newer: event.theirs ?? doc.newer, heard: null });
        case "cancelled":
          effects.push({ do: "say", text: "The waiting save was cancelled. Nothing was written; your text is here." });
          return afterAnswer({ ...doc, save: IDLE }, effects);
        case "failed":
          return afterAnswer(
            { ...doc, save: { kind: "failed", detail: event.error ?? "The waiting save failed. Nothing was written.", hints: [] } },
            effects,
          );
      }
      return stay();
    }

    case "dismissed":
      if (doc.save.kind !== "locked" && doc.save.kind !== "conflict" && doc.save.kind !== "failed") return stay();
      return done({ save: IDLE });

    case "changed": {
      if (doc.phase !== "ready") {
        effects.push(READ);
        return stay();
      }
      // It may be the queued save itself.
      if (doc.save.kind === "queued") effects.push({ do: "look-up-queued", id: doc.save.id });
      if (busy(doc)) return done({ heard: event.version });
      return heard(doc, event.version, effects);
    }

    case "read": {
      if (event.number !== doc.reading) return stay();
      const here: Doc = { ...doc, reading: null };
      if (doc.overtaken) {
        effects.push(READ);
        return { doc: here, effects };
      }
      return read(here, event.disk, effects);
    }

    case "not-read":
      return event.number === doc.reading ? done({ reading: null }) : stay();

    case "unreadable": {
      if (event.number !== doc.reading) return stay();
      if (doc.phase === "ready") {
        // The text that is here stays; only what is on the disk can't be shown.
        effects.push({ do: "say", text: `The file can't be read now: ${event.reason}` });
        return done({ reading: null });
      }
      return done({ phase: "unreadable", reason: event.reason, reading: null });
    }

    case "take": {
      if (busy(doc) || doc.phase !== "ready") return stay();
      const base = event.theirs;
      if (!doc.content.equals(event.content) && unsaved(doc))
        effects.push({ do: "aside", content: doc.content, base: doc.base, why: "your text before it was merged" });
      const next: Doc = { ...doc, base, content: event.content, newer: null, heard: null, ghost: null, save: IDLE };
      if (event.save) return put(next, event.content, base.hash, false, effects);
      // What was taken into account may be old by now.
      effects.push(READ);
      return { doc: next, effects };
    }

    case "take-theirs": {
      if (busy(doc) || doc.phase !== "ready") return stay();
      if (unsaved(doc) && !doc.content.equals(event.theirs.content))
        effects.push({ do: "aside", content: doc.content, base: doc.base, why: event.why });
      effects.push(READ);
      return done({ base: event.theirs, content: event.theirs.content, newer: null, heard: null, ghost: null, save: IDLE });
    }

    case "restore": {
      if (busy(doc) || doc.phase !== "ready") return stay();
      if (unsaved(doc) && !doc.content.equals(event.content)) {
        effects.push({ do: "aside", content: doc.content, base: doc.base, why: "put aside when another draft was opened" });
      }
      const base = event.base ?? doc.base;
      const disk: Version = doc.base;
      const save: Save = event.queuedId === undefined ? IDLE : { kind: "queued", content: null, id: event.queuedId, holder: null };
      if (event.queuedId !== undefined) effects.push({ do: "look-up-queued", id: event.queuedId });
      const newer = disk.hash === base.hash ? null : { hash: disk.hash, by: disk.by, at: disk.at };
      // A draft of exactly what is on the disk: it was saved, and the page ended before it heard so.
      if (newer !== null && event.content.equals(doc.base.content) && event.queuedId === undefined)
        return done({ content: doc.base.content, save });
      return done({ base, content: event.content, newer, save });
    }

    case "look-again": {
      if (doc.save.kind === "queued") effects.push({ do: "look-up-queued", id: doc.save.id });
      // While a save is under way, the look waits for its answer.
      if (doc.save.kind === "saving") return done({ heard: UNKNOWN });
      effects.push(READ);
      return stay();
    }
  }
}

function put(doc: Doc, content: Content, expected: string | null, queue: boolean, effects: Effect[]): Step {
  effects.push({ do: "put", content, expected, queue });
  return { doc: { ...doc, save: { kind: "saving", content, expected, queue } }, effects };
}

/** What was heard while a save was under way is looked at when the answer is there. */
function afterAnswer(doc: Doc, effects: Effect[]): Step {
  return doc.heard === null ? { doc, effects } : heard({ ...doc, heard: null }, doc.heard, effects);
}

/** An event says what was; only reading tells what is. So a notice is never older than the last look at the disk. */
function heard(doc: Doc, version: Version, effects: Effect[]): Step {
  const known = version.hash === (doc.newer ?? doc.base).hash;
  if (!known || (doc.newer !== null && version.hash === doc.base.hash)) effects.push(READ);
  return { doc, effects };
}

function read(doc: Doc, disk: Base, effects: Effect[]): Step {
  const version: Version = { hash: disk.hash, by: disk.by, at: disk.at };
  if (doc.phase !== "ready") {
    return { doc: { ...doc, phase: "ready", base: disk, content: disk.content, newer: null, heard: null }, effects };
  }
  if (doc.save.kind === "saving") return { doc, effects };
  if (doc.save.kind === "queued") return { doc: { ...doc, heard: version }, effects };

  if (doc.save.kind === "unsure") {
    // Did the save happen whose answer never came? The content tells.
    const sent = doc.save;
    if (disk.hash !== null && disk.content.equals(sent.content)) {
      effects.push({ do: "say", text: "Saved. (The answer came late.)" });
      return afterAnswer({ ...doc, base: disk, save: IDLE, newer: null }, effects);
    }
    if (disk.hash === sent.expected) return put({ ...doc, newer: null }, sent.content, sent.expected, sent.queue, effects);
    return afterAnswer({ ...doc, newer: version, save: { kind: "conflict", content: sent.content } }, effects);
  }

  if (disk.hash === doc.base.hash) return { doc: { ...doc, newer: null, heard: null }, effects };
  const sent = doc.save.kind === "conflict" ? doc.save.content : doc.content;
  if (disk.hash !== null && (disk.content.equals(doc.content) || disk.content.equals(sent))) {
    // Both wrote the same, or it was our own save, of which no answer came and which was sent again.
    const settled = doc.save.kind === "conflict" || doc.save.kind === "locked" ? IDLE : doc.save;
    return { doc: { ...doc, base: disk, newer: null, heard: null, ghost: null, save: settled }, effects };
  }
  if (doc.ghost !== null && doc.save.kind === "idle" && doc.content.equals(doc.ghost)) {
    // Removed and made anew, as many programs write: nothing was typed in between.
    return { doc: { ...doc, base: disk, content: disk.content, newer: null, heard: null, ghost: null }, effects };
  }
  if (unsaved(doc) || doc.save.kind === "locked" || doc.save.kind === "conflict") {
    return { doc: { ...doc, newer: version, heard: null }, effects };
  }
  if (disk.hash === null) {
    // Removed by someone: the text stays on the screen, as text that is nowhere else, and a save makes the file anew.
    effects.push({ do: "say", text: `${doc.path} was removed by ${who(disk.by)}. Its last text is still here.` });
    return { doc: { ...doc, base: disk, newer: null, heard: null, ghost: doc.content }, effects };
  }
  effects.push({ do: "say", text: `${doc.path}: now as saved by ${who(disk.by)}.` });
  return { doc: { ...doc, base: disk, content: disk.content, newer: null, heard: null, ghost: null }, effects };
}
