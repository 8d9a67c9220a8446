// Finding a file by some letters of its path, in order. Best first: letters that stand together, at the beginning of names, and in
// the file's own name count more.

export interface Found {
  path: string;
  score: number;
  /** Positions of the letters in the path. */
  at: number[];
}

const boundary = (path: string, i: number): boolean => i === 0 || "/-_. ".includes(path[i - 1] ?? "");

export function match(path: string, lower: string, wanted: string): Found | null {
  const name = path.lastIndexOf("/") + 1;
  // The letters together, in the name if possible; else one after the other, from the end of the path, where names are.
  const together = lower.indexOf(wanted, name) >= 0 ? lower.indexOf(wanted, name) : lower.lastIndexOf(wanted);
  if (together >= 0) {
    const score = 1000 + (together >= name ? 500 : 0) + (boundary(path, together) ? 200 : 0) - path.length;
    return { path, score, at: Array.from(wanted, (_, i) => together + i) };
  }
  const at: number[] = [];
  let from = lower.length;
  for (let i = wanted.length - 1; i >= 0; i -= 1) {
    const letter = wanted[i] ?? "";
    if (letter === " ") continue;
    from = from === 0 ? -1 : lower.lastIndexOf(letter, from - 1);
    if (from < 0) return null;
    at.unshift(from);
  }
  let score = -path.length;
  at.forEach((position, i) => {
    if (position === (at[i - 1] ?? -2) + 1) score += 15;
    if (boundary(path, position)) score += 20;
    if (position >= name) score += 5;
  });
  return { path, score, at };
}

export interface Index {
  paths: readonly string[];
  lower: readonly string[];
}

export const index = (paths: readonly string[]): Index => ({ paths, lower: paths.map((path) => path.toLowerCase()) });

/** At most `limit` paths; with nothing wanted the first ones. */
export function find(all: Index, wanted: string, limit: number): Found[] {
  const letters = wanted.trim().toLowerCase();
  if (letters === "") return all.paths.slice(0, limit).map((path) => ({ path, score: 0, at: [] }));
  const found: Found[] = [];
  all.paths.forEach((path, i) => {
    const hit = match(path, all.lower[i] ?? "", letters);
    if (hit !== null) found.push(hit);
  });
  found.sort((a, b) => b.score - a.score || (a.path < b.path ? -1 : 1));
  return found.slice(0, limit);
}
