// The browser's store for drafts: IndexedDB. What a text began from is kept once for each file and version, not with each draft.
// When the page ends, what was not yet written goes to localStorage at once (if it is not too long) and is moved over at the next start.

import type { Draft, Store, Unwritten } from "../state/drafts";

const DRAFTS = "drafts";
const BASES = "bases";
const LAST = "filelatch.last:";
/** localStorage holds about 5 MB in all. */
const LAST_LIMIT = 1_000_000;

type Row = Omit<Draft, "baseText"> & { baseKey: string };

const baseKey = (draft: { root: string; path: string; base: { hash: string | null } }): string =>
  JSON.stringify([draft.root, draft.path, draft.base.hash]);

const settled = <T>(request: IDBRequest<T>): Promise<T> =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error("the browser's store failed"));
  });

const finished = (tx: IDBTransaction): Promise<void> =>
  new Promise((resolve, reject) => {
    tx.oncomplete = () => resolve();
    tx.onabort = () => reject(tx.error ?? new Error("the browser's store failed"));
  });

export async function openStore(): Promise<Store> {
  const request = indexedDB.open("filelatch", 1);
  request.onupgradeneeded = () => {
    request.result.createObjectStore(DRAFTS, { keyPath: "id" });
    request.result.createObjectStore(BASES);
  };
  const db = await settled(request);
  db.onversionchange = () => db.close();

  const write = async (draft: Omit<Unwritten, "text" | "baseText">, text: string, base: () => string | null): Promise<void> => {
    const tx = db.transaction([DRAFTS, BASES], "readwrite", { durability: "strict" });
    const key = baseKey(draft);
    const { id, root, tab, path, base: version, at, kind, why, queuedId } = draft;
    const row: Row = {
      id,
      root,
      tab,
      path,
      base: version,
      at,
      kind,
      why,
      text,
      baseKey: key,
      ...(queuedId === undefined ? {} : { queuedId }),
    };
    tx.objectStore(DRAFTS).put(row);
    const bases = tx.objectStore(BASES);
    const there = bases.getKey(key);
    there.onsuccess = () => {
      const from = there.result === undefined ? base() : null;
      if (from !== null) bases.put(from, key);
    };
    await finished(tx);
    localStorage.removeItem(LAST + id);
  };

  const moveLastWords = async (): Promise<void> => {
    for (const name of Object.keys(localStorage).filter((key) => key.startsWith(LAST))) {
      try {
        const draft = JSON.parse(localStorage.getItem(name) ?? "") as Draft;
        const there = (await settled(db.transaction(DRAFTS).objectStore(DRAFTS).get(draft.id))) as Row | undefined;
        if (there === undefined || there.at < draft.at) await write(draft, draft.text, () => draft.baseText);
        else localStorage.removeItem(name);
      } catch {
        // Not ours, or damaged: left where it is.
      }
    }
  };

  // Bases that no draft needs any more. In one transaction, so that none goes that a draft is just being written for.
  const sweep = async (): Promise<void> => {
    const tx = db.transaction([DRAFTS, BASES], "readwrite");
    const needed = new Set(((await settled(tx.objectStore(DRAFTS).getAll())) as Row[]).map((row) => row.baseKey));
    const keys = await settled(tx.objectStore(BASES).getAllKeys());
    for (const key of keys) if (!needed.has(String(key))) tx.objectStore(BASES).delete(key);
    await finished(tx);
  };

  await moveLastWords();
  await sweep();

  return {
    put: (draft) => write(draft, draft.text(), draft.baseText),
    async remove(id) {
      const tx = db.transaction(DRAFTS, "readwrite");
      tx.objectStore(DRAFTS).delete(id);
      await finished(tx);
      localStorage.removeItem(LAST + id);
    },
    async all() {
      const tx = db.transaction([DRAFTS, BASES]);
      const list = (await settled(tx.objectStore(DRAFTS).getAll())) as Row[];
      return Promise.all(
        list.map(async ({ baseKey: key, ...row }) => ({
          ...row,
          baseText: ((await settled(tx.objectStore(BASES).get(key))) as string | undefined) ?? null,
        })),
      );
    },
    lastWords(draft) {
      try {
        const text = draft.text();
        const from = draft.baseText();
        if (text.length + from.length > LAST_LIMIT) return;
        localStorage.setItem(LAST + draft.id, JSON.stringify({ ...draft, text, baseText: from }));
      } catch {
        // No room: the write to IndexedDB that was begun with it is all there is.
      }
    },
  };
}

/** For a browser without IndexedDB: nothing is kept, and the page says so. */
export const noStore: Store = {
  put: () => Promise.reject(new Error("this browser keeps no drafts")),
  remove: () => Promise.resolve(),
  all: () => Promise.resolve([]),
  lastWords: () => undefined,
};
