// Two versions of one file, and the person who decides. Mine left, theirs right, between them what will be saved. Plain words:
// what happened, that nothing is lost, what each button does.

import { createEffect, createMemo, createSignal, For, on, Show } from "solid-js";
import type { App } from "../app/app";
import * as conflict from "../state/conflict";
import type { Part, Place } from "../state/conflict";
import { ago, capital, starting, writer } from "../state/words";
import { Modal } from "./Modal";
import * as Icon from "./icons";

/** Of unchanged text so many lines are shown around a place. */
const AROUND = 3;

export function ConflictDialog(props: { app: App }) {
  return (
    <Show when={props.app.merging.view() !== null}>
      <Dialog app={props.app} />
    </Show>
  );
}

function Dialog(props: { app: App }) {
  const { app } = props;
  const { merging } = app;
  const view = () => merging.view();
  /** Their version: as compared, and until that is there as far as it is known. */
  const theirs = () => view()?.theirs ?? app.documents.doc(view()?.path ?? null)?.newer ?? null;
  const who = () => starting(writer(theirs()?.by, app.self()));
  const mineName = () => (view()?.from === "stored" ? starting(writer(view()?.mineBy, app.self())) : "Yours");
  const parts = () => view()?.merging?.parts ?? [];
  const places = createMemo(() => parts().filter((part): part is Place => part.kind === "place"));
  const open = createMemo(() => {
    const now = view()?.merging;
    return now ? conflict.open(now) : [];
  });
  const removed = () => view()?.removed ?? null;
  const clean = () => removed() === null && (view()?.clean != null || (view()?.merging != null && places().length === 0));
  const [whole, setWhole] = createSignal(false);
  let body!: HTMLDivElement;

  const focusPlace = (by: number): void => {
    const all = [...body.querySelectorAll<HTMLElement>(".place")];
    if (all.length === 0) return;
    const inside = all.findIndex((place) => place.contains(document.activeElement));
    const next = inside < 0 ? (by > 0 ? 0 : all.length - 1) : (inside + by + all.length) % all.length;
    focusOn(all[next]);
  };
  const focusOn = (place: HTMLElement | undefined): void => {
    place?.scrollIntoView({ block: "center" });
    place?.querySelector<HTMLElement>("button")?.focus({ preventScroll: true });
  };
  const choose = (place: Place, choice: conflict.Choice, text?: string): void => {
    const first = !view()?.merging?.answers.has(place.id);
    merging.choose(place.id, choice, text);
    // The first answer of a place leads on to the next that is open; a later one is a change of mind, and stays.
    const next = open().find((id) => id > place.id) ?? open()[0];
    if (first && choice !== "edited" && next !== undefined)
      queueMicrotask(() => focusOn(body.querySelector<HTMLElement>(`[data-place="${next}"]`) ?? undefined));
  };
  const onKey = (event: KeyboardEvent): void => {
    if (event.key === "F7") {
      event.preventDefault();
      focusPlace(event.shiftKey ? -1 : 1);
    } else if (event.key.toLowerCase() === "s" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      if (clean() || open().length === 0) merging.finish(true);
    } else if (event.altKey && ["1", "2", "3"].includes(event.key)) {
      const at = document.activeElement?.closest<HTMLElement>(".place")?.dataset["place"];
      const place = places().find((one) => String(one.id) === at) ?? places().find((one) => one.id === open()[0]);
      if (place === undefined) return;
      event.preventDefault();
      choose(place, event.key === "1" ? "mine" : event.key === "2" ? "theirs" : "both");
    }
  };

  // When the comparison is there, the focus goes to the first place.
  createEffect(
    on(
      () => view()?.merging != null,
      (there) => there && !clean() && queueMicrotask(() => focusOn(body.querySelector<HTMLElement>(".place") ?? undefined)),
    ),
  );

  const what = (): string => {
    const now = view();
    if (now === null) return "";
    if (now.removed === "mine") return `${mineName()} removed a file that ${who()} changed`;
    if (now.removed === "theirs") return `${who()} removed a file that ${mineName()} changed`;
    if (now.from === "stored") return `${mineName()} and ${who()} changed the same file`;
    const version = theirs();
    return version === null ? `A newer version of ${now.path} was saved` : `${who()} saved a newer version ${ago(version.at, app.now())}`;
  };
  const safe = (): string => {
    if (view()?.from === "stored")
      return removed() === null
        ? "Nothing is lost: the version on the left was stored when it did not fit the one on the right."
        : "Nothing is lost: what did not fit was stored.";
    return view()?.from === "notice" ? "Your text is safe. Nothing has been written." : "Your text is safe. Nothing has been written yet.";
  };
  const kept = (): string => {
    if (view()?.from === "stored") return "Whatever you choose, what it replaces stays in the history.";
    return app.me()?.workspace === false
      ? "Whatever you choose, your text is kept under Drafts in this browser. This folder keeps no history, so a version of theirs that you replace is gone."
      : "Whatever you choose, both versions are kept: theirs in the history of the file, yours under Drafts in this browser.";
  };
  const count = (): string => {
    const [all, left] = [places().length, open().length];
    if (left === 0) return all === 1 ? "The place is decided." : `All ${all} places are decided.`;
    const places_ = all === 1 ? "1 place where both changed the same lines" : `${all} places where both changed the same lines`;
    return left === all ? `${capital(places_)}.` : `${places_}, ${left} still open.`;
  };

  return (
    <Modal label={`Two versions of ${view()?.path ?? ""}`} class="conflict firm" onClose={merging.close}>
      <div class="conflict-all" onKeyDown={onKey}>
        <header class="conflict-head">
          <div>
            <h2 data-first tabindex="-1">
              {what()}
            </h2>
            <p class="lead">
              <strong class="safe">
                <Icon.Check size={15} /> {safe()}
              </strong>{" "}
              <span class="mono soft">{view()?.path}</span>
            </p>
          </div>
          <button class="icon" aria-label="Close and go on typing" title="Close and go on typing (Esc)" onClick={merging.close}>
            <Icon.Close />
          </button>
        </header>

        <Show when={(view()?.changed ?? 0) > 0}>
          <p class="bar warn" role="alert">
            <Icon.Warn /> {who()} saved again while this was open ({ago(view()?.theirs?.at, app.now())}). It was compared anew; what you
            decided is still decided.
            {open().some((id) => view()?.merging?.answers.has(id)) ? " Places that look different now ask once more." : ""}
          </p>
        </Show>
        <Show when={view()?.error}>
          <p class="bar bad" role="alert">
            <Icon.Warn /> {view()?.error} <button onClick={() => void merging.compare()}>Try again</button>
          </p>
        </Show>

        <div class="conflict-body" ref={body}>
          <Show when={view()?.merging} fallback={<p class="hint wait">{view()?.error ? "" : "Comparing the two versions…"}</p>}>
            <Show when={removed() !== null}>
              <p class="hint wait">Keep the file as it was changed, or keep it removed. There is nothing between.</p>
            </Show>
            <Show
              when={!clean()}
              fallback={
                <div class="fits">
                  <p class="fits-word">
                    <Icon.Check size={20} /> Both changes fit together.
                  </p>
                  <p>You and {writer(view()?.theirs?.by, app.self())} changed different places. Saving keeps all of it.</p>
                </div>
              }
            >
              <div class="columns" classList={{ hidden: removed() !== null }} aria-hidden="true">
                <span class="mine">
                  <i />
                  {mineName() === "Yours" ? "Yours (not saved)" : mineName()}
                </span>
                <span class="result">
                  <i />
                  What will be saved
                </span>
                <span class="theirs">
                  <i />
                  {who()}’s
                </span>
              </div>
            </Show>
            <Rows
              app={app}
              parts={removed() === null ? parts() : []}
              whole={whole()}
              onChoose={choose}
              theirsName={who()}
              mineName={mineName()}
            />
            <Show when={(view()?.merging?.aside.length ?? 0) > 0}>
              <div class="aside-words">
                <p>
                  <Icon.Draft /> You wrote this for places that no longer differ. Copy what you need:
                </p>
                <For each={view()?.merging?.aside}>
                  {(text) => (
                    <textarea
                      readonly
                      rows={Math.min(8, text.split("\n").length)}
                      aria-label="Your words for a place that no longer differs"
                      value={text}
                    />
                  )}
                </For>
              </div>
            </Show>
          </Show>
        </div>

        <footer class="conflict-foot">
          <div class="foot-words">
            <p class="count" role="status">
              {clean() ? "Nothing to decide." : view()?.merging && removed() === null ? count() : ""}
            </p>
            <p class="soft">{kept()}</p>
          </div>
          <div class="buttons">
            <Show when={parts().some((part) => part.kind === "same" && linesOf(part.text).length > 2 * AROUND + 2)}>
              <button class="plain" aria-pressed={whole()} onClick={() => setWhole(!whole())}>
                {whole() ? "Show only changes" : "Show the whole file"}
              </button>
            </Show>
            <button
              class="mine"
              disabled={!view()?.theirs}
              onClick={merging.keepMine}
              title={view()?.from === "stored" ? "" : "Saves your text in place of theirs"}
            >
              {removed() === "mine" ? "Remove the file" : `Keep ${mineName() === "Yours" ? "mine" : `${mineName()}’s`}`}
            </button>
            <button
              class="theirs"
              disabled={!view()?.theirs}
              onClick={merging.keepTheirs}
              title={view()?.from === "stored" ? "" : "Takes theirs; your text goes to Drafts"}
            >
              {removed() === "theirs" ? "Leave it removed" : `Keep ${view()?.from === "stored" ? `${who()}’s` : "theirs"}`}
            </button>
            <Show when={view()?.from !== "stored"}>
              <button
                disabled={!view()?.merging || (!clean() && open().length > 0)}
                onClick={() => merging.finish(false)}
                title="Puts the merged text into the editor, without saving"
              >
                Edit merged
              </button>
            </Show>
            <Show when={removed() === null}>
              <FinishButton
                clean={clean()}
                ready={view()?.merging != null && (clean() || open().length === 0)}
                onClick={() => merging.finish(true)}
              />
            </Show>
          </div>
        </footer>
      </div>
    </Modal>
  );
}

