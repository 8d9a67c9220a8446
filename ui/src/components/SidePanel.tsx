// The side list: versions of the file, who holds what, queues, audit, stored conflicts, drafts. All follow what happens.

import { createEffect, createMemo, createSignal, For, type JSX, on, Show } from "solid-js";
import { api } from "../api/client";
import type { App, Side } from "../app/app";
import type { ListedDraft } from "../app/drafts";
import type { AuditRecord, HistoryAnswer, HistoryVersion, QueueAnswer } from "../api/types";
import { ago, author, capital, date, holder, holderDetail, short, since, size, starting, writer } from "../state/words";
import * as Icon from "./icons";

const TABS: readonly (readonly [Side, string])[] = [
  ["history", "History"],
  ["locks", "Locks"],
  ["conflicts", "Conflicts"],
  ["drafts", "Drafts"],
  ["queues", "Queues"],
  ["audit", "Audit"],
];

export function SidePanel(props: { app: App }) {
  const { app } = props;
  const count = (tab: Side): number =>
    tab === "locks"
      ? app.live.locks().size
      : tab === "conflicts"
        ? app.live.conflicts().length
        : tab === "drafts"
          ? app.keeping.drafts().filter((draft) => draft.kind === "aside" || draft.of !== "this").length
          : 0;
  const onKey = (event: KeyboardEvent): void => {
    const at = TABS.findIndex(([tab]) => tab === app.side());
    const by = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
    const next = TABS[(at + by + TABS.length) % TABS.length];
    if (by === 0 || next === undefined) return;
    event.preventDefault();
    app.setSide(next[0]);
    queueMicrotask(() => document.getElementById(`tab-${next[0]}`)?.focus());
  };
  return (
    <aside class="side-panel" aria-label="What happens">
      <div class="tabs-line">
        <div class="tabs" role="tablist" aria-label="Lists" onKeyDown={onKey}>
          <For each={TABS}>
            {([tab, label]) => (
              <button
                role="tab"
                id={`tab-${tab}`}
                aria-selected={app.side() === tab}
                aria-controls="side-list"
                tabindex={app.side() === tab ? 0 : -1}
                onClick={() => app.setSide(tab)}
              >
                {label}
                <Show when={count(tab) > 0}>
                  <span class="count-mark">{count(tab)}</span>
                </Show>
              </button>
            )}
          </For>
        </div>
        <button class="icon" aria-label="Close the side list" title="Close" onClick={() => app.setSide(null)}>
          <Icon.Close />
        </button>
      </div>
      <div class="side-list" id="side-list" role="tabpanel" aria-labelledby={`tab-${app.side() ?? "history"}`} tabindex="0">
        <Show when={app.side() === "history"}>
          <History app={app} />
        </Show>
        <Show when={app.side() === "locks"}>
          <Locks app={app} />
        </Show>
        <Show when={app.side() === "conflicts"}>
          <Conflicts app={app} />
        </Show>
        <Show when={app.side() === "drafts"}>
          <Drafts app={app} />
        </Show>
        <Show when={app.side() === "queues"}>
          <Queues app={app} />
        </Show>
        <Show when={app.side() === "audit"}>
          <Audit app={app} />
        </Show>
      </div>
    </aside>
  );
}

const Hint = (props: { children: JSX.Element }) => <p class="hint">{props.children}</p>;

