// The small dialogs: find a file, a new file, your name, the keys, and a lock that was not had in time.

import { createMemo, createSignal, For, Show } from "solid-js";
import type { Holder } from "../api/types";
import type { App } from "../app/app";
import { find, index } from "../state/find";
import { date, holder, holderDetail, sinceInWords, starting } from "../state/words";
import { Modal } from "./Modal";
import * as Icon from "./icons";

export const MOD = /Mac|iPhone|iPad/.test(navigator.platform) ? "⌘" : "Ctrl";

export function FindFile(props: { app: App }) {
  const { app } = props;
  const [wanted, setWanted] = createSignal("");
  const [at, setAt] = createSignal(0);
  const names = createMemo(() => index(app.files.paths()));
  const found = createMemo(() => find(names(), wanted(), 50));
  const close = (): void => void app.setDialog(null);
  const use = (path: string | undefined): void => {
    if (path === undefined) return;
    close();
    app.open(path);
  };
  const move = (by: number): void => {
    setAt((now) => Math.max(0, Math.min(found().length - 1, now + by)));
    document.getElementById(`found-${at()}`)?.scrollIntoView({ block: "nearest" });
  };
  return (
    <Modal label="Find a file" class="palette" onClose={close}>
      <label class="field big">
        <Icon.Search />
        <input
          data-first
          role="combobox"
          aria-label="Find a file by some letters of its path"
          aria-expanded="true"
          aria-controls="found"
          aria-activedescendant={found().length > 0 ? `found-${at()}` : undefined}
          placeholder="Letters of the path"
          autocomplete="off"
          spellcheck={false}
          value={wanted()}
          onInput={(event) => {
            setWanted(event.currentTarget.value);
            setAt(0);
          }}
          onKeyDown={(event) => {
            const go: Record<string, () => void> = {
              ArrowDown: () => move(1),
              ArrowUp: () => move(-1),
              PageDown: () => move(10),
              PageUp: () => move(-10),
              Enter: () => use(found()[at()]?.path),
            };
            const action = go[event.key];
            if (action === undefined) return;
            event.preventDefault();
            action();
          }}
        />
      </label>
      <div class="found" id="found" role="listbox" aria-label="Files found">
        <For each={found()}>
          {(hit, i) => (
            <div
              id={`found-${i()}`}
              role="option"
              aria-selected={i() === at()}
              class="found-row"
              onClick={() => use(hit.path)}
              onPointerMove={() => setAt(i())}
            >
              <Letters path={hit.path} at={hit.at} />
            </div>
          )}
        </For>
      </div>
      <Show when={found().length === 0}>
        <p class="hint">No file matches.</p>
      </Show>
    </Modal>
  );
}

function Letters(props: { path: string; at: number[] }) {
  const marked = createMemo(() => new Set(props.at));
  const name = () => props.path.lastIndexOf("/") + 1;
  // Runs of letters that are marked or not, in the folder or in the name.
  const runs = createMemo(() => {
    const out: { text: string; marked: boolean; dim: boolean }[] = [];
    for (let i = 0; i < props.path.length; i += 1) {
      const [mark, dim] = [marked().has(i), i < name()];
      const last = out.at(-1);
      if (last?.marked === mark && last.dim === dim) last.text += props.path[i] ?? "";
      else out.push({ text: props.path[i] ?? "", marked: mark, dim });
    }
    return out;
  });
  return <For each={runs()}>{(run) => (run.marked ? <mark>{run.text}</mark> : <span classList={{ dim: run.dim }}>{run.text}</span>)}</For>;
}

export function NewFile(props: { app: App }) {
  const [path, setPath] = createSignal("");
  const close = (): void => void props.app.setDialog(null);
  const wrong = (): string => {
    const wanted = path().trim();
    if (wanted === "") return "";
    if (wanted.startsWith("/") || wanted.endsWith("/") || wanted.split("/").some((name) => name === "" || name === "." || name === ".."))
      return "A path below the root: folder/name.json";
    return props.app.files.paths().includes(wanted) ? "There is a file of this name: it will be opened." : "";
  };
  return (
    <Modal label="New file" class="small" onClose={close}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (path().trim() === "" || wrong().startsWith("A path")) return;
          close();
          props.app.open(path().trim());
        }}
      >
        <h2>New file</h2>
        <label class="stacked">
          Path
          <input
            data-first
            type="text"
            placeholder="config/new.json"
            autocomplete="off"
            spellcheck={false}
            aria-describedby="new-hint"
            value={path()}
            onInput={(event) => setPath(event.currentTarget.value)}
          />
        </label>
        <p class="hint" id="new-hint">
          {wrong() || "It is made when you save it for the first time."}
        </p>
        <div class="buttons">
          <button type="button" onClick={close}>
            Cancel
          </button>
          <button type="submit" class="primary">
            Open
          </button>
        </div>
      </form>
    </Modal>
  );
}

