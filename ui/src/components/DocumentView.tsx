// The file in view: its head with marks and commands, notices that ask something, the text or a comparison.

import { createMemo, createSignal, For, lazy, Show, Suspense } from "solid-js";
import { address, api } from "../api/client";
import type { App } from "../app/app";
import { languageName, languageOf } from "../editor/languages";
import { unsaved } from "../state/document";
import { ago, capital, holder, holderDetail, initials, since, starting, writer } from "../state/words";
import { MOD } from "./Dialogs";
import { EditorPane, type EditorHandle } from "./EditorPane";
import type { DiffHandle } from "./DiffView";
import * as Icon from "./icons";

const DiffView = lazy(() => import("./DiffView"));

export function DocumentView(props: { app: App; editor: (handle: EditorHandle) => void; diff: (handle: DiffHandle | null) => void }) {
  const { app } = props;
  const path = () => app.documents.active();
  const doc = createMemo(() => app.documents.doc(path()));
  return (
    <main class="main" aria-label="File">
      <Show when={app.documents.paths().length > 0}>
        <OpenFiles app={app} />
      </Show>
      <Show when={path() !== null} fallback={<Nothing app={app} />}>
        <Head app={app} />
        <Notices app={app} />
      </Show>
      <div class="work" classList={{ hidden: path() === null }}>
        <Show when={doc()?.phase === "unreadable"}>
          <div class="cannot">
            <p class="lead">{doc()?.reason}</p>
            <a class="button" href={`/files/${address(path() ?? "")}`} download="">
              Download the file
            </a>
          </div>
        </Show>
        <Show when={doc()?.phase === "loading"}>
          <p class="hint wait">{app.lineState() === "offline" ? "Waiting for the connection…" : "Reading…"}</p>
        </Show>
        <div class="editor-wrap" classList={{ away: doc()?.phase !== "ready" || app.comparison() !== null }}>
          <EditorPane app={app} handle={props.editor} />
        </div>
        <Show when={app.comparison()}>{(comparison) => <Comparison app={app} diff={props.diff} path={comparison().path} />}</Show>
      </div>
    </main>
  );
}

function Nothing(props: { app: App }) {
  return (
    <div class="nothing">
      <Icon.Logo size={44} />
      <p class="lead">
        {props.app.me()?.root ? (
          <>
            The files of <b>{props.app.me()?.root}</b>
          </>
        ) : (
          "filelatch"
        )}
      </p>
      <p class="soft">
        Choose a file on the left, or press <kbd>{MOD}</kbd> <kbd>P</kbd> to find one by its name.
      </p>
      <button onClick={() => props.app.setDialog("find")}>
        <Icon.Search /> Find a file
      </button>
    </div>
  );
}

function OpenFiles(props: { app: App }) {
  const { app } = props;
  const label = (path: string): string => {
    const name = path.split("/").pop() ?? path;
    const twins = app.documents.paths().filter((other) => other.split("/").pop() === name).length > 1;
    return twins ? path.split("/").slice(-2).join("/") : name;
  };
  const onKey = (event: KeyboardEvent, path: string): void => {
    const all = app.documents.paths();
    const by = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
    if (by !== 0) {
      event.preventDefault();
      const next = all[(all.indexOf(path) + by + all.length) % all.length];
      if (next !== undefined) app.open(next);
      queueMicrotask(() => document.querySelector<HTMLElement>(".open-files [aria-current]")?.focus());
    } else if (event.key === "Delete") app.documents.close(path);
  };
  return (
    <nav class="open-files" aria-label="Open files">
      <For each={app.documents.paths()}>
        {(path) => {
          const dirty = () => {
            const doc = app.documents.doc(path);
            return doc !== undefined && unsaved(doc);
          };
          return (
            <div class="open-file" classList={{ active: app.documents.active() === path }}>
              <button
                class="open-name"
                aria-current={app.documents.active() === path ? "page" : undefined}
                tabindex={app.documents.active() === path ? 0 : -1}
                title={path}
                onClick={() => app.open(path)}
                onKeyDown={(event) => onKey(event, path)}
                onAuxClick={(event) => event.button === 1 && app.documents.close(path)}
              >
                {label(path)}
                <Show when={dirty()}>
                  <span class="dot" role="img" aria-label="unsaved" />
                </Show>
              </button>
              <button class="close" tabindex="-1" aria-label={`Close ${path}`} title="Close" onClick={() => app.documents.close(path)}>
                <Icon.Close size={12} />
              </button>
            </div>
          );
        }}
      </For>
    </nav>
  );
}

