// Which tab is this? Drafts belong to tabs. A tab keeps its name over reloads and after a crash (sessionStorage); a copied tab gets
// a new one. A tab holds a browser lock by its name while it lives, so each knows which of the others are there.

const KEY = "filelatch.tab";
const lockName = (tab: string): string => `filelatch-tab-${tab}`;

const fresh = (): string => {
  const bytes = crypto.getRandomValues(new Uint8Array(8));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
};

/** The lock is held until the page is gone. */
function hold(tab: string): Promise<boolean> {
  return new Promise((resolve) => {
    navigator.locks
      .request(lockName(tab), { ifAvailable: true }, (lock) => {
        resolve(lock !== null);
        return lock === null ? undefined : new Promise<void>(() => undefined);
      })
      .catch(() => resolve(false));
  });
}

export async function thisTab(): Promise<string> {
  const before = sessionStorage.getItem(KEY);
  // Browser locks exist only on localhost and by HTTPS. Without them no one can tell a copy from a reload: every load is a new tab,
  // and all drafts are offered, none is taken by itself.
  const usable = "locks" in navigator;
  if (usable && before !== null) {
    // A reload: the page before may need a moment to let go.
    for (let tries = 0; tries < 5; tries += 1) {
      if (await hold(before)) return before;
      await new Promise((resolve) => setTimeout(resolve, 60));
    }
  }
  const tab = fresh();
  sessionStorage.setItem(KEY, tab);
  if (usable) await hold(tab);
  return tab;
}

/** The tabs that are alive, or null if the browser can't tell. */
export async function livingTabs(): Promise<Set<string> | null> {
  if (!("locks" in navigator)) return null;
  const { held } = await navigator.locks.query();
  const prefix = lockName("");
  return new Set(
    (held ?? [])
      .map((lock) => lock.name ?? "")
      .filter((name) => name.startsWith(prefix))
      .map((name) => name.slice(prefix.length)),
  );
}
