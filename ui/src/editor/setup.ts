// What every editor here has. Colours are the page's own variables, so light and dark change without the editor knowing.
//
// Editors stand in a shadow root: there CodeMirror puts its styles into a constructed style sheet, which the page's policy
// (`style-src 'self'`, nothing inline) allows. In the document itself it would add style elements.

import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import { bracketMatching, HighlightStyle, indentOnInput, indentUnit, syntaxHighlighting } from "@codemirror/language";
import { highlightSelectionMatches, search, searchKeymap } from "@codemirror/search";
import { EditorState, type Extension } from "@codemirror/state";
import {
  crosshairCursor,
  drawSelection,
  dropCursor,
  EditorView,
  highlightActiveLine,
  highlightActiveLineGutter,
  highlightSpecialChars,
  keymap,
  lineNumbers,
  rectangularSelection,
} from "@codemirror/view";
import { tags as t } from "@lezer/highlight";

const colours = HighlightStyle.define([
  { tag: [t.propertyName, t.definition(t.propertyName), t.attributeName], color: "var(--syn-key)" },
  { tag: [t.string, t.special(t.string), t.character], color: "var(--syn-string)" },
  { tag: [t.number, t.bool, t.null, t.atom, t.literal], color: "var(--syn-value)" },
  { tag: [t.comment, t.lineComment, t.blockComment, t.meta], color: "var(--syn-comment)", fontStyle: "italic" },
  { tag: [t.keyword, t.operator, t.definition(t.variableName), t.typeName, t.labelName], color: "var(--syn-keyword)" },
  { tag: [t.heading, t.heading1, t.heading2, t.heading3], color: "var(--syn-key)", fontWeight: "650" },
  { tag: t.strong, fontWeight: "650" },
  { tag: t.emphasis, fontStyle: "italic" },
  { tag: [t.link, t.url], color: "var(--syn-link)", textDecoration: "underline" },
  { tag: t.monospace, color: "var(--syn-string)" },
  { tag: t.strikethrough, textDecoration: "line-through" },
  { tag: t.invalid, color: "var(--bad)" },
]);

export const theme = EditorView.theme({
  "&": { color: "var(--text)", backgroundColor: "var(--paper)", fontSize: "13.5px" },
  "&.cm-focused": { outline: "none" },
  ".cm-scroller": { fontFamily: "var(--mono)", lineHeight: "1.55" },
  ".cm-content": { caretColor: "var(--accent)", padding: "8px 0" },
  ".cm-line": { padding: "0 12px 0 8px" },
  ".cm-cursor, .cm-dropCursor": { borderLeftColor: "var(--accent)", borderLeftWidth: "2px" },
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground": { background: "var(--selection)" },
  ".cm-gutters": { backgroundColor: "var(--paper)", color: "var(--faint)", border: "none", paddingRight: "4px" },
  ".cm-lineNumbers .cm-gutterElement": { minWidth: "44px", padding: "0 8px 0 12px" },
  ".cm-activeLine": { backgroundColor: "var(--active-line)" },
  ".cm-activeLineGutter": { backgroundColor: "var(--active-line)", color: "var(--text)" },
  ".cm-selectionMatch": { backgroundColor: "var(--match)" },
  ".cm-searchMatch": { backgroundColor: "var(--match)", outline: "1px solid var(--line-strong)" },
  ".cm-searchMatch-selected": { backgroundColor: "var(--match-strong)" },
  "&.cm-focused .cm-matchingBracket": { backgroundColor: "var(--match)", outline: "1px solid var(--line-strong)" },
  "&.cm-focused .cm-nonmatchingBracket": { color: "var(--bad)" },
  ".cm-specialChar": { color: "var(--bad)" },
  ".cm-panels": { backgroundColor: "var(--raised)", color: "var(--text)" },
  ".cm-panels.cm-panels-top": { borderBottom: "1px solid var(--line)" },
  ".cm-panels.cm-panels-bottom": { borderTop: "1px solid var(--line)" },
  ".cm-panel.cm-search": { padding: "8px 12px", fontFamily: "var(--sans)" },
  ".cm-panel.cm-search label": { fontSize: "12.5px" },
  ".cm-panel.cm-search [name=close]": { color: "var(--text)", fontSize: "18px", cursor: "pointer", padding: "0 8px" },
  ".cm-textfield": {
    backgroundColor: "var(--paper)",
    color: "var(--text)",
    border: "1px solid var(--line-strong)",
    borderRadius: "5px",
    padding: "3px 7px",
  },
  ".cm-button": {
    backgroundImage: "none",
    backgroundColor: "var(--button)",
    color: "var(--text)",
    border: "1px solid var(--line-strong)",
    borderRadius: "5px",
    padding: "3px 9px",
  },
  ".cm-textfield:focus-visible, .cm-button:focus-visible": { outline: "2px solid var(--focus)", outlineOffset: "1px" },
  // Differences.
  "&.cm-merge-a .cm-changedLine, .cm-deletedChunk": { backgroundColor: "var(--gone-line)" },
  "&.cm-merge-b .cm-changedLine": { backgroundColor: "var(--new-line)" },
  "&.cm-merge-a .cm-changedText, .cm-deletedChunk .cm-deletedText": { background: "var(--gone-text)" },
  "&.cm-merge-b .cm-changedText, .cm-inlineChangedLine .cm-changedText": { background: "var(--new-text)" },
  ".cm-changedText span, .cm-deletedText span": { color: "var(--text)" },
  ".cm-deletedChunk": { paddingLeft: "8px" },
  ".cm-changeGutter": { width: "3px", paddingLeft: "1px" },
  "&.cm-merge-a .cm-changedLineGutter, .cm-deletedLineGutter": { background: "var(--gone-mark)" },
  "&.cm-merge-b .cm-changedLineGutter": { background: "var(--new-mark)" },
  ".cm-collapsedLines": {
    background: "var(--raised)",
    color: "var(--soft)",
    fontFamily: "var(--sans)",
    fontSize: "12px",
    padding: "4px 12px",
  },
});

/** For texts that are only looked at, too. */
export const reading: Extension = [
  lineNumbers(),
  highlightSpecialChars(),
  drawSelection(),
  syntaxHighlighting(colours),
  theme,
  EditorView.lineWrapping,
];

export const editing: Extension = [
  lineNumbers(),
  highlightActiveLineGutter(),
  highlightSpecialChars(),
  history(),
  drawSelection(),
  dropCursor(),
  EditorState.allowMultipleSelections.of(true),
  indentOnInput(),
  indentUnit.of("  "),
  syntaxHighlighting(colours),
  bracketMatching(),
  rectangularSelection(),
  crosshairCursor(),
  highlightActiveLine(),
  highlightSelectionMatches(),
  search({ top: true }),
  keymap.of([...defaultKeymap.filter((binding) => binding.key !== "Mod-s"), ...searchKeymap, ...historyKeymap, indentWithTab]),
  theme,
];
