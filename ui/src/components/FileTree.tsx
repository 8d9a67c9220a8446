// The files. Only the rows in view are in the page, so 20,000 files cost what 40 do.

import { createEffect, createMemo, createSignal, For, on, onMount, Show } from "solid-js";
import type { App } from "../app/app";
import { find, index } from "../state/find";
import { unsaved } from "../state/document";
import type { Row } from "../state/tree";
import { holder, initials } from "../state/words";
import * as Icon from "./icons";

const ROW = 26;
const BEYOND = 12;
const FOUND_MOST = 2_000;

export function FileTree(props: { app: App }) {
  const { app } = props;
  let list!: HTMLDivElement;
  const [filter, setFilter] = createSignal("");
  const [top, setTop] = createSignal(0);
  const [height, setHeight] = createSignal(600);
  const [current, setCurrent] = createSignal<string | null>(null);

  const names = createMemo(() => index(app.files.paths()));
  const visible = createMemo<readonly Row[]>(() => {
    if (filter().trim() === "") return app.files.rows();
    const found = find(names(), filter(), FOUND_MOST);
    return found.map(({ path }, i) => ({ kind: "file", path, name: path, depth: 0, open: false, place: i + 1, siblings: found.length }));
  });
  const first = createMemo(() => Math.max(0, Math.floor(top() / ROW) - BEYOND));
  const shown = createMemo(() => visible().slice(first(), first() + Math.ceil(height() / ROW) + 2 * BEYOND));
  // By path, so that a row whose neighbours change stays the same element and keeps the focus.
  const byPath = createMemo(() => new Map(shown().map((row, i) => [row.path, { row, y: (first() + i) * ROW }])));
  const shownPaths = createMemo(() => [...byPath().keys()]);
  const focusable = createMemo(() => {
    const at = current() ?? app.documents.active();
    return visible().some((row) => row.path === at) ? at : (visible()[0]?.path ?? null);
  });

  const bring = (path: string): void => {
    const at = visible().findIndex((row) => row.path === path);
    if (at < 0) return;
    const y = at * ROW;
    if (y < list.scrollTop) list.scrollTop = y;
    else if (y + ROW > list.scrollTop + list.clientHeight) list.scrollTop = y + ROW - list.clientHeight;
    setTop(list.scrollTop);
  };
  const move = (path: string | undefined): void => {
    if (path === undefined) return;
    setCurrent(path);
    bring(path);
    queueMicrotask(() => list.querySelector<HTMLElement>('[tabindex="0"]')?.focus());
  };
  const use = (row: Row): void => {
    setCurrent(row.path);
    if (row.kind === "folder") app.files.toggle(row.path);
    else app.open(row.path);
  };

  const onKey = (event: KeyboardEvent): void => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const all = visible();
    const at = all.findIndex((row) => row.path === focusable());
    const row = all[at];
    const page = Math.max(1, Math.floor(list.clientHeight / ROW) - 1);
    const go: Record<string, () => void> = {
      ArrowDown: () => move(all[at + 1]?.path),
      ArrowUp: () => move(all[at - 1]?.path),
      Home: () => move(all[0]?.path),
      End: () => move(all.at(-1)?.path),
      PageDown: () => move(all[Math.min(all.length - 1, at + page)]?.path),
      PageUp: () => move(all[Math.max(0, at - page)]?.path),
      ArrowRight: () => {
        if (row?.kind !== "folder") return;
        if (row.open) move(all[at + 1]?.path);
        else app.files.toggle(row.path, true);
      },
      ArrowLeft: () => {
        if (row === undefined) return;
        if (row.kind === "folder" && row.open) app.files.toggle(row.path, false);
        else if (row.path.includes("/") && filter() === "") move(row.path.slice(0, row.path.lastIndexOf("/")));
      },
      Enter: () => row && use(row),
      " ": () => row && use(row),
    };
    const action = go[event.key];
    if (action === undefined) return;
    event.preventDefault();
    action();
  };

  onMount(() => {
    const watch = new ResizeObserver(() => setHeight(list.clientHeight));
    watch.observe(list);
  });
  createEffect(on(app.documents.active, (path) => path !== null && queueMicrotask(() => bring(path))));
  createEffect(on(filter, () => (list.scrollTop = 0), { defer: true }));

  return (
    <nav class="files" aria-label="Files">
      <div class="files-head">
        <label class="field">
          <Icon.Search />
          <input
            type="search"
            placeholder="Search files"
            aria-label="Search files"
            autocomplete="off"
            spellcheck={false}
            value={filter()}
            onInput={(event) => setFilter(event.currentTarget.value)}
            onKeyDown={(event) => {
              if (event.key === "ArrowDown") {
                event.preventDefault();
                move(visible()[0]?.path);
              } else if (event.key === "Enter") {
                const row = visible()[0];
                if (row !== undefined && filter() !== "") use(row);
              } else if (event.key === "Escape") setFilter("");
            }}
          />
        </label>
        <button class="icon" title="New file" aria-label="New file" disabled={!app.canWrite()} onClick={() => app.setDialog("new-file")}>
          <Icon.Plus />
        </button>
      </div>
      <div class="rows" ref={list} onScroll={() => setTop(list.scrollTop)} onKeyDown={onKey}>
        <Show when={visible().length > 0} fallback={<p class="hint">{empty(app, filter())}</p>}>
          <div class="rows-all" role="tree" aria-label="Files" style={{ height: `${visible().length * ROW}px` }}>
            <For each={shownPaths()}>
              {(path) => (
                <Show when={byPath().get(path)}>
                  {(at) => <TreeRow app={app} row={at().row} y={at().y} focusable={focusable() === path} onUse={() => use(at().row)} />}
                </Show>
              )}
            </For>
          </div>
        </Show>
      </div>
      <p class="files-foot">
        {app.files.paths().length.toLocaleString("en")} file{app.files.paths().length === 1 ? "" : "s"}
        {app.files.truncated() ? " (the first; there are more)" : ""}
      </p>
    </nav>
  );
}