export function YourName(props: { app: App }) {
  const [name, setName] = createSignal(props.app.name());
  const close = (): void => void props.app.setDialog(null);
  const leave = async (): Promise<void> => {
    close();
    await props.app.logOut();
  };
  return (
    <Modal label="Your name" class="small" onClose={close}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          props.app.setName(name().trim().slice(0, 64));
          close();
        }}
      >
        <h2>Your name</h2>
        <label class="stacked">
          Shown to others with what you save and have open
          <input
            data-first
            type="text"
            maxlength="64"
            autocomplete="nickname"
            placeholder={props.app.me()?.session ?? ""}
            value={name()}
            onInput={(event) => setName(event.currentTarget.value)}
          />
        </label>
        <p class="hint">A label, not a proof: who may do what is decided by the login.</p>
        <div class="buttons">
          <button type="button" class="plain first" onClick={() => void leave()}>
            Log out
          </button>
          <button type="button" onClick={close}>
            Cancel
          </button>
          <button type="submit" class="primary">
            Keep
          </button>
        </div>
      </form>
    </Modal>
  );
}

const KEYS: readonly (readonly [string, string])[] = [
  ["Mod S", "Save"],
  ["Mod P", "Find a file"],
  ["Mod F", "Search in the text"],
  ["F7, Shift F7", "Next, previous change (differences, conflicts)"],
  ["Alt 1, 2, 3", "Conflict: take mine, theirs, both for the place in focus"],
  ["F6", "Files, text, side list: the next of them"],
  ["Esc", "Close a dialog or a difference"],
  ["Esc, then Tab", "Leave the text (Tab alone indents)"],
  ["?", "This list (outside of the text)"],
];

export function Keys(props: { app: App }) {
  const close = (): void => void props.app.setDialog(null);
  return (
    <Modal label="Keys" class="small" onClose={close}>
      <h2>Keys</h2>
      <dl class="keys">
        <For each={KEYS}>
          {([key, what]) => (
            <>
              <dt>
                <For each={key.replace("Mod", MOD).split(/(?<=,) /)}>{(part) => <kbd>{part.replace(",", "")}</kbd>}</For>
              </dt>
              <dd>{what}</dd>
            </>
          )}
        </For>
      </dl>
      <h2>What you type is kept</h2>
      <p class="prose">
        Unsaved text is kept in this browser a moment after each key, also over a reload or a crash. What a command replaces is put aside
        under Drafts, from where it can be taken back for 30 days.
      </p>
      <div class="buttons">
        <a class="plain first" href="/licences.txt" target="_blank" rel="noreferrer">
          Licences of what is in this page
        </a>
        <button data-first class="primary" onClick={close}>
          Close
        </button>
      </div>
    </Modal>
  );
}

/** A lock that was not had in time: who has it, and the three ways on. */
export function LockDialog(props: { app: App }) {
  const { app } = props;
  const doc = () => [...app.documents.docs().values()].find((open) => open.save.kind === "locked");
  return (
    <Show when={doc()?.path} keyed>
      {(path) => {
        const lock = () => {
          const save = doc()?.save;
          return save?.kind === "locked" ? save : undefined;
        };
        const mark = () => app.live.locks().get(path);
        const who = (): Holder | null => {
          const leased = mark()?.lease?.holder;
          return mark()?.holder ?? (typeof leased === "string" ? { session: leased } : leased) ?? lock()?.holder ?? null;
        };
        const until = () => mark()?.lease?.expiresAt ?? null;
        const free = () => mark() === undefined && app.lineState() === "online" && seen();
        // Whether the mark was ever there: a lock of which no event came is not called free.
        const [seen, setSeen] = createSignal(app.live.locks().has(path));
        createMemo(() => app.live.locks().has(path) && setSeen(true));
        const close = (): void => app.documents.dispatch(path, { type: "dismissed" });
        return (
          <Modal label={`${path} is locked`} class="small firm lock-dialog" onClose={close}>
            <h2>
              <Icon.Lock size={18} /> {free() ? `${path} is free now` : `${path} is locked`}
            </h2>
            <p>
              <Show when={!free()} fallback={<>The lock was let go. You can save now.</>}>
                <strong>{starting(holder(who()))}</strong> has locked this file
                {who()?.since ? ` for ${sinceInWords(who()?.since, app.now())}` : ""}
                {until() === null ? "." : `, at most until ${date(until()).slice(11)} unless that is extended.`}
                <Show when={holderDetail(who())}>
                  <span class="soft detail">{holderDetail(who())}</span>
                </Show>
              </Show>
            </p>
            <p class="safe">
              <Icon.Check size={15} /> Your text is safe. Nothing has been written yet.
            </p>
            <div class="ways">
              <button data-first class="primary" onClick={() => app.documents.dispatch(path, { type: "save" })}>
                <b>Retry</b>
                <small>{free() ? "Saves now." : "Waits up to 5 seconds for the lock."}</small>
              </button>
              <button onClick={() => app.documents.dispatch(path, { type: "save", queue: true })}>
                <b>Leave queued</b>
                <small>The server keeps your text and writes it when the lock is free, also if you close this page.</small>
              </button>
              <button onClick={close}>
                <b>Cancel</b>
                <small>Back to your text. It stays unsaved, kept in this browser.</small>
              </button>
            </div>
          </Modal>
        );
      }}
    </Show>
  );
}