function History(props: { app: App }) {
  const { app } = props;
  const [answer, setAnswer] = createSignal<HistoryAnswer | null>(null);
  const [error, setError] = createSignal("");
  const path = () => app.documents.active();
  const load = async (): Promise<void> => {
    const of = path();
    if (of === null) return;
    try {
      const got = await api.history(of);
      if (path() !== of) return;
      setAnswer(got);
      setError("");
    } catch (failure) {
      if (path() !== of) return;
      const problem = app.documents.problemOf(failure);
      setAnswer(null);
      setError(
        problem === null
          ? "The server can't be reached."
          : problem.kind === "no-workspace"
            ? "This folder keeps no history. “filelatch init” in it begins one."
            : problem.detail,
      );
    }
  };
  const hash = () => app.documents.doc(path())?.base.hash;
  createEffect(on(path, () => setAnswer(null)));
  createEffect(on([path, hash, app.live.historyTick], () => void load()));

  const look = async (version: HistoryVersion): Promise<void> => {
    const of = path();
    if (of === null) return;
    try {
      const [old, current] = await Promise.all([api.version(of, version.hash), api.read(of)]);
      app.setComparison({
        path: of,
        title: `What changed since the version that ${version.by === app.self() ? "you" : writer(version.by, "")} saved ${ago(version.at, app.now())}`,
        left: { label: `Version of ${date(version.at)}`, text: old.content },
        right: { label: "The file now", text: current.content ?? "" },
        restore: { hash: version.hash },
      });
    } catch (failure) {
      app.say(app.documents.problemOf(failure)?.detail ?? "The server can't be reached.", "bad");
    }
  };
  const older = createMemo(() => (answer()?.versions ?? []).filter((version, i) => !(i === 0 && version.hash === answer()?.current?.hash)));
  return (
    <Show when={path() !== null} fallback={<Hint>Open a file to see its versions.</Hint>}>
      <Show when={error() === ""} fallback={<Hint>{error()}</Hint>}>
        <ol class="list" aria-label={`Versions of ${path() ?? ""}, the newest first`}>
          <Show when={answer()?.current}>
            {(version) => (
              <li class="item now">
                <p>
                  <b>{author(version().by, app.self())}</b> <span class="tag">now</span>
                </p>
                <p class="soft" title={date(version().at)}>
                  {ago(version().at, app.now())} · {size(version().size)} · <span class="mono">{short(version().hash)}</span>
                </p>
              </li>
            )}
          </Show>
          <For each={older()}>
            {(version) => (
              <li class="item">
                <button class="item-button" onClick={() => void look(version)}>
                  <p>
                    <b>{author(version.by, app.self())}</b>
                  </p>
                  <p class="soft" title={date(version.at)}>
                    {ago(version.at, app.now())} · {size(version.size)} · <span class="mono">{short(version.hash)}</span>
                  </p>
                </button>
              </li>
            )}
          </For>
        </ol>
        <Show when={answer() !== null && older().length === 0}>
          <Hint>No older version yet: each save keeps the one it replaces.</Hint>
        </Show>
      </Show>
    </Show>
  );
}

function Locks(props: { app: App }) {
  const { app } = props;
  return (
    <Show when={app.live.locks().size > 0} fallback={<Hint>Nobody holds a lock now.</Hint>}>
      <ul class="list" aria-label="Locks that are held">
        <For each={[...app.live.locks()].sort(([a], [b]) => (a < b ? -1 : 1))}>
          {([path, mark]) => (
            <li class="item">
              <button class="item-button" onClick={() => app.open(path)}>
                <p class="with-icon">
                  <Icon.Lock size={14} /> <b class="path">{path}</b>
                </p>
                <p class="soft">
                  {starting(holder(mark.holder ?? mark.lease?.holder))}
                  {mark.holder?.since ? `, for ${since(mark.holder.since, app.now())}` : ""}
                  {mark.lease?.expiresAt ? `, until ${date(mark.lease.expiresAt).slice(11)}` : ""}
                  {holderDetail(mark.holder ?? mark.lease?.holder) ? ` · ${holderDetail(mark.holder ?? mark.lease?.holder)}` : ""}
                </p>
              </button>
            </li>
          )}
        </For>
      </ul>
    </Show>
  );
}

