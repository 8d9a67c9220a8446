// The dialog of two versions: what it shows and what its buttons do. It compares anew when theirs changes again.

import { createEffect, createSignal, on } from "solid-js";
import { api } from "../api/client";
import * as conflict from "../state/conflict";
import { Content } from "../state/content";
import type { Base } from "../state/document";
import { type Documents, readBase } from "./documents";

export interface MergeView {
  path: string;
  /** What led here: a save that was refused, the notice, or a stored conflict. */
  from: "save" | "notice" | "stored";
  id: string | null;
  mineBy: string | null;
  mine: Content;
  theirs: Base | null;
  merging: conflict.Merging | null;
  /** The text that fits without a question, if there is one. */
  clean: string | null;
  /** How often theirs changed while this was open. */
  changed: number;
  error: string | null;
  /** Of a stored conflict: this side removed the file, so there is one or the other, nothing between. */
  removed: "mine" | "theirs" | null;
}

interface Wiring {
  documents: Documents;
  say: (text: string, tone?: "quiet" | "bad") => void;
  name: () => string | undefined;
}

export function createMerging({ documents, say, name }: Wiring) {
  const [view, setView] = createSignal<MergeView | null>(null);
  const patch = (change: Partial<MergeView>): void => void setView((now) => (now === null ? null : { ...now, ...change }));

  /** Compares with what is on the disk now. Answers that were given stay. */
  const compare = async (): Promise<void> => {
    const now = view();
    const doc = documents.doc(now?.path ?? null);
    if (now === null || doc === undefined || now.from === "stored") return;
    try {
      const answer = await api.merge({
        path: now.path,
        base: doc.base.content.toString(),
        ours: now.mine.toString(),
        ...(doc.base.hash === null ? {} : { baseHash: doc.base.hash }),
      });
      const before = view();
      if (before?.path !== now.path || before.from !== now.from) return;
      const theirs: Base = { hash: answer.theirsHash, by: answer.theirsBy, at: answer.theirsAt, content: Content.of(answer.theirs) };
      const again = before.theirs !== null && before.theirs.hash !== theirs.hash;
      patch({
        theirs,
        merging: before.merging === null ? conflict.begin(answer.segments) : conflict.again(before.merging, answer.segments),
        clean: answer.clean ? answer.merged : null,
        changed: before.changed + (again ? 1 : 0),
        error: null,
      });
    } catch (error) {
      const problem = documents.problemOf(error);
      patch({
        error:
          problem === null
            ? "The server can't be reached, so the two versions can't be compared now."
            : `The two versions can't be put together: ${problem.detail}`,
      });
      // Without a comparison one can still keep the one or the other.
      if (problem !== null && view()?.theirs === null) {
        const theirs = await readBase(now.path).catch(() => null);
        if (view()?.path === now.path && theirs !== null) patch({ theirs });
      }
    }
  };

  const show = (path: string, from: "save" | "notice"): void => {
    const doc = documents.doc(path);
    if (doc === undefined) return;
    setView({
      path,
      from,
      id: null,
      mineBy: null,
      mine: doc.content,
      theirs: null,
      merging: null,
      clean: null,
      changed: 0,
      error: null,
      removed: null,
    });
    void compare();
  };

  const showStored = async (id: string): Promise<void> => {
    try {
      const stored = await api.conflict(id);
      setView({
        path: stored.path,
        from: "stored",
        id,
        mineBy: stored.mine?.by ?? null,
        mine: Content.of(stored.mineContent ?? ""),
        theirs: { ...(stored.theirs ?? { hash: null, by: null, at: null }), content: Content.of(stored.theirsContent ?? "") },
        merging: conflict.begin(stored.segments),
        clean: null,
        changed: 0,
        error: null,
        removed: stored.mineContent === null ? "mine" : stored.theirsContent === null ? "theirs" : null,
      });
    } catch (error) {
      say(documents.problemOf(error)?.detail ?? "The server can't be reached.", "bad");
    }
  };

  // A refused save opens the dialog; it is closed when the file settles by itself (both wrote the same).
  createEffect(() => {
    const now = view();
    if (now === null) {
      for (const doc of documents.docs().values()) if (doc.save.kind === "conflict") return show(doc.path, "save");
      return;
    }
    if (now.from === "save" && documents.doc(now.path)?.save.kind !== "conflict") setView(null);
  });
  // Theirs changed again.
  createEffect(
    on(
      () => documents.doc(view()?.path ?? null)?.newer?.hash,
      (hash) => {
        const now = view();
        if (now !== null && now.from !== "stored" && now.theirs !== null && hash != null && hash !== now.theirs.hash) void compare();
      },
      { defer: true },
    ),
  );

  const close = (): void => {
    const now = view();
    if (now === null) return;
    if (now.from === "save") documents.dispatch(now.path, { type: "dismissed" });
    setView(null);
  };

  const resolveStored = async (now: MergeView, keep: "mine" | "theirs" | "content", content?: string): Promise<void> => {
    const session = name();
    try {
      await api.resolve(now.id ?? "", {
        keep,
        ...(content === undefined ? {} : { content }),
        ...(session === undefined ? {} : { sessionId: session }),
      });
      say(`${now.path}: resolved.`);
      setView(null);
    } catch (error) {
      patch({ error: documents.problemOf(error)?.detail ?? "The server can't be reached. Nothing was written." });
    }
  };

  const take = (now: MergeView, text: string, save: boolean): void => {
    if (now.theirs === null) return;
    const { path, theirs, mine } = now;
    setView(null);
    documents.dispatch(path, { type: "take", content: text === mine.toString() ? mine : Content.of(text), theirs, save });
  };

  return {
    view,
    show,
    showStored,
    close,
    compare,
    choose: (id: number, choice: conflict.Choice, text?: string): void => {
      const merging = view()?.merging;
      if (merging) patch({ merging: conflict.answer(merging, id, choice, text) });
    },
    chooseAll: (choice: "mine" | "theirs" | "both"): void => {
      const merging = view()?.merging;
      if (merging) patch({ merging: conflict.places(merging).reduce((all, place) => conflict.answer(all, place.id, choice), merging) });
    },
    confirm: (id: number): void => {
      const merging = view()?.merging;
      if (merging) patch({ merging: conflict.confirm(merging, id) });
    },
    keepMine: (): void => {
      const now = view();
      if (now === null) return;
      if (now.from === "stored") void resolveStored(now, "mine");
      else take(now, now.mine.toString(), true);
    },
    keepTheirs: (): void => {
      const now = view();
      if (now?.theirs == null) return;
      if (now.from === "stored") return void resolveStored(now, "theirs");
      const { path, theirs } = now;
      setView(null);
      documents.dispatch(path, { type: "take-theirs", theirs, why: "put aside by “Keep theirs”" });
      say(`${path}: their version is shown now. Yours is kept under Drafts.`);
    },
    /** The text put together: saved, or taken into the editor to go on with it. */
    finish: (save: boolean): void => {
      const now = view();
      const text = now?.clean ?? (now?.merging ? conflict.result(now.merging) : null);
      if (now === null || text === null) return;
      if (now.from === "stored") return void resolveStored(now, "content", text);
      take(now, text, save);
    },
    /** The notice's “Merge”: one step if everything fits, else the dialog. */
    mergeFromNotice: async (path: string): Promise<void> => {
      const doc = documents.doc(path);
      if (doc === undefined) return;
      try {
        const answer = await api.merge({
          path,
          base: doc.base.content.toString(),
          ours: doc.content.toString(),
          ...(doc.base.hash === null ? {} : { baseHash: doc.base.hash }),
        });
        if (documents.doc(path)?.content !== doc.content || !answer.clean || answer.merged === null) return show(path, "notice");
        const theirs: Base = { hash: answer.theirsHash, by: answer.theirsBy, at: answer.theirsAt, content: Content.of(answer.theirs) };
        documents.dispatch(path, { type: "take", content: Content.of(answer.merged), theirs, save: false });
        say("Both changes are in the text now. It is not saved yet.");
      } catch (error) {
        say(documents.problemOf(error)?.detail ?? "The server can't be reached. Your text is kept.", "bad");
      }
    },
    /** The notice's “Reload”: what is on the disk, with the own text put aside. */
    reload: async (path: string): Promise<void> => {
      try {
        documents.dispatch(path, { type: "take-theirs", theirs: await readBase(path), why: "put aside by “Reload”" });
        say(`${path}: reloaded. What you had typed is kept under Drafts.`);
      } catch (error) {
        say(documents.problemOf(error)?.detail ?? "The server can't be reached. Your text is kept.", "bad");
      }
    },
  };
}

export type MergingApp = ReturnType<typeof createMerging>;