/** Where the focus begins when all fits: one key is enough. */
function FinishButton(props: { clean: boolean; ready: boolean; onClick: () => void }) {
  let button!: HTMLButtonElement;
  createEffect(
    on(
      () => props.clean && props.ready,
      (now) => now && button.focus(),
    ),
  );
  return (
    <button ref={button} class="primary" disabled={!props.ready} onClick={() => props.onClick()}>
      {props.clean ? "Save both changes" : "Save merged"}
    </button>
  );
}

function Rows(props: {
  app: App;
  parts: Part[];
  whole: boolean;
  theirsName: string;
  mineName: string;
  onChoose: (place: Place, choice: conflict.Choice, text?: string) => void;
}) {
  return (
    <div class="merge-rows">
      <For each={props.parts}>
        {(part, i) => {
          if (part.kind === "same")
            return <SameRow text={part.text} first={i() === 0} last={i() === props.parts.length - 1} whole={props.whole} />;
          if (part.kind === "auto")
            return <AutoRow text={part.text} from={part.from} theirsName={props.theirsName} mineName={props.mineName} />;
          return (
            <PlaceRow app={props.app} place={part} theirsName={props.theirsName} mineName={props.mineName} onChoose={props.onChoose} />
          );
        }}
      </For>
    </div>
  );
}

