// The page's parts put together: who we are, the line to the server, files, locks, people, drafts.

import { createEffect, createRoot, createSignal, on, onCleanup } from "solid-js";
import { api } from "../api/client";
import { type Line, type LineState, openLine } from "../api/events";
import type { Me, ServerEvent } from "../api/types";
import { unsaved } from "../state/document";
import { createDocuments, type Documents } from "./documents";
import { createDrafts } from "./drafts";
import { createFiles } from "./files";
import { createLive } from "./live";
import { createMerging } from "./merging";
import { createNotices } from "./notices";

export type Side = "history" | "locks" | "queues" | "audit" | "conflicts" | "drafts";

/** Two texts beside each other, in place of the editor. */
export interface Comparison {
  path: string;
  title: string;
  left: { label: string; text: string };
  right: { label: string; text: string };
  restore?: { hash: string };
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

  // ---- the line
  const [lineState, setLineState] = createSignal<LineState>("connecting");
  const [retryAt, setRetryAt] = createSignal(0);
  let line: Line | null = null;

  const keeping = createDrafts(() => documents, say);
  const documents: Documents = createDocuments({
    keeper: keeping.keeper,
    say,
    name: () => name() || undefined,
    self,
    onLoggedOut: () => setLoggedOut(true),
    onUnreachable: () => line?.wake(),
  });
  const merging = createMerging({ documents, say, name: () => name() || undefined });
  createEffect(on(documents.docs, () => documents.settle()));
  const files = createFiles(documents.problemOf);
  const live = createLive(documents.problemOf);

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
        live.connected(event.client);
        break;
      case "file-changed": {
        const gone = event.kind === "deleted";
        if (event.kind === "renamed" && event.from !== undefined) {
          files.remove(event.from);
          documents.dispatch(event.from, { type: "changed", version: { hash: null, by: event.by, at: event.at } });
        }
        if (gone) files.remove(event.path);
        else files.add(event.path);
        if (event.hash === null && !gone) documents.dispatch(event.path, { type: "look-again" });
        else documents.dispatch(event.path, { type: "changed", version: { hash: event.hash, by: event.by, at: event.at } });
        if (event.path === documents.active()) live.versionsChanged();
        break;
      }
      case "file-lock-change":
        live.setLock(event.path, event.locked || event.lease ? { holder: event.holder, lease: event.lease ?? null } : null);
        break;
      case "presence":
        live.present(event.path, event.clients);
        break;
      case "conflict":
        void live.loadConflicts();
        break;
      case "queue-changed":
        live.queuesChanged();
        break;
      case "write-done": {
        const save = documents.doc(event.path)?.save;
        if (save?.kind === "queued" && save.id === event.id) documents.dispatch(event.path, { type: "look-again" });
        break;
      }
      case "audit":
        live.audited(event.record);
        break;
      case "reset":
        lookAgain();
        break;
      case "bye":
      case "error":
        break;
    }
  };
  const lookAgain = (): void => {
    void files.loadTree();
    void live.loadLocks();
    void live.loadConflicts();
    live.queuesChanged();
    live.versionsChanged();
    if (side() === "audit") void live.loadAudit();
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
      void live.loadLocks();
      if (before === "offline") say("The connection is back.");
      if (files.treeState() !== "ready") void files.loadTree();
      documents.lookAgain();
    }
  };

  createEffect(() => {
    const path = documents.active();
    line?.send({ type: "viewing", path });
    setComparison(null);
    if (path !== null) files.reveal(path);
  });
  createEffect(() => {
    const name = documents.active()?.split("/").pop();
    const mark = [...documents.docs().values()].some(unsaved) ? "• " : "";
    document.title = mark + (name === undefined ? "filelatch" : `${name} – filelatch`);
  });
  createEffect(() => {
    if (side() !== "audit") return;
    line?.send({ type: "subscribe", audit: true });
    void live.loadAudit();
  });
  createEffect(() => {
    if (side() === "drafts") void keeping.loadDrafts();
  });

  const openSession = async (): Promise<void> => {
    while (!(await loadMe())) {
      if (loggedOut()) break;
      await new Promise((resolve) => setTimeout(resolve, 1500));
    }
    const root = me()?.root ?? "";
    await keeping.begin(root);
    line = openLine({
      url: (cursor) =>
        `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/api/events${cursor === null ? "" : `?cursor=${encodeURIComponent(cursor)}`}`,
      onEvent,
      onState: onLine,
    });
    if (name() !== "") line.send({ type: "session", name: name() });
    void files.loadTree();
    void live.loadConflicts();
    await keeping.loadDrafts();
    // What this tab had open, and what was typed in it.
    const own = keeping.drafts().filter((draft) => draft.of === "this" && draft.kind === "open");
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

  const leaving = (): void => keeping.keeper()?.leaving();
  const asking = (event: BeforeUnloadEvent): void => {
    // Drafts are kept, so leaving loses nothing; only when they can't be kept is the person asked.
    if (keeping.draftsBroken() && [...documents.docs().values()].some(unsaved)) event.preventDefault();
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
    lineState,
    retryAt,
    documents,
    merging,
    files,
    live,
    keeping,
    side,
    setSide,
    comparison,
    setComparison,
    treeShown,
    setTreeShown,
    dialog,
    setDialog,
    wake: () => line?.wake(),
    logOut: async (): Promise<void> => {
      await keeping.keeper()?.flush();
      try {
        await api.logout();
        setLoggedOut(true);
      } catch (error) {
        say(documents.problemOf(error)?.detail ?? "The server can't be reached.", "bad");
      }
    },
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
      if (!canWrite()) say("This login may not save.");
      else if (path !== null) documents.dispatch(path, { type: "save", queue });
    },
  };
}

export type App = ReturnType<typeof createApp>;