function Head(props: { app: App }) {
  const { app } = props;
  const path = () => app.documents.active() ?? "";
  const doc = () => app.documents.doc(path());
  const lock = () => app.live.locks().get(path());
  const others = () => app.live.others(path());
  const folder = () => path().slice(0, path().lastIndexOf("/") + 1);
  const status = (): { text: string; tone: string } => {
    const open = doc();
    if (open === undefined || open.phase !== "ready") return { text: "", tone: "" };
    switch (open.save.kind) {
      case "saving":
        return { text: lock() ? `Waiting for ${holder(lock()?.holder)}…` : "Saving…", tone: "busy" };
      case "unsure":
        return { text: "Not confirmed: saved when the connection is back", tone: "warn" };
      case "queued":
        return { text: "Queued: written when the lock is free", tone: "warn" };
      default:
        if (open.base.hash === null) return { text: unsaved(open) ? "New, not saved" : "New file", tone: "dirty" };
        return unsaved(open)
          ? { text: "Unsaved", tone: "dirty" }
          : {
              text:
                open.base.at === null
                  ? "Saved"
                  : `Saved ${ago(open.base.at, app.now())} by ${open.base.by === app.self() ? "you" : writer(open.base.by, app.self())}`,
              tone: "",
            };
    }
  };
  const difference = (): void => {
    const open = doc();
    if (open === undefined) return;
    if (app.comparison() !== null) return void app.setComparison(null);
    if (open.newer !== null) return void showNewer(app, path());
    app.setComparison({
      path: path(),
      title: "What you changed and did not save",
      left: { label: "As it was when you began", text: open.base.content.toString() },
      right: { label: "Your text", text: open.content.toString() },
    });
  };
  return (
    <header class="doc-head">
      <div class="doc-name">
        <h1>
          <span class="soft">{folder()}</span>
          {path().slice(folder().length)}
        </h1>
        <p class="doc-state">
          <span class={`state-word ${status().tone}`}>{status().text}</span>
          <span class="soft language">
            {languageName[languageOf(path())]}
            {doc()?.content.ends === "crlf" ? " · CRLF" : doc()?.content.ends === "mixed" ? " · mixed line ends" : ""}
          </span>
        </p>
      </div>
      <Show when={others().length > 0}>
        <p
          class="here"
          title={`Also open by ${others()
            .map((client) => client.session)
            .join(", ")}`}
        >
          <For each={others().slice(0, 4)}>{(client) => <span class="person big" data-letters={initials(client.session)} />}</For>
          <span class="here-words">
            {others().length === 1 ? `${others()[0]?.session ?? ""} is here` : `${others().length} others are here`}
          </span>
        </p>
      </Show>
      <Show when={lock()}>
        {(mark) => (
          <p class="lock-pill" data-test="lock" title={holderDetail(mark().holder ?? mark().lease?.holder)}>
            <Icon.Lock size={14} /> Locked by {holder(mark().holder ?? mark().lease?.holder)}
            {mark().holder?.since ? `, ${since(mark().holder?.since, app.now())}` : ""}
          </p>
        )}
      </Show>
      <div class="buttons">
        <button
          onClick={difference}
          aria-pressed={app.comparison() !== null}
          disabled={
            doc()?.phase !== "ready" || (app.comparison() === null && doc() !== undefined && !unsaved(doc()!) && doc()?.newer === null)
          }
          title="Show what is not saved (F7)"
        >
          <Icon.Split /> <span>Difference</span>
        </button>
        <button
          onClick={() => app.setSide(app.side() === "history" ? null : "history")}
          aria-pressed={app.side() === "history"}
          title="Versions of this file"
        >
          <Icon.Clock /> <span>History</span>
        </button>
        <button
          class="primary"
          onClick={() => app.save()}
          disabled={!app.canWrite() || doc()?.phase !== "ready" || doc()?.save.kind === "saving"}
          title={`Save (${MOD} S)`}
        >
          Save
        </button>
      </div>
    </header>
  );
}

async function showNewer(app: App, path: string): Promise<void> {
  const open = app.documents.doc(path);
  if (open === undefined) return;
  try {
    const current = await api.read(path);
    app.setComparison({
      path,
      title: `${starting(writer(current.lastModifiedBy, app.self()))}’s version and your text`,
      left: { label: "The file now", text: current.content ?? "" },
      right: { label: "Your text (not saved)", text: open.content.toString() },
    });
  } catch (error) {
    app.say(app.documents.problemOf(error)?.detail ?? "The server can't be reached.", "bad");
  }
}