const shown = (text: string): string => text.replaceAll("\r\n", "\n").replace(/\n$/, "");
const linesOf = (text: string): string[] => (text === "" ? [] : (text.endsWith("\n") ? text.slice(0, -1) : text).split("\n"));

function SameRow(props: { text: string; first: boolean; last: boolean; whole: boolean }) {
  const lines = createMemo(() => linesOf(props.text));
  const [opened, setOpened] = createSignal(false);
  const head = () => (props.first ? 0 : AROUND);
  const tail = () => (props.last ? 0 : AROUND);
  const short = () => lines().length <= head() + tail() + 2;
  const hidden = () => lines().length - head() - tail();
  return (
    <div class="same">
      <Show when={!short() && !opened() && !props.whole} fallback={<pre>{lines().join("\n")}</pre>}>
        <Show when={head() > 0}>
          <pre>{lines().slice(0, head()).join("\n")}</pre>
        </Show>
        <button class="fold" onClick={() => setOpened(true)}>
          {hidden()} lines that nobody changed
        </button>
        <Show when={tail() > 0}>
          <pre>{lines().slice(-tail()).join("\n")}</pre>
        </Show>
      </Show>
    </div>
  );
}

function AutoRow(props: { text: string; from: "ours" | "theirs" | "both"; theirsName: string; mineName: string }) {
  const stored = () => props.mineName !== "Yours";
  const done = () => (props.text === "" ? "Removed" : "Taken");
  return (
    <div class="auto" classList={{ mine: props.from === "ours", theirs: props.from === "theirs" }}>
      <p class="from">
        <Show when={props.from !== "theirs"}>
          {done()} from {props.from === "both" ? "both" : stored() ? props.mineName : "yours"} <span aria-hidden="true">→</span>
        </Show>
      </p>
      <pre class="taken-text">{props.text === "" ? "(lines removed)" : linesOf(props.text).join("\n")}</pre>
      <p class="from">
        <Show when={props.from === "theirs"}>
          <span aria-hidden="true">←</span> {done()} from {props.theirsName}’s
        </Show>
      </p>
    </div>
  );
}