function Conflicts(props: { app: App }) {
  const { app } = props;
  return (
    <Show
      when={app.live.conflicts().length > 0}
      fallback={<Hint>No stored conflicts. When a program's change does not fit, it is stored here for a person to decide.</Hint>}
    >
      <ul class="list" aria-label="Stored conflicts">
        <For each={app.live.conflicts()}>
          {(one) => (
            <li class="item">
              <button class="item-button" onClick={() => void app.merging.showStored(one.id)} disabled={!app.canWrite()}>
                <p class="with-icon">
                  <Icon.Fork size={14} /> <b class="path">{one.path}</b>
                </p>
                <p class="soft">
                  {starting(writer(one.mine?.by, app.self()))} and {writer(one.theirs?.by, app.self())} · {one.hunks} place
                  {one.hunks === 1 ? "" : "s"} · {ago(one.at, app.now())}
                </p>
              </button>
            </li>
          )}
        </For>
      </ul>
    </Show>
  );
}

function Drafts(props: { app: App }) {
  const { app } = props;
  const where = (draft: ListedDraft): string =>
    draft.kind === "aside"
      ? capital(draft.why)
      : draft.of === "this"
        ? "Being typed here"
        : draft.of === "other"
          ? "Being typed in another tab"
          : "From a tab that was closed";
  const compare = async (draft: ListedDraft): Promise<void> => {
    try {
      const current = await api.read(draft.path);
      app.open(draft.path);
      app.setComparison({
        path: draft.path,
        title: `The draft of ${draft.path} and the file now`,
        left: { label: "The file now", text: current.content ?? "" },
        right: { label: "Draft", text: draft.text },
      });
    } catch (failure) {
      app.say(app.documents.problemOf(failure)?.detail ?? "The server can't be reached.", "bad");
    }
  };
  return (
    <Show
      when={app.keeping.drafts().length > 0}
      fallback={<Hint>No drafts. Unsaved text, and text that a command replaced, is kept here, in this browser.</Hint>}
    >
      <ul class="list" aria-label="Drafts">
        <For each={app.keeping.drafts()}>
          {(draft) => (
            <li class="item">
              <p class="with-icon">
                <Icon.Draft size={14} /> <b class="path">{draft.path}</b>
              </p>
              <p class="soft">
                {where(draft)} · {ago(new Date(draft.at).toISOString(), app.now())} · {size(draft.text.length)}
              </p>
              <div class="item-actions">
                <button onClick={() => void compare(draft)}>Compare</button>
                <Show when={draft.kind === "aside" || draft.of !== "this"}>
                  <button onClick={() => void app.keeping.takeDraft(draft)}>Take it</button>
                </Show>
                <Show when={draft.kind === "aside" || draft.of === "gone" || draft.of === "unknown"}>
                  <button onClick={() => void app.keeping.dropDraft(draft)}>Discard</button>
                </Show>
              </div>
            </li>
          )}
        </For>
      </ul>
    </Show>
  );
}

function Queues(props: { app: App }) {
  const { app } = props;
  const [queues, setQueues] = createSignal<readonly QueueAnswer[]>([]);
  const [error, setError] = createSignal("");
  const [loaded, setLoaded] = createSignal(false);
  createEffect(
    on(app.live.queueTick, async () => {
      try {
        const names = (await api.queues()).queues;
        setQueues(await Promise.all(names.map((name) => api.queue(name))));
        setError("");
      } catch (failure) {
        setError(app.documents.problemOf(failure)?.detail ?? "The server can't be reached.");
      }
      setLoaded(true);
    }),
  );
  return (
    <Show when={error() === ""} fallback={<Hint>{error()}</Hint>}>
      <Show when={queues().length > 0 || !loaded()} fallback={<Hint>No queues. “filelatch queue add NAME -- COMMAND” begins one.</Hint>}>
        <For each={queues()}>
          {(queue) => (
            <section aria-label={`Queue ${queue.queue}`}>
              <h3 class="list-head">
                {queue.queue} <span class="soft">{queue.commands.length}</span>
              </h3>
              <ul class="list">
                <For each={queue.commands.slice(0, 100)}>
                  {(command) => (
                    <li class="item">
                      <p class="mono command">{command.command.join(" ")}</p>
                      <p class="soft">
                        <span class={`state ${command.state}`}>{command.state}</span>
                        {command.runner ? ` · ${command.runner}` : ""}
                        {command.attempts > 1 ? ` · attempt ${command.attempts}` : ""}
                        {command.exitCode != null ? ` · exit ${command.exitCode}` : ""}
                      </p>
                    </li>
                  )}
                </For>
              </ul>
            </section>
          )}
        </For>
      </Show>
    </Show>
  );
}

const text = (record: AuditRecord, name: string): string => {
  const value = record[name];
  return typeof value === "string" || typeof value === "number" ? String(value) : "";
};

/** Events of the audit log in plain words; others by their own name. */
const EVENTS: Record<string, string> = {
  write: "written",
  completed: "completed after a crash",
  remove: "removed",
  lock: "locked for a while",
  refused: "lock not had",
  recovered: "lock of a dead process taken over",
  lease: "lease",
  foreign: "written by a program outside",
  conflict: "conflict stored",
  resolve: "conflict resolved",
  restore: "older version brought back",
  prune: "old versions removed",
  begin: "log begun",
};

function Audit(props: { app: App }) {
  const { app } = props;
  const what = (record: AuditRecord): string => {
    const event = text(record, "event");
    const outcome = text(record, "outcome");
    return `${EVENTS[event] ?? event}${outcome === "" || outcome === "written" ? "" : ` (${outcome})`}`;
  };
  return (
    <Show when={app.live.auditError() === ""} fallback={<Hint>{app.live.auditError()}</Hint>}>
      <Show when={app.live.audit().length > 0} fallback={<Hint>Nothing yet.</Hint>}>
        <ol class="list" aria-label="What was done, the newest first">
          <For each={app.live.audit()}>
            {(record) => {
              const [path, by, at] = [text(record, "path"), text(record, "session"), text(record, "at")];
              return (
                <li class="item">
                  <p>
                    <b class="path">{path || capital(what(record))}</b>
                  </p>
                  <p class="soft" title={date(at)}>
                    {[path === "" ? "" : what(record), by === "" ? "" : `by ${by}`, ago(at, app.now())]
                      .filter((part) => part !== "")
                      .join(" · ")}
                  </p>
                </li>
              );
            }}
          </For>
        </ol>
      </Show>
    </Show>
  );
}
