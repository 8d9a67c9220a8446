// The page's parts put together: who we are, the line to the server, files, locks, people, drafts.

import { batch, createEffect, createMemo, createRoot, createSignal, on, onCleanup } from "solid-js";
import { api, Refused } from "../api/client";
import { type Line, type LineState, openLine } from "../api/events";
import type { AuditRecord, Client, Holder, Lease, LockAnswer, Me, ServerEvent, StoredConflict } from "../api/types";
import { unsaved } from "../state/document";
import { type Draft, Keeper } from "../state/drafts";
import * as tree from "../state/tree";
import { createDocuments, type Documents } from "./documents";
import { noStore, openStore } from "./draft-db";
import { createMerging } from "./merging";
import { createNotices } from "./notices";
import { livingTabs, thisTab } from "./tab";

/** A lock that is let go at once is not shown: marks that flash tell nobody anything. */
const LOCK_SHOWN_AFTER_MS = 150;
/** A tab that is not there for so long is gone, and not just loading anew. */
const GONE_AFTER_MS = 2_000;
const AUDIT_LINES = 200;

export interface LockMark {
  holder: Holder | null;
  lease: Lease | null;
}

export type Side = "history" | "locks" | "queues" | "audit" | "conflicts" | "drafts";

/** Two texts beside each other, in place of the editor. */
export interface Comparison {
  path: string;
  title: string;
  left: { label: string; text: string };
  right: { label: string; text: string };
  restore?: { hash: string };
}

export interface ListedDraft extends Draft {
  /** Of this tab, of another that is open, of one that is gone; unknown where the browser can't tell. */
  of: "this" | "other" | "gone" | "unknown";
}

const stored = (key: string): string | null => {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
};
const store = (key: string, value: string): void => {
  try {
    localStorage.setItem(key, value);
  } catch {
    // A browser that keeps nothing: the setting holds for this page.
  }
};