function PlaceRow(props: {
  app: App;
  place: Place;
  theirsName: string;
  mineName: string;
  onChoose: (place: Place, choice: conflict.Choice, text?: string) => void;
}) {
  const given = () => props.app.merging.view()?.merging?.answers.get(props.place.id);
  const chosen = (choice: conflict.Choice) => given()?.choice === choice;
  const text = () => {
    const now = given();
    return now === undefined ? "" : conflict.textOf(props.place, now);
  };
  const before = () => linesOf(props.place.base);
  const number = () => props.place.id + 1;
  const rows = () => Math.max(1, Math.min(24, shown(text()).split("\n").length));
  const sayMine = () => (props.mineName === "Yours" ? "mine" : `${props.mineName}’s`);
  const sayTheirs = () => (props.mineName === "Yours" ? "theirs" : `${props.theirsName}’s`);
  const state = () => (given() === undefined ? "open" : given()?.stale ? "stale" : "decided");
  return (
    <section
      class={`place ${state()}`}
      data-place={props.place.id}
      aria-label={`Place ${number()}: ${state() === "open" ? "to be decided" : state() === "stale" ? "look once more" : "decided"}`}
    >
      <div class="side mine" classList={{ taken: chosen("mine") || chosen("both") }}>
        <h3>{props.mineName === "Yours" ? "Yours" : props.mineName}</h3>
        <SideText text={props.place.ours} base={props.place.base} />
        <button aria-pressed={chosen("mine")} onClick={() => props.onChoose(props.place, "mine")}>
          Take {sayMine()} <kbd>Alt 1</kbd>
        </button>
      </div>
      <div class="side result">
        <h3>Result</h3>
        <Show
          when={given() !== undefined}
          fallback={
            <div class="undecided">
              <p>Not decided yet</p>
              <Show when={before().length > 0 && before().length <= 8}>
                <p class="soft">Before, it was:</p>
                <pre class="soft">{before().join("\n")}</pre>
              </Show>
            </div>
          }
        >
          <textarea
            spellcheck={false}
            rows={rows()}
            aria-label={`Place ${number()}: text that will be saved`}
            value={shown(text())}
            placeholder="(nothing: these lines are removed)"
            onInput={(event) => {
              const typed = event.currentTarget.value;
              const lineEnd = conflict.lineEnd(props.place);
              // The line end after the last line belongs to the text, and is not shown.
              const end = typed !== "" && (text().endsWith("\n") || text() === "") ? lineEnd : "";
              props.onChoose(props.place, "edited", typed.replaceAll("\n", lineEnd) + end);
            }}
          />
        </Show>
        <div class="middle-buttons">
          <button aria-pressed={chosen("both")} onClick={() => props.onChoose(props.place, "both")}>
            Take both <kbd>Alt 3</kbd>
          </button>
          <Show when={given() === undefined}>
            <button
              onClick={(event) => {
                const section = event.currentTarget.closest(".place");
                props.onChoose(props.place, "edited", conflict.both(props.place));
                queueMicrotask(() => section?.querySelector("textarea")?.focus());
              }}
            >
              Write it yourself
            </button>
          </Show>
          <Show when={given()?.stale}>
            <button class="primary" onClick={() => props.app.merging.confirm(props.place.id)}>
              Looks right
            </button>
          </Show>
          <Show when={chosen("edited")}>
            <span class="tag">edited by you</span>
          </Show>
        </div>
      </div>
      <div class="side theirs" classList={{ taken: chosen("theirs") || chosen("both") }}>
        <h3>{props.theirsName}’s</h3>
        <SideText text={props.place.theirs} base={props.place.base} />
        <button aria-pressed={chosen("theirs")} onClick={() => props.onChoose(props.place, "theirs")}>
          Take {sayTheirs()} <kbd>Alt 2</kbd>
        </button>
      </div>
    </section>
  );
}

/** A side's lines; those that were not in what both began from are marked, letters that differ within a line stronger. */
function SideText(props: { text: string; base: string }) {
  const before = createMemo(() => linesOf(props.base));
  const lines = createMemo(() =>
    linesOf(props.text).map((line, i, all) => {
      if (before().includes(line)) return { line, from: line.length, to: line.length, fresh: false };
      const old = before().length === all.length ? (before()[i] ?? "") : "";
      let from = 0;
      while (from < line.length && from < old.length && line[from] === old[from]) from += 1;
      let to = line.length;
      for (let end = old.length; to > from && end > from && line[to - 1] === old[end - 1]; end -= 1) to -= 1;
      return old === "" ? { line, from: 0, to: 0, fresh: true } : { line, from, to, fresh: true };
    }),
  );
  return (
    <Show when={props.text !== ""} fallback={<p class="removed">(these lines removed)</p>}>
      <pre tabindex="-1">
        <For each={lines()}>
          {({ line, from, to, fresh }) => (
            <span class="text-line" classList={{ fresh }}>
              {line.slice(0, from)}
              <Show when={to > from}>
                <em>{line.slice(from, to)}</em>
              </Show>
              {line.slice(to)}
              {"\n"}
            </span>
          )}
        </For>
      </pre>
    </Show>
  );
}
