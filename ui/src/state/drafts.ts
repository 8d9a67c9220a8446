// Unsaved text, kept in the browser.
//
// Promise: what was typed is in the browser's store a moment later (`PAUSE_MS` after the last key, `LONGEST_MS` after the first), and
// when the page is put away. A draft goes only when its text is on the server, or by the person's own command. Each tab writes its
// own drafts; no tab takes over another's unless the person says so.
// Not promised: the last half second before the browser or the machine dies; what the browser deletes with the site's data.

import type { Content } from "./content";
import { type Doc, unsaved, type Version } from "./document";

export interface Draft {
  id: string;
  root: string;
  tab: string;
  path: string;
  text: string;
  base: Version;
  /** What the text began from; null when it could not be kept. */
  baseText: string | null;
  at: number;
  /** `open`: being typed in its tab. `aside`: replaced there, kept to be taken back. */
  kind: "open" | "aside";
  why: string;
  /** The save of this text that is with the server. */
  queuedId?: string;
}

/** A draft before its texts are made into strings. */
export interface Unwritten extends Omit<Draft, "text" | "baseText"> {
  text: () => string;
  baseText: () => string;
}

export interface Store {
  put(draft: Unwritten): Promise<void>;
  remove(id: string): Promise<void>;
  all(): Promise<Draft[]>;
  /** At once, before the page ends. May keep nothing if the text is too long. */
  lastWords(draft: Unwritten): void;
}

export const PAUSE_MS = 300;
export const LONGEST_MS = 1_500;
/** What is put aside is removed after this many days. */
export const ASIDE_DAYS = 30;

export const draftId = (root: string, tab: string, path: string): string => JSON.stringify([root, tab, path]);

interface Clock {
  now(): number;
  after(ms: number, run: () => void): unknown;
  cancel(timer: unknown): void;
}

interface Pending {
  doc: Doc;
  timer: unknown;
  first: number;
}

/** Keeps the drafts of one tab. */
export class Keeper {
  private readonly pending = new Map<string, Pending>();
  /** What was written last for a path, so that nothing is written twice. */
  private readonly kept = new Map<string, { content: Content; base: string | null; queued: string | undefined }>();
  /** Writes go one after another, so that an older one never lands on a newer one. */
  private line: Promise<void> = Promise.resolve();
  private broken = false;

  constructor(
    readonly root: string,
    readonly tab: string,
    private readonly store: Store,
    private readonly clock: Clock,
    private readonly onBroken: (broken: boolean) => void,
  ) {}

  /** Call after every change of a document. */
  note(doc: Doc): void {
    if (doc.phase !== "ready") return;
    const waiting = this.pending.get(doc.path);
    if (!unsaved(doc)) {
      if (waiting !== undefined) {
        this.clock.cancel(waiting.timer);
        this.pending.delete(doc.path);
      }
      if (this.kept.delete(doc.path) || waiting !== undefined) this.drop(draftId(this.root, this.tab, doc.path));
      return;
    }
    const kept = this.kept.get(doc.path);
    if (
      waiting === undefined &&
      kept !== undefined &&
      kept.content === doc.content &&
      kept.base === doc.base.hash &&
      kept.queued === queuedOf(doc)
    )
      return;
    const now = this.clock.now();
    const first = waiting?.first ?? now;
    if (waiting !== undefined) this.clock.cancel(waiting.timer);
    const wait = Math.max(0, Math.min(PAUSE_MS, first + LONGEST_MS - now));
    this.pending.set(doc.path, { doc, first, timer: this.clock.after(wait, () => this.write(doc.path)) });
  }

  /** This tab's draft, from before a reload or a crash, is brought back: from now on it follows the document. Call it before the document changes. */
  adopt(draft: Draft, content: Content): void {
    if (draft.tab === this.tab && draft.kind === "open")
      this.kept.set(draft.path, { content, base: draft.base.hash, queued: draft.queuedId });
  }

  /** Puts a text aside, to be taken back. */
  aside(path: string, content: Content, base: Version & { content: Content }, why: string): void {
    const id = JSON.stringify([this.root, this.tab, path, "aside", this.clock.now(), Math.round(Math.random() * 1e9)]);
    const { hash, by, at } = base;
    this.keep(() =>
      this.store.put({
        id,
        root: this.root,
        tab: this.tab,
        path,
        base: { hash, by, at },
        at: this.clock.now(),
        kind: "aside",
        why,
        text: () => content.toString(),
        baseText: () => base.content.toString(),
      }),
    );
  }

  /** The file was closed here: its unsaved text is put aside. */
  closed(doc: Doc): void {
    const waiting = this.pending.get(doc.path);
    if (waiting !== undefined) this.clock.cancel(waiting.timer);
    this.pending.delete(doc.path);
    if (doc.phase === "ready" && unsaved(doc)) this.aside(doc.path, doc.content, doc.base, "the file was closed here");
    this.kept.delete(doc.path);
    this.drop(draftId(this.root, this.tab, doc.path));
  }

  remove(id: string): void {
    this.drop(id);
  }

  /** Writes all that waits, and ends when it is written. */
  async flush(): Promise<void> {
    for (const path of [...this.pending.keys()]) this.write(path);
    await this.line;
  }

  /** Ends when what was begun is written. */
  async settled(): Promise<void> {
    await this.line;
  }

  /** The page is put away, perhaps for ever. */
  leaving(): void {
    for (const { doc } of this.pending.values()) this.store.lastWords(this.unwritten(doc));
    void this.flush();
  }

  /** Drafts of this root: the newest first. Those put aside too long ago are removed. */
  async list(): Promise<Draft[]> {
    await this.line;
    const all = (await this.store.all()).filter((draft) => draft.root === this.root);
    const oldest = this.clock.now() - ASIDE_DAYS * 86_400_000;
    for (const draft of all) if (draft.kind === "aside" && draft.at < oldest) this.remove(draft.id);
    return all.filter((draft) => draft.kind === "open" || draft.at >= oldest).sort((a, b) => b.at - a.at);
  }

  private unwritten(doc: Doc): Unwritten {
    const { hash, by, at } = doc.base;
    const queued = queuedOf(doc);
    return {
      id: draftId(this.root, this.tab, doc.path),
      root: this.root,
      tab: this.tab,
      path: doc.path,
      base: { hash, by, at },
      at: this.clock.now(),
      kind: "open",
      why: "",
      text: () => doc.content.toString(),
      baseText: () => doc.base.content.toString(),
      ...(queued === undefined ? {} : { queuedId: queued }),
    };
  }

  private write(path: string): void {
    const waiting = this.pending.get(path);
    if (waiting === undefined) return;
    this.clock.cancel(waiting.timer);
    this.pending.delete(path);
    const { doc } = waiting;
    this.kept.set(path, { content: doc.content, base: doc.base.hash, queued: queuedOf(doc) });
    const draft = this.unwritten(doc);
    this.keep(async () => {
      try {
        await this.store.put(draft);
      } catch (error) {
        this.kept.delete(path);
        throw error;
      }
    });
  }

  private keep(job: () => Promise<void>): void {
    this.line = this.line.then(job).then(
      () => this.tell(false),
      () => this.tell(true),
    );
  }

  /** A removal that fails leaves a draft too many: it is offered again, nothing is lost. */
  private drop(id: string): void {
    this.line = this.line.then(() => this.store.remove(id)).catch(() => undefined);
  }

  private tell(broken: boolean): void {
    if (broken !== this.broken) this.onBroken(broken);
    this.broken = broken;
  }
}

const queuedOf = (doc: Doc): string | undefined => (doc.save.kind === "queued" ? doc.save.id : undefined);
