// Plain words for people, times and sizes.

import type { Holder } from "../api/types";

/** "just now", "12 seconds ago", "3 minutes ago", "2 hours ago", or the date. A clock that is ahead counts as now. */
export function ago(at: string | null | undefined, now: number): string {
  if (at == null) return "";
  const then = Date.parse(at);
  if (Number.isNaN(then)) return "";
  const seconds = Math.max(0, Math.round((now - then) / 1000));
  const say = (n: number, unit: string): string => `${n} ${unit}${n === 1 ? "" : "s"} ago`;
  if (seconds < 2) return "just now";
  if (seconds < 60) return say(seconds, "second");
  if (seconds < 3600) return say(Math.round(seconds / 60), "minute");
  if (seconds < 86_400) return say(Math.round(seconds / 3600), "hour");
  if (seconds < 7 * 86_400) return say(Math.round(seconds / 86_400), "day");
  return `on ${date(at)}`;
}

/** How long since, without "ago": "3 s", "5 min", "2 h". */
export function since(at: string | null | undefined, now: number): string {
  if (at == null || Number.isNaN(Date.parse(at))) return "";
  const seconds = Math.max(0, Math.round((now - Date.parse(at)) / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}

const two = (n: number): string => String(n).padStart(2, "0");

/** The same in words: "5 seconds", "1 minute". */
export function sinceInWords(at: string | null | undefined, now: number): string {
  const unit: Record<string, string> = { s: "second", min: "minute", h: "hour" };
  return since(at, now).replace(
    /(\d+) (s|min|h)\b/g,
    (_, n: string, short: string) => `${n} ${unit[short] ?? short}${n === "1" ? "" : "s"}`,
  );
}

/** Date and time of day where the reader is: 2026-11-22 14:05:09. */
export function date(at: string | null | undefined): string {
  if (at == null) return "";
  const when = new Date(at);
  if (Number.isNaN(when.getTime())) return "";
  return `${when.getFullYear()}-${two(when.getMonth() + 1)}-${two(when.getDate())} ${two(when.getHours())}:${two(when.getMinutes())}:${two(when.getSeconds())}`;
}

export function size(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  if (bytes < 1_000_000) return `${(bytes / 1000).toFixed(bytes < 10_000 ? 1 : 0)} kB`;
  return `${(bytes / 1_000_000).toFixed(1)} MB`;
}

/** Whoever wrote: a name, "another program" when it did not say. Who writes under the own name, but not here, is another page of one's own. */
export function writer(by: string | null | undefined, self: string): string {
  if (by == null || by === "" || by === "external") return "another program";
  return by === self ? "another open page" : by;
}

/** The same in a list of what was done. */
export const author = (by: string | null | undefined, self: string): string =>
  by === self && by !== "web" ? `${by} (you)` : starting(writer(by, ""));

/** At the beginning of a sentence. Names stay as they are written; only our own words for someone get a capital letter. */
export const starting = (text: string): string => (/^(another|a) /.test(text) ? capital(text) : text);

export const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

const programOf = (of: Holder): string => (of.program ?? "").split("/").pop() ?? "";

/** Who holds a lock: the name, else the program. */
export function holder(of: Holder | string | null | undefined): string {
  if (of == null) return "another program";
  if (typeof of === "string") return of;
  return of.session || programOf(of) || (of.pid == null ? "another program" : "a program");
}

/** What is known of it besides: "sh, process 4711 on web-1". */
export function holderDetail(of: Holder | string | null | undefined): string {
  if (of == null || typeof of === "string") return "";
  const what = of.purpose || (of.session ? programOf(of) : "");
  const where = [of.pid == null ? "" : `process ${of.pid}`, of.host ? `on ${of.host}` : ""].filter((part) => part !== "").join(" ");
  return [what, where].filter((part) => part !== "").join(", ");
}

/** Letters for a small round mark. */
export function initials(name: string): string {
  const words = name.split(/[^\p{L}\p{N}]+/u).filter((word) => word !== "");
  const letters = words.length > 1 ? `${words[0]?.[0] ?? ""}${words[1]?.[0] ?? ""}` : (words[0] ?? "?").slice(0, 2);
  return letters.toUpperCase();
}

export const short = (hash: string | null | undefined): string => (hash == null ? "none" : hash.slice(0, 8));
