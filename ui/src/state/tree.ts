// The files as rows. 20,000 paths become folders once; what is seen is a flat list of rows, of which the page draws those in view.

export interface Folder {
  name: string;
  path: string;
  folders: Map<string, Folder>;
  files: Map<string, string>;
}

export interface Row {
  kind: "folder" | "file";
  path: string;
  name: string;
  depth: number;
  open: boolean;
  /** Place among its siblings, from 1, and their number: for screen readers. */
  place: number;
  siblings: number;
}

const folder = (name: string, path: string): Folder => ({ name, path, folders: new Map(), files: new Map() });

export function insert(root: Folder, path: string): void {
  const names = path.split("/");
  const file = names.pop();
  if (file === undefined || file === "") return;
  let at = root;
  for (const name of names) {
    let next = at.folders.get(name);
    if (next === undefined) {
      next = folder(name, at.path === "" ? name : `${at.path}/${name}`);
      at.folders.set(name, next);
    }
    at = next;
  }
  at.files.set(file, path);
}

export function remove(root: Folder, path: string): void {
  const names = path.split("/");
  const file = names.pop();
  if (file === undefined) return;
  const line: Folder[] = [root];
  for (const name of names) {
    const next = line.at(-1)?.folders.get(name);
    if (next === undefined) return;
    line.push(next);
  }
  line.at(-1)?.files.delete(file);
  for (let i = line.length - 1; i > 0; i -= 1) {
    const here = line[i];
    if (here === undefined || here.files.size > 0 || here.folders.size > 0) return;
    line[i - 1]?.folders.delete(here.name);
  }
}

export function grow(paths: Iterable<string>): Folder {
  const root = folder("", "");
  for (const path of paths) insert(root, path);
  return root;
}

const order = new Intl.Collator("en", { numeric: true, sensitivity: "base" });
const byName = (a: { name: string }, b: { name: string }): number => order.compare(a.name, b.name) || (a.name < b.name ? -1 : 1);

export function rows(root: Folder, opened: ReadonlySet<string>): Row[] {
  const out: Row[] = [];
  // A stack of our own: the depth of folders comes from outside.
  interface Level {
    items: { name: string; path: string; inner: Folder | null }[];
    next: number;
  }
  const level = (of: Folder): Level => ({
    items: [
      ...[...of.folders.values()].map((inner) => ({ name: inner.name, path: inner.path, inner })).sort(byName),
      ...[...of.files].map(([name, path]) => ({ name, path, inner: null })).sort(byName),
    ],
    next: 0,
  });
  const stack = [level(root)];
  for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
    const item = top.items[top.next];
    if (item === undefined) {
      stack.pop();
      continue;
    }
    top.next += 1;
    const open = item.inner !== null && opened.has(item.path);
    out.push({
      kind: item.inner === null ? "file" : "folder",
      path: item.path,
      name: item.name,
      depth: stack.length - 1,
      open,
      place: top.next,
      siblings: top.items.length,
    });
    if (open && item.inner !== null) stack.push(level(item.inner));
  }
  return out;
}

/** All folders above a path, the outermost first. */
export function above(path: string): string[] {
  const out: string[] = [];
  for (let i = path.indexOf("/"); i >= 0; i = path.indexOf("/", i + 1)) out.push(path.slice(0, i));
  return out;
}
