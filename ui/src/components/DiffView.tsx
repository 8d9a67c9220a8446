// Two texts beside each other, differences marked; under each other where it is narrow. Loaded when it is first needed.

import { EditorState } from "@codemirror/state";
import { EditorView } from "@codemirror/view";
import { createEffect, onCleanup, onMount } from "solid-js";
import { languageOf, load } from "../editor/languages";
import { reading } from "../editor/setup";

export interface DiffHandle {
  next(): void;
  previous(): void;
}

export default function DiffView(props: {
  path: string;
  left: { label: string; text: string };
  right: { label: string; text: string };
  handle?: (handle: DiffHandle) => void;
}) {
  let host!: HTMLDivElement;
  onMount(() => {
    const root = host.attachShadow({ mode: "open", delegatesFocus: true });
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(
      ":host { display: flex; height: 100%; overflow: auto; } .frame { display: flex; flex: 1; min-width: 0; height: max-content; min-height: 100%; } .cm-mergeView, .cm-editor { flex: 1; min-width: 0; } .cm-mergeViewEditors { min-height: 100%; } .cm-mergeViewEditor + .cm-mergeViewEditor { border-left: 1px solid var(--line); }",
    );
    root.adoptedStyleSheets = [sheet];
    const parent = document.createElement("div");
    parent.className = "frame";
    root.append(parent);
    const narrow = matchMedia("(max-width: 760px)").matches;
    let destroy = (): void => undefined;
    onCleanup(() => destroy());

    createEffect(() => {
      const { path, left, right } = { path: props.path, left: props.left, right: props.right };
      let over = false;
      onCleanup(() => (over = true));
      void Promise.all([import("@codemirror/merge"), load(languageOf(path))]).then(([merge, language]) => {
        if (over) return;
        destroy();
        parent.replaceChildren();
        const common = [reading, language, EditorState.readOnly.of(true), EditorState.lineSeparator.of("\n")];
        const named = (label: string) => EditorView.contentAttributes.of({ "aria-label": label });
        const collapse = { margin: 3, minSize: 6 };
        let step: (forward: boolean) => void;
        if (narrow) {
          const view = new EditorView({
            parent,
            root,
            doc: right.text,
            extensions: [
              common,
              named(`${left.label}, then ${right.label}`),
              merge.unifiedMergeView({ original: left.text, mergeControls: false, collapseUnchanged: collapse, gutter: true }),
            ],
          });
          destroy = () => view.destroy();
          step = (forward) => void (forward ? merge.goToNextChunk : merge.goToPreviousChunk)(view);
        } else {
          const view = new merge.MergeView({
            parent,
            root,
            a: { doc: left.text, extensions: [common, named(left.label)] },
            b: { doc: right.text, extensions: [common, named(right.label)] },
            collapseUnchanged: collapse,
            highlightChanges: true,
            gutter: true,
            diffConfig: { scanLimit: 2000, timeout: 2000 },
          });
          destroy = () => view.destroy();
          step = (forward) => void (forward ? merge.goToNextChunk : merge.goToPreviousChunk)(view.b);
        }
        props.handle?.({ next: () => step(true), previous: () => step(false) });
      });
    });
  });
  return <div class="diff" ref={host} />;
}
