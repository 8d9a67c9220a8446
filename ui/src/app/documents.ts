// The open files, and the carrying out of what `state/document.ts` decides: asking the server, keeping drafts, telling the person.

import { batch, createSignal } from "solid-js";
import { api, Refused, Unreachable } from "../api/client";
import type { Problem } from "../api/types";
import { Content, EMPTY } from "../state/content";
import { type Base, begin, type Doc, type Effect, type Event, step, unsaved, type Version } from "../state/document";
import type { Draft, Keeper } from "../state/drafts";

/** How long the server waits for a lock before it says who has it. */
const WAIT = "5s";

const QUEUED_AGAIN_MS = 3_000;

export interface Wiring {
  keeper: () => Keeper | null;
  say: (text: string, tone?: "quiet" | "bad") => void;
  /** The name to write under, or undefined for the server's default. */
  name: () => string | undefined;
  /** Who we are, for versions that we wrote. */
  self: () => string;
  onLoggedOut: () => void;
  onUnreachable: () => void;
}

const now = (): string => new Date().toISOString();

export const lockProblem = (problem: Problem): boolean =>
  problem.status === 423 ||
  (problem.status === 503 && (problem.holder !== undefined || ["timeout", "deadlock", "locked", "held-by-parent"].includes(problem.kind)));

export async function readBase(path: string): Promise<Base> {
  const answer = await api.read(path);
  return {
    hash: answer.exists ? answer.hash : null,
    by: answer.lastModifiedBy,
    at: answer.lastModifiedAt,
    content: answer.exists && answer.content !== null ? Content.of(answer.content) : EMPTY,
  };
}