function empty(app: App, filter: string): string {
  if (filter !== "") return `No file matches “${filter}”.`;
  if (app.files.treeState() === "loading") return "Reading the files…";
  return app.files.treeState() === "failed" ? "The files can't be read now." : "No files yet.";
}

function TreeRow(props: { app: App; row: Row; y: number; focusable: boolean; onUse: () => void }) {
  const { app } = props;
  const doc = () => app.documents.doc(props.row.path);
  const dirty = () => {
    const open = doc();
    return open !== undefined && unsaved(open);
  };
  const lock = () => app.live.locks().get(props.row.path);
  const here = () => (props.row.kind === "file" ? app.live.others(props.row.path) : []);
  const hidden = createMemo(() => {
    // A closed folder shows the marks of what is in it.
    if (props.row.kind === "file" || props.row.open) return false;
    const prefix = `${props.row.path}/`;
    return [...app.live.locks().keys()].some((path) => path.startsWith(prefix));
  });
  const said = () =>
    [
      props.row.name,
      dirty() ? "unsaved text" : "",
      lock() ? `locked by ${holder(lock()?.holder ?? lock()?.lease?.holder)}` : "",
      here().length > 0
        ? `open by ${here()
            .map((client) => client.session)
            .join(", ")}`
        : "",
    ]
      .filter((part) => part !== "")
      .join(", ");
  return (
    <div
      role="treeitem"
      class="row"
      classList={{ active: app.documents.active() === props.row.path, folder: props.row.kind === "folder" }}
      aria-level={props.row.depth + 1}
      aria-setsize={props.row.siblings}
      aria-posinset={props.row.place}
      aria-expanded={props.row.kind === "folder" ? props.row.open : undefined}
      aria-selected={app.documents.active() === props.row.path}
      aria-label={said()}
      data-path={props.row.path}
      tabindex={props.focusable ? 0 : -1}
      title={props.row.path}
      style={{ top: `${props.y}px`, "--depth": props.row.depth }}
      onClick={() => props.onUse()}
    >
      <span class="twist" aria-hidden="true">
        {props.row.kind === "folder" ? props.row.open ? <Icon.Down size={12} /> : <Icon.Right size={12} /> : null}
      </span>
      <span class="kind" aria-hidden="true">
        {props.row.kind === "folder" ? <Icon.Folder size={15} /> : <Icon.File size={15} />}
      </span>
      <span class="name">{props.row.name}</span>
      <Show when={dirty()}>
        <span class="dot" title="Unsaved text" />
      </Show>
      <Show when={here().length > 0}>
        <span class="people" aria-hidden="true">
          <For each={here().slice(0, 3)}>
            {(client) => <span class="person" data-letters={initials(client.session)} title={`${client.session} has this file open`} />}
          </For>
        </span>
      </Show>
      <Show when={lock() !== undefined || hidden()}>
        <span class="locked" title={lock() ? `Locked by ${holder(lock()?.holder ?? lock()?.lease?.holder)}` : "A file in here is locked"}>
          <Icon.Lock size={13} />
        </span>
      </Show>
    </div>
  );
}
