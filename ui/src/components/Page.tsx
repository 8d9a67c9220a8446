// The whole page: head, files, the file in view, side list, dialogs, and the keys that work everywhere.

import { For, onCleanup, Show } from "solid-js";
import { createApp } from "../app/app";
import { ConflictDialog } from "./ConflictDialog";
import { FindFile, Keys, LockDialog, MOD, NewFile, YourName } from "./Dialogs";
import type { DiffHandle } from "./DiffView";
import { DocumentView } from "./DocumentView";
import type { EditorHandle } from "./EditorPane";
import { FileTree } from "./FileTree";
import { SidePanel } from "./SidePanel";
import * as Icon from "./icons";

export function Page() {
  const app = createApp();
  let editor: EditorHandle | null = null;
  let diff: DiffHandle | null = null;

  const dialogOpen = (): boolean => document.querySelector("dialog[open]") !== null;
  const cycle = (back: boolean): void => {
    const all = [".rows [tabindex='0']", ".editor", ".side-list"]
      .map((selector) => document.querySelector<HTMLElement>(selector))
      .filter((element) => element !== null && element.offsetParent !== null);
    const at = all.findIndex((element) => element?.closest("nav, main, aside")?.contains(document.activeElement));
    const next = all[(at + (back ? -1 : 1) + all.length) % all.length];
    if (next?.classList.contains("editor")) editor?.focus();
    else next?.focus();
  };
  const onKey = (event: KeyboardEvent): void => {
    const mod = event.ctrlKey || event.metaKey;
    const key = event.key.toLowerCase();
    if (mod && !event.altKey && key === "s") {
      event.preventDefault();
      if (!dialogOpen()) app.save();
    } else if (mod && !event.altKey && !event.shiftKey && key === "p") {
      event.preventDefault();
      if (!dialogOpen()) app.setDialog("find");
    } else if (dialogOpen()) {
      return;
    } else if (event.key === "F6") {
      event.preventDefault();
      cycle(event.shiftKey);
    } else if (event.key === "F7") {
      event.preventDefault();
      if (app.comparison() === null) document.querySelector<HTMLElement>('[title^="Show what is not saved"]')?.click();
      else if (event.shiftKey) diff?.previous();
      else diff?.next();
    } else if (event.key === "Escape" && !event.defaultPrevented) {
      if (app.comparison() !== null) {
        app.setComparison(null);
        queueMicrotask(() => editor?.focus());
      } else if (app.treeShown()) app.setTreeShown(false);
    } else if (event.key === "?" && !mod) {
      const at = document.activeElement;
      if (at instanceof HTMLInputElement || at instanceof HTMLTextAreaElement || at?.shadowRoot != null) return;
      event.preventDefault();
      app.setDialog("help");
    }
  };
  addEventListener("keydown", onKey);
  onCleanup(() => removeEventListener("keydown", onKey));

  const line = (): { word: string; tone: string } => {
    if (app.loggedOut()) return { word: "Logged out", tone: "bad" };
    switch (app.lineState()) {
      case "online":
        return { word: "Live", tone: "good" };
      case "connecting":
        return { word: "Connecting…", tone: "" };
      case "offline":
        return { word: "Offline", tone: "bad" };
    }
  };
  const themes = { system: "light", light: "dark", dark: "system" } as const;

  return (
    <div class="page" classList={{ "with-side": app.side() !== null, "tree-shown": app.treeShown() }}>
      <header class="top">
        <button class="icon menu" aria-label="Files" aria-expanded={app.treeShown()} onClick={() => app.setTreeShown(!app.treeShown())}>
          <Icon.Menu />
        </button>
        <span class="brand">
          <Icon.Logo /> <b>filelatch</b>
        </span>
        <span class="root soft" title={app.me()?.root ?? ""}>
          {app.me()?.root ?? ""}
        </span>
        <button class="finder" aria-label={`Find a file ${MOD} P`} onClick={() => app.setDialog("find")}>
          <Icon.Search size={14} /> <span>Find a file</span> <kbd>{MOD} P</kbd>
        </button>
        <span class={`line ${line().tone}`} role="status" data-test="line">
          <i aria-hidden="true" /> {line().word}
        </span>
        <Show when={app.live.conflicts().length > 0}>
          <button class="attention" onClick={() => app.setSide("conflicts")}>
            <Icon.Fork size={14} /> {app.live.conflicts().length} conflict{app.live.conflicts().length === 1 ? "" : "s"}
          </button>
        </Show>
        <button
          class="icon"
          aria-label={`Colours: ${app.theme() === "system" ? "as the system" : app.theme()}`}
          title={`Colours: ${app.theme() === "system" ? "as the system" : app.theme()}`}
          onClick={() => app.setTheme(themes[app.theme()])}
        >
          {app.theme() === "system" ? <Icon.Auto /> : app.theme() === "light" ? <Icon.Sun /> : <Icon.Moon />}
        </button>
        <button
          class="icon"
          aria-label="What happens: history, locks, conflicts, drafts, queues, audit"
          aria-expanded={app.side() !== null}
          title="Side list"
          onClick={() => app.setSide(app.side() === null ? "locks" : null)}
        >
          <Icon.List />
        </button>
        <button class="icon" aria-label="Keys and help" title="Keys and help (?)" onClick={() => app.setDialog("help")}>
          <Icon.Help />
        </button>
        <button class="who" title="Your name, as others see it" onClick={() => app.setDialog("name")}>
          {app.self()}
        </button>
      </header>

      <div class="page-bars">
        <Show when={app.loggedOut()}>
          <div class="bar bad" role="alert">
            <Icon.Warn />
            <p>
              <strong>You are logged out.</strong> What you typed is kept. Open a new login link (the server prints one when it starts) in
              another tab, then try again here.
            </p>
            <div class="buttons">
              <button
                onClick={() => {
                  app.wake();
                  void app.loadMe().then((ok) => ok && (app.keeping.keeper() === null ? location.reload() : app.documents.lookAgain()));
                }}
              >
                Try again
              </button>
            </div>
          </div>
        </Show>
        <Show when={app.lineState() === "offline" && !app.loggedOut()}>
          <div class="bar note" role="status" data-test="offline">
            <Icon.Warn />
            <p>
              <strong>No connection to the server.</strong> You can go on typing: your text is kept in this browser. Next try in{" "}
              {Math.max(1, Math.ceil((app.retryAt() - app.now()) / 1000))} s.
            </p>
            <div class="buttons">
              <button onClick={app.wake}>Try now</button>
            </div>
          </div>
        </Show>
        <Show when={app.keeping.draftsBroken()}>
          <div class="bar bad" role="alert">
            <Icon.Warn />
            <p>
              <strong>This browser can’t keep drafts now</strong> (no room, or a private window). Save before you leave the page.
            </p>
          </div>
        </Show>
        <For each={app.keeping.orphans()}>
          {(draft) => (
            <div class="bar note" role="status" data-test="orphan">
              <Icon.Draft />
              <p>
                <strong>Unsaved text of {draft.path}</strong> from a tab that was closed, {new Date(draft.at).toLocaleString()}.
              </p>
              <div class="buttons">
                <button class="primary" onClick={() => void app.keeping.takeDraft(draft)}>
                  Open it
                </button>
                <button onClick={() => app.setSide("drafts")}>See all drafts</button>
              </div>
            </div>
          )}
        </For>
      </div>

      <FileTree app={app} />
      <DocumentView app={app} editor={(handle) => (editor = handle)} diff={(handle) => (diff = handle)} />
      <Show when={app.side() !== null}>
        <SidePanel app={app} />
      </Show>
      <Show when={app.treeShown()}>
        <div class="shade" onClick={() => app.setTreeShown(false)} />
      </Show>

      <div class="toasts" role="status" aria-live="polite">
        <For each={app.notices()}>
          {(notice) => (
            <div class={`toast ${notice.tone}`}>
              <span>{notice.text}</span>
              <button class="icon" aria-label="Close this message" onClick={() => app.dismiss(notice.id)}>
                <Icon.Close size={12} />
              </button>
            </div>
          )}
        </For>
      </div>

      <Show when={app.dialog() === "find"}>
        <FindFile app={app} />
      </Show>
      <Show when={app.dialog() === "new-file"}>
        <NewFile app={app} />
      </Show>
      <Show when={app.dialog() === "name"}>
        <YourName app={app} />
      </Show>
      <Show when={app.dialog() === "help"}>
        <Keys app={app} />
      </Show>
      <LockDialog app={app} />
      <ConflictDialog app={app} />
    </div>
  );
}
