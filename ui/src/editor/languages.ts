// Which language a file is in, by its name, and the parser for it. Each parser is loaded when a file first needs it.

import { StreamLanguage } from "@codemirror/language";
import type { Extension } from "@codemirror/state";

export type Language = "json" | "yaml" | "toml" | "markdown" | "text";

const ENDINGS: Record<string, Language> = {
  json: "json",
  jsonc: "json",
  json5: "json",
  webmanifest: "json",
  ipynb: "json",
  yaml: "yaml",
  yml: "yaml",
  toml: "toml",
  md: "markdown",
  markdown: "markdown",
  mdx: "markdown",
};

export function languageOf(path: string): Language {
  const name = path.slice(path.lastIndexOf("/") + 1).toLowerCase();
  if (name === "cargo.lock" || name === "poetry.lock") return "toml";
  const dot = name.lastIndexOf(".");
  return dot < 0 ? "text" : (ENDINGS[name.slice(dot + 1)] ?? "text");
}

export const languageName: Record<Language, string> = {
  json: "JSON",
  yaml: "YAML",
  toml: "TOML",
  markdown: "Markdown",
  text: "Plain text",
};

export async function load(language: Language): Promise<Extension> {
  switch (language) {
    case "json":
      return (await import("@codemirror/lang-json")).json();
    case "yaml":
      return (await import("@codemirror/lang-yaml")).yaml();
    case "toml": {
      const { toml } = await import("@codemirror/legacy-modes/mode/toml");
      return StreamLanguage.define(toml);
    }
    case "markdown":
      return (await import("@codemirror/lang-markdown")).markdown();
    case "text":
      return [];
  }
}