export function createApp() {
  const { notices, say, dismiss } = createNotices();

  const [now, setNow] = createSignal(Date.now());
  const tick = setInterval(() => setNow(Date.now()), 1000);
  onCleanup(() => clearInterval(tick));

  // ---- who and where
  const [me, setMe] = createSignal<Me | null>(null);
  const [loggedOut, setLoggedOut] = createSignal(false);
  const [name, setNameSignal] = createSignal(stored("filelatch.name") ?? "");
  const self = (): string => name() || (me()?.session ?? "web");
  const canWrite = (): boolean => me() === null || (me()?.scopes ?? []).some((scope) => scope === "write" || scope === "admin");

  // ---- drafts
  const [keeper, setKeeper] = createSignal<Keeper | null>(null);
  const [draftsBroken, setDraftsBroken] = createSignal(false);
  const [drafts, setDrafts] = createSignal<readonly ListedDraft[]>([]);

  // ---- the line
  const [lineState, setLineState] = createSignal<LineState>("connecting");
  const [retryAt, setRetryAt] = createSignal(0);
  let line: Line | null = null;
  let clientId = "";

  const documents: Documents = createDocuments({
    keeper,
    say,
    name: () => name() || undefined,
    self,
    onLoggedOut: () => setLoggedOut(true),
    onUnreachable: () => line?.wake(),
  });
  const merging = createMerging({ documents, say, name: () => name() || undefined });
  createEffect(on(documents.docs, () => documents.settle()));

  // ---- files
  const files = new Set<string>();
  let folders = tree.grow([]);
  const [treeVersion, setTreeVersion] = createSignal(0);
  const [treeState, setTreeState] = createSignal<"loading" | "ready" | "failed">("loading");
  const [truncated, setTruncated] = createSignal(false);
  const [opened, setOpened] = createSignal<ReadonlySet<string>>(new Set());
  const paths = createMemo(() => {
    treeVersion();
    return [...files].sort();
  });
  const rows = createMemo(() => {
    treeVersion();
    return tree.rows(folders, opened());
  });
  let treeTimer: ReturnType<typeof setTimeout> | undefined;
  // Many changes at once are drawn once.
  const treeChanged = (): void => {
    treeTimer ??= setTimeout(() => {
      treeTimer = undefined;
      setTreeVersion((version) => version + 1);
    }, 50);
  };
  const loadTree = async (): Promise<void> => {
    try {
      const answer = await api.tree();
      files.clear();
      for (const entry of answer.entries) files.add(entry.path);
      folders = tree.grow(files);
      batch(() => {
        // Few files: all folders open, nothing to look for.
        if (treeState() !== "ready" && files.size <= 60) setOpened(new Set([...files].flatMap(tree.above)));
        setTruncated(answer.truncated);
        setTreeState("ready");
        setTreeVersion((version) => version + 1);
      });
    } catch (error) {
      documents.problemOf(error);
      if (treeState() === "loading") setTreeState("failed");
    }
  };
  const toggle = (path: string, open?: boolean): void => {
    setOpened((all) => {
      const next = new Set(all);
      if (open ?? !next.has(path)) next.add(path);
      else next.delete(path);
      return next;
    });
  };
  const reveal = (path: string): void => void setOpened((all) => new Set([...all, ...tree.above(path)]));

  // ---- locks and people
  const [locks, setLocks] = createSignal<ReadonlyMap<string, LockMark>>(new Map());
  const lockTimers = new Map<string, ReturnType<typeof setTimeout>>();
  const setLock = (path: string, mark: LockMark | null): void => {
    clearTimeout(lockTimers.get(path));
    lockTimers.delete(path);
    const put = (): void =>
      void setLocks((all) => {
        const next = new Map(all);
        if (mark === null) next.delete(path);
        else next.set(path, mark);
        return next;
      });
    if (mark === null || locks().has(path)) put();
    else lockTimers.set(path, setTimeout(put, LOCK_SHOWN_AFTER_MS));
  };
  const loadLocks = async (): Promise<void> => {
    try {
      const answer = await api.locks();
      setLocks(
        new Map(answer.locks.map((lock: LockAnswer) => [lock.path, { holder: lock.holders[0] ?? null, lease: lock.lease ?? null }])),
      );
    } catch (error) {
      documents.problemOf(error);
    }
  };
  const [presence, setPresence] = createSignal<ReadonlyMap<string, readonly Client[]>>(new Map());
  /** The others who have a file open. */
  const others = (path: string): Client[] => (presence().get(path) ?? []).filter((client) => client.client !== clientId);

  // ---- conflicts, audit, queues
  const [conflicts, setConflicts] = createSignal<readonly StoredConflict[]>([]);
  const loadConflicts = async (): Promise<void> => {
    try {
      const answer = await api.conflicts();
      setConflicts(answer.conflicts.filter((one) => one.state === "open" || one.state === "unresolved"));
    } catch (error) {
      if (!(error instanceof Refused)) documents.problemOf(error);
    }
  };
  const [audit, setAudit] = createSignal<readonly AuditRecord[]>([]);
  const [auditError, setAuditError] = createSignal("");
  const loadAudit = async (): Promise<void> => {
    try {
      setAudit((await api.audit(AUDIT_LINES)).records.slice().reverse());
      setAuditError("");
    } catch (error) {
      setAuditError(documents.problemOf(error)?.detail ?? "The server can't be reached.");
    }
  };
  /** Raised by each event about queues; lists read again. */
  const [queueTick, setQueueTick] = createSignal(0);
  /** Raised when a file's versions may have changed. */
  const [historyTick, setHistoryTick] = createSignal(0);

  // ---- what is shown
  const [side, setSide] = createSignal<Side | null>(null);
  const [comparison, setComparison] = createSignal<Comparison | null>(null);
  const [treeShown, setTreeShown] = createSignal(false);
  const [dialog, setDialog] = createSignal<"find" | "help" | "new-file" | "name" | null>(null);
  type Theme = "system" | "light" | "dark";
  const [theme, setThemeSignal] = createSignal<Theme>((stored("filelatch.theme") as Theme | null) ?? "system");
  createEffect(() => {
    const chosen = theme();
    if (chosen === "system") delete document.documentElement.dataset["theme"];
    else document.documentElement.dataset["theme"] = chosen;
  });

  const onEvent = (event: ServerEvent): void => {
    switch (event.type) {
      case "hello":
        clientId = event.client;
        setPresence(new Map());
        break;
      case "file-changed": {
        const gone = event.kind === "deleted";
        if (event.kind === "renamed" && event.from !== undefined) {
          fileGone(event.from);
          documents.dispatch(event.from, { type: "changed", version: { hash: null, by: event.by, at: event.at } });
        }
        if (gone) fileGone(event.path);
        else fileThere(event.path);
        if (event.hash === null && !gone) documents.dispatch(event.path, { type: "look-again" });
        else documents.dispatch(event.path, { type: "changed", version: { hash: event.hash, by: event.by, at: event.at } });
        if (event.path === documents.active()) setHistoryTick((tick) => tick + 1);
        break;
      }
      case "file-lock-change":
        setLock(event.path, event.locked || event.lease ? { holder: event.holder, lease: event.lease ?? null } : null);
        break;
      case "presence":
        setPresence((all) => {
          const next = new Map(all);
          if (event.clients.length === 0) next.delete(event.path);
          else next.set(event.path, event.clients);
          return next;
        });
        break;
      case "conflict":
        void loadConflicts();
        break;
      case "queue-changed":
        setQueueTick((tick) => tick + 1);
        break;
      case "write-done": {
        const save = documents.doc(event.path)?.save;
        if (save?.kind === "queued" && save.id === event.id) documents.dispatch(event.path, { type: "look-again" });
        break;
      }
      case "audit":
        setAudit((all) => [event.record, ...all].slice(0, AUDIT_LINES));
        break;
      case "reset":
        lookAgain();
        break;
      case "bye":
      case "error":
        break;
    }
  };
  const fileThere = (path: string): void => {
    if (files.has(path)) return;
    files.add(path);
    tree.insert(folders, path);
    treeChanged();
  };
  const fileGone = (path: string): void => {
    if (!files.delete(path)) return;
    tree.remove(folders, path);
    treeChanged();
  };

  const lookAgain = (): void => {
    void loadTree();
    void loadLocks();
    void loadConflicts();
    setQueueTick((tick) => tick + 1);
    setHistoryTick((tick) => tick + 1);
    if (side() === "audit") void loadAudit();
    documents.lookAgain();
  };

  const loadMe = async (): Promise<boolean> => {
    try {
      setMe(await api.me());
      setLoggedOut(false);
      return true;
    } catch (error) {
      documents.problemOf(error);
      return false;
    }
  };

  const onLine = (state: LineState, retryInMs: number): void => {
    const before = lineState();
    if (state === "connecting" && before === "offline") return;
    setLineState(state);
    setRetryAt(Date.now() + retryInMs);
    // A login that has ended shows only by a refused line, so it is asked for.
    if (state === "offline") void loadMe();
    if (state === "online" && before !== "online") {
      void loadMe();
      void loadLocks();
      if (before === "offline") say("The connection is back.");
      if (treeState() !== "ready") void loadTree();
      documents.lookAgain();
    }
  };

  createEffect(() => {
    const path = documents.active();
    line?.send({ type: "viewing", path });
    setComparison(null);
    if (path !== null) reveal(path);
    document.title = path === null ? "filelatch" : `${path.split("/").pop() ?? path} – filelatch`;
  });
  createEffect(() => {
    if (side() !== "audit") return;
    line?.send({ type: "subscribe", audit: true });
    void loadAudit();
  });
  createEffect(() => {
    if (side() === "drafts") void loadDrafts();
  });

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
    if (!(await documents.restore(draft))) return;
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

  const openSession = async (): Promise<void> => {
    while (!(await loadMe())) {
      if (loggedOut()) break;
      await new Promise((resolve) => setTimeout(resolve, 1500));
    }
    const root = me()?.root ?? "";
    const tab = await thisTab();
    let draftStore = noStore;
    try {
      draftStore = await openStore();
    } catch {
      setDraftsBroken(true);
    }
    const clock = {
      now: () => Date.now(),
      after: (ms: number, run: () => void) => setTimeout(run, ms),
      cancel: (timer: unknown) => clearTimeout(timer as number),
    };
    const keep = new Keeper(root, tab, draftStore, clock, setDraftsBroken);
    setKeeper(keep);
    line = openLine({
      url: (cursor) =>
        `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/api/events${cursor === null ? "" : `?cursor=${encodeURIComponent(cursor)}`}`,
      onEvent,
      onState: onLine,
    });
    if (name() !== "") line.send({ type: "session", name: name() });
    void loadTree();
    void loadConflicts();
    await loadDrafts();
    // What this tab had open, and what was typed in it.
    const own = drafts().filter((draft) => draft.of === "this" && draft.kind === "open");
    const last = openFiles(root);
    for (const path of last.paths) documents.open(path);
    for (const draft of own) {
      if (await documents.restore(draft)) say(`${draft.path}: your unsaved text is back.`);
    }
    const asked = decodeURIComponent(location.hash.slice(1));
    if (asked !== "") documents.open(asked);
    else if (last.active !== null) documents.setActive(last.active);
    createRoot(() =>
      createEffect(() => {
        const state = { paths: documents.paths(), active: documents.active() };
        sessionStorage.setItem(`filelatch.open:${root}`, JSON.stringify(state));
        history.replaceState(
          null,
          "",
          state.active === null ? location.pathname : `#${encodeURIComponent(state.active).replaceAll("%2F", "/")}`,
        );
      }),
    );
  };
  const openFiles = (root: string): { paths: string[]; active: string | null } => {
    try {
      const state = JSON.parse(sessionStorage.getItem(`filelatch.open:${root}`) ?? "") as { paths?: unknown; active?: unknown };
      const list = Array.isArray(state.paths) ? state.paths.filter((path): path is string => typeof path === "string") : [];
      return { paths: list, active: typeof state.active === "string" && list.includes(state.active) ? state.active : null };
    } catch {
      return { paths: [], active: null };
    }
  };

  const leaving = (): void => keeper()?.leaving();
  const asking = (event: BeforeUnloadEvent): void => {
    // Drafts are kept, so leaving loses nothing; only when they can't be kept is the person asked.
    if (draftsBroken() && [...documents.docs().values()].some(unsaved)) event.preventDefault();
  };
  const hidden = (): void => {
    if (document.visibilityState === "hidden") leaving();
  };
  const online = (): void => line?.wake();
  addEventListener("pagehide", leaving);
  addEventListener("beforeunload", asking);
  document.addEventListener("visibilitychange", hidden);
  addEventListener("online", online);

  void openSession();

  return {
    notices,
    say,
    dismiss,
    now,
    me,
    loggedOut,
    loadMe,
    self,
    canWrite,
    name,
    theme,
    keeper,
    drafts,
    draftsBroken,
    orphans,
    lineState,
    retryAt,
    documents,
    merging,
    paths,
    rows,
    opened,
    toggle,
    reveal,
    treeState,
    truncated,
    loadTree,
    locks,
    others,
    presence,
    conflicts,
    audit,
    auditError,
    queueTick,
    historyTick,
    side,
    setSide,
    comparison,
    setComparison,
    treeShown,
    setTreeShown,
    dialog,
    setDialog,
    takeDraft,
    dropDraft,
    loadDrafts,
    wake: () => line?.wake(),
    setTheme: (chosen: Theme): void => {
      store("filelatch.theme", chosen);
      setThemeSignal(chosen);
    },
    setName: (chosen: string): void => {
      store("filelatch.name", chosen);
      setNameSignal(chosen);
      line?.send({ type: "session", name: chosen || (me()?.session ?? "web") });
    },
    open: (path: string): void => {
      documents.open(path);
      setTreeShown(false);
      setComparison(null);
    },
    save: (queue = false): void => {
      const path = documents.active();
      if (path !== null) documents.dispatch(path, { type: "save", queue });
    },
  };
}

export type App = ReturnType<typeof createApp>;
