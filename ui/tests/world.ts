// A server, a browser's store and a page in memory, in which anything can happen in any order: for tests that look for lost text.

import { Content, EMPTY } from "../src/state/content";
import { type Base, begin, type Doc, type Effect, type Event, step, unsaved, type Version } from "../src/state/document";
import { type Draft, draftId, Keeper, type Store, type Unwritten } from "../src/state/drafts";

export const PATH = "a.txt";

export function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let x = Math.imul(state ^ (state >>> 15), state | 1);
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
    return ((x ^ (x >>> 14)) >>> 0) / 4_294_967_296;
  };
}

export class MemoryStore implements Store {
  readonly drafts = new Map<string, Draft>();
  readonly last = new Map<string, Draft>();
  broken = false;

  async put(draft: Unwritten): Promise<void> {
    if (this.broken) throw new Error("no room");
    this.drafts.set(draft.id, { ...draft, text: draft.text(), baseText: draft.baseText() });
    this.last.delete(draft.id);
  }
  async remove(id: string): Promise<void> {
    this.drafts.delete(id);
    this.last.delete(id);
  }
  async all(): Promise<Draft[]> {
    return [...this.drafts.values()];
  }
  lastWords(draft: Unwritten): void {
    this.last.set(draft.id, { ...draft, text: draft.text(), baseText: draft.baseText() });
  }
}

export class FakeClock {
  time = 1_000_000;
  private timers: { at: number; run: () => void }[] = [];
  now = (): number => this.time;
  after = (ms: number, run: () => void): unknown => {
    const timer = { at: this.time + ms, run };
    this.timers.push(timer);
    return timer;
  };
  cancel = (timer: unknown): void => void (this.timers = this.timers.filter((one) => one !== timer));
  stop(): void {
    this.timers = [];
  }
  pass(ms: number): void {
    this.time += ms;
    const due = this.timers.filter((timer) => timer.at <= this.time);
    this.timers = this.timers.filter((timer) => timer.at > this.time);
    for (const timer of due) timer.run();
  }
}

interface ServerVersion extends Version {
  text: string;
}

/** Compares and swaps, keeps what it replaces, has one lock and a queue for it. */
export class Server {
  current: ServerVersion = { hash: "h0", by: null, at: null, text: "begin\n" };
  history: ServerVersion[] = [];
  locked = false;
  queue: {
    id: string;
    text: string;
    expected: string | null;
    state: "queued" | "written" | "conflict" | "cancelled";
    hash: string | null;
    at: string;
  }[] = [];
  events: Version[] = [];
  private count = 0;

  write(text: string | null, by: string): void {
    this.history.push(this.current);
    this.count += 1;
    // The same content has the same hash, as with real hashes.
    this.current = { hash: text === null ? null : `h:${text}`, by, at: String(this.count), text: text ?? "" };
    this.events.push({ hash: this.current.hash, by, at: this.current.at });
  }

  put(text: string, expected: string | null, queue: boolean): Event {
    if (this.locked && !queue) return { type: "refused-lock", holder: { session: "other" }, leased: false };
    if (this.locked) {
      const id = `q${this.queue.length}`;
      this.queue.push({ id, text, expected, state: "queued", hash: null, at: "" });
      return { type: "queued", id, holder: null };
    }
    if (expected !== this.current.hash)
      return { type: "refused-conflict", theirs: { hash: this.current.hash, by: this.current.by, at: this.current.at } };
    if (this.current.hash === null || this.current.text !== text) this.write(text, "me");
    return { type: "saved", hash: this.current.hash ?? "", at: this.current.at ?? "", by: "me" };
  }

  unlock(): void {
    this.locked = false;
    for (const write of this.queue) {
      if (write.state !== "queued") continue;
      if (write.expected !== this.current.hash) write.state = "conflict";
      else {
        this.write(write.text, "me");
        Object.assign(write, { state: "written", hash: this.current.hash, at: this.current.at });
      }
    }
  }

  holds(token: string): boolean {
    return (
      [this.current, ...this.history].some((version) => version.text.includes(token)) ||
      this.queue.some((write) => write.text.includes(token))
    );
  }
}

/** A request: done by the server at one moment, answered at a later one, or never. */
interface Request {
  effect: Effect & { do: "put" | "read" | "look-up-queued" };
  answer: Event | null;
}

export class World {
  readonly server = new Server();
  readonly store = new MemoryStore();
  readonly clock = new FakeClock();
  readonly typed = new Set<string>();
  private kept = new Set<string>();
  requests: Request[] = [];
  doc!: Doc;
  keeper!: Keeper;
  log: string[] = [];
  private words = 0;
  private lives = 0;
  /** Something asked for was not answered: the page looks again when the line is back. */
  missed = false;