export function createDocuments(wiring: Wiring) {
  const [docs, setDocs] = createSignal<ReadonlyMap<string, Doc>>(new Map());
  const [active, setActive] = createSignal<string | null>(null);
  let opened = 0;

  const doc = (path: string | null): Doc | undefined => (path === null ? undefined : docs().get(path));

  const dispatch = (path: string, event: Event): void => {
    const before = docs().get(path);
    if (before === undefined) return;
    const { doc: after, effects } = step(before, event);
    if (after !== before) {
      setDocs((all) => new Map(all).set(path, after));
      wiring.keeper()?.note(after);
    }
    for (const effect of effects) run(path, effect);
  };

  const run = (path: string, effect: Effect): void => {
    switch (effect.do) {
      case "put":
        void put(path, effect.content, effect.expected, effect.queue);
        break;
      case "read":
        void read(path, effect.number);
        break;
      case "look-up-queued":
        void lookUpQueued(path, effect.id);
        break;
      case "aside":
        wiring.keeper()?.aside(path, effect.content, effect.base, effect.why);
        break;
      case "say":
        wiring.say(effect.text);
        break;
    }
  };

  const problemOf = (error: unknown): Problem | null => {
    if (error instanceof Unreachable) {
      wiring.onUnreachable();
      return null;
    }
    if (error instanceof Refused) {
      if (error.problem.status === 401) wiring.onLoggedOut();
      return error.problem;
    }
    throw error;
  };

  const read = async (path: string, number: number): Promise<void> => {
    try {
      const disk = await readBase(path);
      dispatch(path, { type: "read", number, disk });
    } catch (error) {
      const problem = problemOf(error);
      if (problem === null || problem.status === 401 || problem.status === 429 || problem.status === 503)
        dispatch(path, { type: "not-read", number });
      else dispatch(path, { type: "unreadable", number, reason: problem.detail });
    }
  };

  const put = async (path: string, content: Content, expected: string | null, queue: boolean): Promise<void> => {
    const name = wiring.name();
    try {
      const answer = await api.put(path, {
        content: content.toString(),
        ...(expected === null ? { expectAbsent: true, mkdir: true } : { expectedHash: expected }),
        ...(name === undefined ? {} : { sessionId: name }),
        wait: queue ? "0s" : WAIT,
        ifLocked: queue ? "queue" : "fail",
      });
      if (answer.queued) {
        dispatch(path, { type: "queued", id: answer.id, holder: null });
        // It may be done already, before this page knew its name.
        void lookUpQueued(path, answer.id);
      } else {
        const { hash, content: merged } = answer.answer;
        dispatch(path, {
          type: "saved",
          hash,
          at: now(),
          by: wiring.self(),
          ...(merged === undefined ? {} : { content: Content.of(merged) }),
        });
      }
    } catch (error) {
      const problem = problemOf(error);
      if (problem === null) dispatch(path, { type: "no-answer" });
      else if (problem.status === 409 && problem.conflictInfo !== undefined)
        dispatch(path, { type: "refused-conflict", theirs: theirsOf(problem.conflictInfo) });
      else if (lockProblem(problem))
        dispatch(path, { type: "refused-lock", holder: problem.holder ?? null, leased: problem.status === 423 });
      else dispatch(path, { type: "refused", detail: problem.detail, hints: problem.hints });
    }
  };

  const theirsOf = (info: { currentHash: string | null; lastModifiedBy: string | null; lastModifiedAt: string | null }): Version => ({
    hash: info.currentHash,
    by: info.lastModifiedBy,
    at: info.lastModifiedAt,
  });

  const lookUpQueued = async (path: string, id: string): Promise<void> => {
    try {
      const write = await api.write(id);
      if (write.state === "queued") {
        // Its end is told by an event; should that be missed, it is asked for.
        setTimeout(() => {
          const save = docs().get(path)?.save;
          if (save?.kind === "queued" && save.id === id) void lookUpQueued(path, id);
        }, QUEUED_AGAIN_MS);
        return;
      }
      dispatch(path, {
        type: "queue-ended",
        id,
        state: write.state,
        hash: write.hash ?? null,
        at: now(),
        by: wiring.self(),
        error: write.error ?? null,
        theirs: write.conflictInfo ? theirsOf(write.conflictInfo) : null,
      });
    } catch (error) {
      const problem = problemOf(error);
      if (problem?.status === 404)
        dispatch(path, {
          type: "queue-ended",
          id,
          state: "failed",
          at: now(),
          by: "",
          error: "The server no longer knows the waiting save. Your text is here.",
        });
    }
  };

  const open = (path: string): void => {
    batch(() => {
      if (!docs().has(path)) {
        opened += 1;
        const { doc: fresh, effects } = begin(path, opened * 1_000_000);
        setDocs((all) => new Map(all).set(path, fresh));
        for (const effect of effects) run(path, effect);
      }
      setActive(path);
    });
  };

  const close = (path: string): void => {
    const closing = docs().get(path);
    if (closing === undefined) return;
    wiring.keeper()?.closed(closing);
    if (unsaved(closing)) wiring.say(`${path}: closed. Its unsaved text is kept under Drafts.`);
    batch(() => {
      const paths = [...docs().keys()];
      const at = paths.indexOf(path);
      setDocs((all) => new Map([...all].filter(([key]) => key !== path)));
      if (active() === path) setActive(paths[at + 1] ?? paths[at - 1] ?? null);
    });
  };

  /** Brings a draft back into its file. Ends when it is there. */
  const restore = async (draft: Draft): Promise<boolean> => {
    open(draft.path);
    await ready(draft.path);
    const current = docs().get(draft.path);
    if (current === undefined || current.phase !== "ready") return false;
    if (current.save.kind === "saving" || current.save.kind === "unsure" || current.save.kind === "queued") {
      wiring.say(`${draft.path}: a save is under way. Open the draft when it has ended.`, "bad");
      return false;
    }
    const base: Base | null = draft.baseText === null ? null : { ...draft.base, content: Content.of(draft.baseText) };
    const content = Content.of(draft.text);
    wiring.keeper()?.adopt(draft, content);
    dispatch(draft.path, { type: "restore", content, base, ...(draft.queuedId === undefined ? {} : { queuedId: draft.queuedId }) });
    return true;
  };

  const waiters = new Set<() => void>();
  const ready = (path: string): Promise<void> =>
    new Promise((resolve) => {
      const look = (): void => {
        if (docs().get(path)?.phase === "loading") return;
        waiters.delete(look);
        resolve();
      };
      waiters.add(look);
      look();
    });
  /** Call after each change of `docs`. */
  const settle = (): void => {
    for (const look of [...waiters]) look();
  };

  const cancelQueued = async (path: string): Promise<void> => {
    const save = docs().get(path)?.save;
    if (save?.kind !== "queued") return;
    try {
      await api.cancelWrite(save.id);
    } catch (error) {
      problemOf(error);
    }
    await lookUpQueued(path, save.id);
  };

  return {
    docs,
    active,
    setActive,
    doc,
    open,
    close,
    dispatch,
    restore,
    cancelQueued,
    settle,
    problemOf,
    paths: () => [...docs().keys()],
    lookAgain: () => {
      for (const path of docs().keys()) dispatch(path, { type: "look-again" });
    },
  };
}

export type Documents = ReturnType<typeof createDocuments>;
