// This tab's keeper of drafts, the list of all drafts, and the offer of those whose tab is gone.

import { createEffect, createMemo, createSignal, onCleanup } from "solid-js";
import { type Draft, Keeper } from "../state/drafts";
import type { Documents } from "./documents";
import { noStore, openStore } from "./draft-db";
import { livingTabs, thisTab } from "./tab";

/** A tab that is not there for so long is gone, and not just loading anew. */
const GONE_AFTER_MS = 2_000;

export interface ListedDraft extends Draft {
  /** Of this tab, of another that is open, of one that is gone; unknown where the browser can't tell. */
  of: "this" | "other" | "gone" | "unknown";
}

export function createDrafts(documents: () => Documents, say: (text: string) => void) {
  const [keeper, setKeeper] = createSignal<Keeper | null>(null);
  const [draftsBroken, setDraftsBroken] = createSignal(false);
  const [drafts, setDrafts] = createSignal<readonly ListedDraft[]>([]);

  /** Opens the browser's store for the files of one root. */
  const begin = async (root: string): Promise<void> => {
    const tab = await thisTab();
    let store = noStore;
    try {
      store = await openStore();
    } catch {
      setDraftsBroken(true);
    }
    const clock = {
      now: () => Date.now(),
      after: (ms: number, run: () => void) => setTimeout(run, ms),
      cancel: (timer: unknown) => clearTimeout(timer as number),
    };
    setKeeper(new Keeper(root, tab, store, clock, setDraftsBroken));
  };

  const loadDrafts = async (): Promise<void> => {
    const keep = keeper();
    if (keep === null) return;
    const [all, alive] = await Promise.all([keep.list(), livingTabs()]);
    setDrafts(
      all.map((draft) => ({
        ...draft,
        of: draft.tab === keep.tab ? "this" : alive === null ? "unknown" : alive.has(draft.tab) ? "other" : "gone",
      })),
    );
  };
  /** Drafts of tabs that are gone: offered at the top of the page. A tab that is just reloading looks gone, so it is looked at twice. */
  const [missing, setMissing] = createSignal<ReadonlySet<string>>(new Set());
  const orphans = createMemo(() =>
    drafts().filter((draft) => draft.kind === "open" && (draft.of === "unknown" || (draft.of === "gone" && missing().has(draft.id)))),
  );
  createEffect(() => {
    const gone = drafts()
      .filter((draft) => draft.kind === "open" && draft.of === "gone")
      .map((draft) => draft.id);
    if (gone.length === 0) return;
    const timer = setTimeout(async () => {
      const alive = await livingTabs();
      setMissing(
        new Set(
          drafts()
            .filter((draft) => gone.includes(draft.id) && alive?.has(draft.tab) === false)
            .map((draft) => draft.id),
        ),
      );
      if (missing().size < gone.length) void loadDrafts();
    }, GONE_AFTER_MS);
    onCleanup(() => clearTimeout(timer));
  });

  const takeDraft = async (draft: ListedDraft): Promise<void> => {
    if (draft.of === "gone" && (await livingTabs())?.has(draft.tab)) {
      say(`${draft.path}: its tab is open again.`);
      return loadDrafts();
    }
    if (!(await documents().restore(draft))) return;
    const keep = keeper();
    if (draft.of !== "this" || draft.kind === "aside") {
      // The text is in this tab's own draft first, then the old one goes.
      await keep?.flush();
      if (!draftsBroken()) keep?.remove(draft.id);
    }
    await loadDrafts();
  };
  const dropDraft = async (draft: ListedDraft): Promise<void> => {
    keeper()?.remove(draft.id);
    await loadDrafts();
  };

  return { keeper, begin, drafts, draftsBroken, orphans, loadDrafts, takeDraft, dropDraft };
}
