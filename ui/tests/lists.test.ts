import { describe, expect, test } from "vitest";
import { pause } from "../src/api/events";
import { languageOf } from "../src/editor/languages";
import { find, index } from "../src/state/find";
import { above, grow, insert, remove, rows } from "../src/state/tree";
import { ago, author, holder, holderDetail, initials, since, size, writer } from "../src/state/words";

describe("the tree", () => {
  const paths = ["b.txt", "a/z.txt", "a/b/c.txt", "a10.txt", "a2.txt"];

  test("folders first, numbers by their value, places among siblings", () => {
    const all = rows(grow(paths), new Set(["a", "a/b"]));
    expect(all.map((row) => `${"  ".repeat(row.depth)}${row.name} ${row.place}/${row.siblings}`)).toEqual([
      "a 1/4",
      "  b 1/2",
      "    c.txt 1/1",
      "  z.txt 2/2",
      "a2.txt 2/4",
      "a10.txt 3/4",
      "b.txt 4/4",
    ]);
    expect(rows(grow(paths), new Set()).length).toBe(4);
  });

  test("files come and go; empty folders go too", () => {
    const root = grow(paths);
    remove(root, "a/b/c.txt");
    insert(root, "a/d.txt");
    remove(root, "not/there.txt");
    expect(rows(root, new Set(["a"])).map((row) => row.path)).toEqual(["a", "a/d.txt", "a/z.txt", "a2.txt", "a10.txt", "b.txt"]);
    expect(above("a/b/c.txt")).toEqual(["a", "a/b"]);
  });

  test("a path of very many folders", () => {
    const deep = `${"d/".repeat(2_000)}f`;
    expect(rows(grow([deep]), new Set(above(deep))).length).toBe(2_001);
  });
});

describe("finding", () => {
  const all = index(["config/deploy.yaml", "config/features.json", "docs/deploy.md", "src/de/employ.ts"]);
  const paths = (wanted: string): string[] => find(all, wanted, 10).map((hit) => hit.path);

  test("letters together come first, those in the name before those in folders", () => {
    expect(paths("deploy")).toEqual(["docs/deploy.md", "config/deploy.yaml", "src/de/employ.ts"]);
    expect(paths("cfj")).toEqual(["config/features.json"]);
    expect(paths("DEPLOY.Y")).toEqual(["config/deploy.yaml"]);
    expect(paths("xyz")).toEqual([]);
    expect(paths(" ").length).toBe(4);
  });

  test("marked letters are those that were wanted", () => {
    for (const hit of find(all, "dpl", 10)) expect(hit.at.map((i) => hit.path[i]).join("")).toBe("dpl");
  });
});

describe("words", () => {
  const now = Date.parse("2026-01-01T12:00:00.000Z");
  const before = (seconds: number): string => new Date(now - seconds * 1000).toISOString();

  test("times", () => {
    expect([1, 2, 59, 60, 150, 7200, 86_400 * 2].map((seconds) => ago(before(seconds), now))).toEqual([
      "just now",
      "2 seconds ago",
      "59 seconds ago",
      "1 minute ago",
      "3 minutes ago",
      "2 hours ago",
      "2 days ago",
    ]);
    expect([ago(before(-5), now), ago(null, now), ago("nonsense", now), since(before(75), now)]).toEqual(["just now", "", "", "1 min"]);
  });

  test("people", () => {
    expect([writer("external", "me"), writer(null, "me"), writer("Anna", "me"), writer("me", "me"), author("me", "me")]).toEqual([
      "another program",
      "another program",
      "Anna",
      "another open page",
      "me (you)",
    ]);
    const full = { session: "deploy", pid: 4711, program: "/usr/bin/deploy.sh", host: "web-1" };
    expect([holder(full), holderDetail(full), holderDetail({ ...full, purpose: "sh" })]).toEqual([
      "deploy",
      "deploy.sh, process 4711 on web-1",
      "sh, process 4711 on web-1",
    ]);
    const unnamed = { pid: 5, program: "/usr/bin/make" };
    expect([holder(unnamed), holderDetail(unnamed)]).toEqual(["make", "process 5"]);
    expect([holder({ pid: 5 }), holder({}), holder(null), holder("Anna"), holderDetail(null)]).toEqual([
      "a program",
      "another program",
      "another program",
      "Anna",
      "",
    ]);
    expect([initials("anna.b"), initials("web"), initials("!")]).toEqual(["AB", "WE", "?"]);
    expect([size(5), size(1500), size(5_000_000)]).toEqual(["5 B", "1.5 kB", "5.0 MB"]);
  });
});

test("the pause before the next attempt grows, and has an end", () => {
  expect([0, 1, 2, 10, 60].map((attempt) => pause(attempt, 1))).toEqual([250, 500, 1000, 10_000, 10_000]);
  expect(pause(3, 0)).toBeLessThan(pause(3, 1));
});

test("languages by name", () => {
  expect(["a.json", "b.YML", "c.toml", "Cargo.lock", "README.md", "x.txt", "Makefile", "json"].map(languageOf)).toEqual([
    "json",
    "yaml",
    "toml",
    "toml",
    "markdown",
    "text",
    "text",
    "text",
  ]);
});
