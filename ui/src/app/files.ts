// The files below the root: read once, then kept by events.

import { batch, createMemo, createSignal } from "solid-js";
import { api } from "../api/client";
import * as tree from "../state/tree";

/** Folders that are few enough to be shown open at once. */
const OPEN_AT_FIRST = 60;
const DRAWN_AFTER_MS = 50;

export function createFiles(onError: (error: unknown) => void) {
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
    }, DRAWN_AFTER_MS);
  };
  const loadTree = async (): Promise<void> => {
    try {
      const answer = await api.tree();
      files.clear();
      for (const entry of answer.entries) files.add(entry.path);
      folders = tree.grow(files);
      batch(() => {
        // Few files: all folders open, nothing to look for.
        if (treeState() !== "ready" && files.size <= OPEN_AT_FIRST) setOpened(new Set([...files].flatMap(tree.above)));
        setTruncated(answer.truncated);
        setTreeState("ready");
        setTreeVersion((version) => version + 1);
      });
    } catch (error) {
      onError(error);
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

  const add = (path: string): void => {
    if (files.has(path)) return;
    files.add(path);
    tree.insert(folders, path);
    treeChanged();
  };
  const remove = (path: string): void => {
    if (!files.delete(path)) return;
    tree.remove(folders, path);
    treeChanged();
  };

  return { paths, rows, opened, toggle, reveal, treeState, truncated, loadTree, add, remove };
}