function Notices(props: { app: App }) {
  const { app } = props;
  const path = () => app.documents.active() ?? "";
  const doc = () => app.documents.doc(path());
  const newer = () => {
    const open = doc();
    return open !== undefined && open.phase === "ready" && unsaved(open) && open.save.kind !== "conflict" ? open.newer : null;
  };
  const failed = () => {
    const save = doc()?.save;
    return save?.kind === "failed" ? save : null;
  };
  return (
    <div class="bars">
      <Show when={newer()}>
        {(version) => (
          <div class="bar warn" role="alert" data-test="changed">
            <Icon.Warn />
            <p>
              <strong>
                {version().hash === null ? "Removed" : "Changed"} by {writer(version().by, app.self())}
              </strong>{" "}
              {ago(version().at, app.now())}. Your unsaved text is kept.
            </p>
            <div class="buttons">
              <Show
                when={version().hash !== null}
                fallback={<button onClick={() => void app.merging.reload(path())}>Drop mine too</button>}
              >
                <button onClick={() => void app.merging.reload(path())} title="Shows the newer version; your text goes to Drafts">
                  Reload
                </button>
                <button onClick={() => void showNewer(app, path())}>Show difference</button>
                <button class="primary" onClick={() => void app.merging.mergeFromNotice(path())}>
                  Merge
                </button>
              </Show>
            </div>
          </div>
        )}
      </Show>
      <Show when={failed()}>
        {(problem) => (
          <div class="bar bad" role="alert">
            <Icon.Warn />
            <p>
              <strong>Not saved.</strong> {capital(problem().detail)} {problem().hints.join(" ")} Your text is kept.
            </p>
            <div class="buttons">
              <button onClick={() => app.save()}>Try again</button>
              <button onClick={() => app.documents.dispatch(path(), { type: "dismissed" })}>Close</button>
            </div>
          </div>
        )}
      </Show>
      <Show when={doc()?.save.kind === "queued"}>
        <div class="bar note" role="status" data-test="queued">
          <Icon.Clock />
          <p>
            <strong>Your save waits for the lock</strong>
            {app.live.locks().get(path()) ? ` that ${holder(app.live.locks().get(path())?.holder)} has` : ""}. The server writes it by
            itself, also if you close this page.
          </p>
          <div class="buttons">
            <button onClick={() => void app.documents.cancelQueued(path())}>Cancel it</button>
          </div>
        </div>
      </Show>
      <Show when={doc()?.ghost}>
        <div class="bar warn" role="status">
          <Icon.Warn />
          <p>
            <strong>This file was removed</strong>
            {doc()?.base.by ? ` by ${writer(doc()?.base.by, app.self())}` : ""}. Its last text is still here. Save makes it anew.
          </p>
        </div>
      </Show>
      <Show when={!app.canWrite()}>
        <div class="bar note" role="status">
          <Icon.Lock />
          <p>You may read here, not write: this login has no right to save.</p>
        </div>
      </Show>
    </div>
  );
}

function Comparison(props: { app: App; path: string; diff: (handle: DiffHandle | null) => void }) {
  const { app } = props;
  const comparison = () => app.comparison();
  const [handle, setHandle] = createSignal<DiffHandle | null>(null);
  const restore = async (): Promise<void> => {
    const shown = comparison();
    if (shown?.restore === undefined) return;
    const name = app.name();
    try {
      const current = await api.read(shown.path);
      await api.restore(shown.path, {
        restore: shown.restore.hash,
        ...(current.hash === null ? {} : { expectedHash: current.hash }),
        ...(name === "" ? {} : { sessionId: name }),
      });
      app.setComparison(null);
      app.say(`${shown.path}: restored. The version that it replaced is in the history.`);
      app.documents.dispatch(shown.path, { type: "look-again" });
    } catch (error) {
      app.say(app.documents.problemOf(error)?.detail ?? "The server can't be reached. Nothing was written.", "bad");
    }
  };
  return (
    <Show when={comparison()}>
      {(shown) => (
        <section class="comparison" aria-label={shown().title}>
          <div class="comparison-head">
            <p>
              <b>{shown().title}</b>
            </p>
            <div class="buttons">
              <button class="icon" aria-label="Previous change" title="Previous change (Shift F7)" onClick={() => handle()?.previous()}>
                <Icon.Up />
              </button>
              <button class="icon" aria-label="Next change" title="Next change (F7)" onClick={() => handle()?.next()}>
                <Icon.Down />
              </button>
              <Show when={shown().restore}>
                <button class="primary" disabled={!app.canWrite()} onClick={() => void restore()}>
                  Restore this version
                </button>
              </Show>
              <button onClick={() => app.setComparison(null)}>Back to the text</button>
            </div>
          </div>
          <div class="comparison-labels" aria-hidden="true">
            <span>{shown().left.label}</span>
            <span>{shown().right.label}</span>
          </div>
          <Suspense fallback={<p class="hint wait">Comparing…</p>}>
            <DiffView
              path={shown().path}
              left={shown().left}
              right={shown().right}
              handle={(given) => {
                setHandle(given);
                props.diff(given);
              }}
            />
          </Suspense>
        </section>
      )}
    </Show>
  );
}