  constructor() {
    this.start();
  }

  private start(): void {
    this.lives += 1;
    this.keeper = new Keeper("root", "tab", this.store, this.clock, () => undefined);
    const { doc, effects } = begin(PATH, this.lives * 1000);
    this.doc = doc;
    this.requests = [];
    this.carryOut(effects);
  }

  dispatch(event: Event): void {
    const before = this.doc;
    const { doc, effects } = step(before, event);
    const byPerson = ["typed", "take", "take-theirs", "restore"].includes(event.type);
    if (before.phase === "ready" && unsaved(before) && !byPerson && doc.content !== before.content && !doc.content.equals(before.content)) {
      throw new Error(`${event.type} replaced unsaved text on the screen`);
    }
    if (before.phase === "ready" && !byPerson && Number(doc.base.at) < Number(before.base.at)) {
      throw new Error(`${event.type} went back from version ${before.base.at} to ${doc.base.at}`);
    }
    if (event.type === "look-again") this.missed = false;
    this.doc = doc;
    this.keeper.note(doc);
    this.carryOut(effects);
  }

  private carryOut(effects: Effect[]): void {
    for (const effect of effects) {
      if (effect.do === "aside") this.keeper.aside(PATH, effect.content, effect.base, effect.why);
      else if (effect.do !== "say") this.requests.push({ effect: effect as Request["effect"], answer: null });
    }
  }

  /** The server does it. */
  work(request: Request): void {
    if (request.answer !== null) return;
    const { effect } = request;
    if (effect.do === "put") request.answer = this.server.put(effect.content.toString(), effect.expected, effect.queue);
    else if (effect.do === "read") request.answer = { type: "read", number: effect.number, disk: this.disk() };
    else {
      const write = this.server.queue.find((one) => one.id === effect.id);
      if (write === undefined || write.state === "queued") {
        this.requests = this.requests.filter((one) => one !== request);
        return;
      }
      const { hash, by, at } = this.server.current;
      request.answer = {
        type: "queue-ended",
        id: effect.id,
        state: write.state,
        hash: write.hash,
        at: write.at,
        by: "me",
        theirs: { hash, by, at },
      };
    }
  }

  /** The answer arrives. */
  deliver(request: Request): void {
    this.requests = this.requests.filter((one) => one !== request);
    if (request.answer !== null) this.dispatch(request.answer);
  }

  /** The line breaks: what was asked may be done, but no answer comes. */
  lose(request: Request): void {
    this.missed = true;
    this.requests = this.requests.filter((one) => one !== request);
    if (request.effect.do === "put") this.dispatch({ type: "no-answer" });
    else if (request.effect.do === "read") this.dispatch({ type: "not-read", number: request.effect.number });
  }

  disk(): Base {
    const { hash, by, at, text } = this.server.current;
    return { hash, by, at, content: hash === null ? EMPTY : Content.of(text) };
  }

  type(): void {
    if (this.doc.phase !== "ready") return;
    const word = `<mine ${this.words}>`;
    this.words += 1;
    this.typed.add(word);
    const text = this.doc.content.toString();
    this.dispatch({ type: "typed", content: Content.of(this.words % 3 === 0 ? `${word}\n${text}` : `${text}${word}\n`) });
  }

  async settleDrafts(): Promise<void> {
    this.clock.pass(5_000);
    await this.keeper.flush();
    for (const word of this.typed) this.kept.add(word);
  }

  /** The tab dies, with what was not kept yet, and comes back. */
  async crash(): Promise<void> {
    // What the store had begun to write, it writes.
    await Promise.resolve();
    for (const word of [...this.typed]) if (!this.kept.has(word) && !this.findable(word, false)) this.typed.delete(word);
    this.clock.stop();
    this.start();
    const read = this.requests[0];
    if (read === undefined) return;
    this.work(read);
    this.deliver(read);
    const draft = this.store.drafts.get(draftId("root", "tab", PATH));
    if (draft === undefined) return;
    const base = draft.baseText === null ? null : { ...draft.base, content: Content.of(draft.baseText) };
    const content = Content.of(draft.text);
    this.keeper.adopt(draft, content);
    this.dispatch({ type: "restore", content, base, ...(draft.queuedId === undefined ? {} : { queuedId: draft.queuedId }) });
  }

  findable(word: string, onScreen = true): boolean {
    return (
      (onScreen && this.doc.content.toString().includes(word)) ||
      [...this.store.drafts.values()].some((draft) => draft.text.includes(word)) ||
      this.server.holds(word)
    );
  }

  lost(): string[] {
    return [...this.typed].filter((word) => !this.findable(word));
  }
}
