// What the page tells in passing: seen for some seconds, heard by screen readers.

import { createSignal } from "solid-js";

export interface Notice {
  id: number;
  text: string;
  tone: "quiet" | "bad";
}

const STAYS_MS = 6_000;

export function createNotices() {
  const [notices, setNotices] = createSignal<readonly Notice[]>([]);
  let last = 0;
  const dismiss = (id: number): void => void setNotices((all) => all.filter((notice) => notice.id !== id));
  const say = (text: string, tone: Notice["tone"] = "quiet"): void => {
    last += 1;
    const id = last;
    // The same again replaces the former: nothing piles up.
    setNotices((all) => [...all.filter((notice) => notice.text !== text), { id, text, tone }].slice(-4));
    if (tone === "quiet") setTimeout(() => dismiss(id), STAYS_MS);
  };
  return { notices, say, dismiss };
}

export type Notices = ReturnType<typeof createNotices>;
