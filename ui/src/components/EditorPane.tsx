// The editor: one view, one state for each open file. Keys go out as `typed`; texts that come in replace as little as possible.

import { Annotation, Compartment, EditorState, type Extension } from "@codemirror/state";
import { EditorView } from "@codemirror/view";
import { createEffect, onCleanup, onMount } from "solid-js";
import type { App } from "../app/app";
import { editing } from "../editor/setup";
import { follow } from "../editor/follow";
import { languageOf, load } from "../editor/languages";
import type { Content, LineEnds } from "../state/content";

/** Marks changes that came from outside, which are not typed. */
const arrived = Annotation.define<boolean>();

export interface EditorHandle {
  focus(): void;
}

export function EditorPane(props: { app: App; handle: (handle: EditorHandle) => void }) {
  let host!: HTMLDivElement;
  const { documents } = props.app;
  const states = new Map<string, { state: EditorState; scroll: number }>();
  const language = new Compartment();
  const ends = new Compartment();
  const access = new Compartment();
  const label = new Compartment();
  let view: EditorView;
  let shown: string | null = null;

  const separator = (mode: LineEnds): Extension => (mode === "mixed" ? EditorState.lineSeparator.of("\n") : []);
  const locked = (): Extension => EditorState.readOnly.of(!props.app.canWrite());

  const fresh = (path: string, content: Content): EditorState =>
    EditorState.create({
      doc: content.lines,
      extensions: [
        editing,
        language.of([]),
        ends.of(separator(content.ends)),
        access.of(locked()),
        label.of(EditorView.contentAttributes.of({ "aria-label": `Text of ${path}` })),
        EditorView.updateListener.of((update) => {
          if (!update.docChanged || update.transactions.some((transaction) => transaction.annotation(arrived))) return;
          const doc = documents.doc(path);
          if (doc !== undefined) documents.dispatch(path, { type: "typed", content: doc.content.with(update.state.doc) });
        }),
      ],
    });

  const show = (path: string): void => {
    const doc = documents.doc(path);
    // Not before its text is there: what comes into an empty editor is drawn as a whole, however long it is.
    if (doc === undefined || doc.phase !== "ready") return;
    if (shown !== path) {
      if (shown !== null && documents.doc(shown) !== undefined) states.set(shown, { state: view.state, scroll: view.scrollDOM.scrollTop });
      const kept = states.get(path);
      view.setState(kept?.state ?? fresh(path, doc.content));
      if (kept !== undefined) view.dispatch({ effects: access.reconfigure(locked()) });
      shown = path;
      // A state that was put away does not hear of text that came in meanwhile: brought up to date below.
      if (kept !== undefined) view.requestMeasure({ read: () => undefined, write: () => void (view.scrollDOM.scrollTop = kept.scroll) });
      void load(languageOf(path)).then((extension) => {
        if (shown === path) view.dispatch({ effects: language.reconfigure(extension) });
      });
    }
    if (view.state.doc === doc.content.lines) return;
    const change = follow(view.state.doc, doc.content.lines, view.state.selection.main);
    view.dispatch({ ...(change ?? {}), effects: ends.reconfigure(separator(doc.content.ends)), annotations: arrived.of(true) });
  };

  onMount(() => {
    const root = host.attachShadow({ mode: "open", delegatesFocus: true });
    const parent = document.createElement("div");
    parent.className = "frame";
    root.append(parent);
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(
      ":host, .frame, .cm-editor { height: 100%; min-height: 0; } .frame { display: flex; } .cm-editor { flex: 1; min-width: 0; }",
    );
    root.adoptedStyleSheets = [sheet];
    view = new EditorView({ parent, root });
    props.handle({ focus: () => view.focus() });
    createEffect(() => {
      const path = documents.active();
      if (path !== null) show(path);
    });
    createEffect(() => {
      const now = locked();
      if (shown !== null) view.dispatch({ effects: access.reconfigure(now) });
    });
    createEffect(() => {
      const there = documents.docs();
      for (const path of [...states.keys()]) if (!there.has(path)) states.delete(path);
      if (shown !== null && !there.has(shown)) shown = null;
    });
  });
  onCleanup(() => view.destroy());

  return <div class="editor" ref={host} />;
}
