// A stand-in for the server, for work on the page without the Rust program: files in memory, the routes that the page uses.
// `node dev/mock.mjs [PORT] [DIST]`. POST /dev/lock {path, session}, /dev/unlock {path}, /dev/write {path, content, by} play the others.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { WebSocketServer } from "ws";

const port = Number(process.argv[2] ?? 4180);
const dist = process.argv[3] ?? new URL("../dist/", import.meta.url).pathname;
const hashOf = (text) => createHash("sha256").update(text).digest("hex");
const now = () => new Date().toISOString();
const files = new Map();
const locks = new Map();
const writes = new Map();
const events = [];
const sockets = new Set();
const audit = [];

const tell = (event) => {
  const full = { ...event, cursor: String(events.length + 1) };
  events.push(full);
  for (const socket of sockets) socket.send(JSON.stringify(full));
};
const say = (event) => {
  for (const socket of sockets) socket.send(JSON.stringify(event));
};
const put = (path, content, by, how = "written") => {
  const before = files.get(path);
  const hash = hashOf(content);
  const version = { hash, size: content.length, by, at: now(), content };
  files.set(path, { ...version, versions: [...(before ? [before] : []), ...(before?.versions ?? [])].slice(0, 50) });
  tell({
    type: "file-changed",
    path,
    kind: before ? "modified" : "created",
    hash,
    size: content.length,
    by,
    origin: "session",
    at: version.at,
  });
  audit.push({ seq: audit.length, time: version.at, event: "write", path, by, hash });
  for (const socket of sockets) if (socket.audit) socket.send(JSON.stringify({ type: "audit", record: audit.at(-1) }));
  return { success: true, path, hash, outcome: how };
};

// Lines of a longest common subsequence, enough for a mock.
function common(a, b) {
  const table = Array.from({ length: a.length + 1 }, () => new Uint32Array(b.length + 1));
  for (let i = a.length - 1; i >= 0; i--)
    for (let j = b.length - 1; j >= 0; j--)
      table[i][j] = a[i] === b[j] ? table[i + 1][j + 1] + 1 : Math.max(table[i + 1][j], table[i][j + 1]);
  const pairs = new Map();
  for (let i = 0, j = 0; i < a.length && j < b.length;) {
    if (a[i] === b[j]) pairs.set(i++, j++);
    else if (table[i + 1][j] >= table[i][j + 1]) i++;
    else j++;
  }
  return pairs;
}
function merge(base, ours, theirs) {
  const cut = (text) => text.match(/[^\n]*\n|[^\n]+/g) ?? [];
  const [b, o, t] = [cut(base), cut(ours), cut(theirs)];
  const [inO, inT] = [common(b, o), common(b, t)];
  const segments = [];
  let [i, x, y] = [0, 0, 0];
  const block = (bEnd, oEnd, tEnd) => {
    const [bs, os, ts] = [b.slice(i, bEnd).join(""), o.slice(x, oEnd).join(""), t.slice(y, tEnd).join("")];
    if (os === ts) {
      if (os !== bs) segments.push({ type: "merged", text: os, from: "both" });
      else if (os) segments.push({ type: "same", text: os });
    } else if (os === bs) segments.push({ type: "merged", text: ts, from: "theirs" });
    else if (ts === bs) segments.push({ type: "merged", text: os, from: "ours" });
    else segments.push({ type: "conflict", base: bs, ours: os, theirs: ts });
    [i, x, y] = [bEnd, oEnd, tEnd];
  };
  for (let k = 0; k < b.length; k++) {
    if (!inO.has(k) || !inT.has(k)) continue;
    block(k, inO.get(k), inT.get(k));
    segments.push({ type: "same", text: b[k] });
    [i, x, y] = [k + 1, inO.get(k) + 1, inT.get(k) + 1];
  }
  block(b.length, o.length, t.length);
  const clean = segments.every((s) => s.type !== "conflict");
  return { clean, segments, merged: segments.map((s) => s.text ?? s.ours).join("") };
}

const lockAnswer = (path) => ({
  path,
  locked: locks.has(path),
  holders: locks.has(path) ? [locks.get(path)] : [],
  waiting: 0,
  lease: null,
});
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const conflictInfo = (path, expected) => {
  const file = files.get(path);
  return {
    expectedHash: expected ?? null,
    currentHash: file?.hash ?? null,
    lastModifiedBy: file?.by ?? null,
    lastModifiedAt: file?.at ?? null,
  };
};

const routes = {
  "GET /api/me": () => ({ session: "web", scopes: ["read", "write"], root: "demo", version: "0", workspace: true }),
  "GET /api/tree": () => ({
    root: "demo",
    entries: [...files].map(([path, f]) => ({ path, size: f.size, modifiedAt: f.at })).sort((a, b) => (a.path < b.path ? -1 : 1)),
    truncated: false,
  }),
  "GET /api/locks": () => ({ locks: [...locks.keys()].map(lockAnswer) }),
  "GET /api/conflicts": () => ({ conflicts: [] }),
  "GET /api/queues": () => ({ queues: ["checks"] }),
  "GET /api/queues/checks": () => ({
    queue: "checks",
    commands: [
      { id: "1", command: ["cargo", "test"], state: "running", attempts: 1, runner: "ci-1" },
      { id: "2", command: ["npm", "run", "build"], state: "waiting", attempts: 0 },
    ],
  }),
  "GET /api/audit": () => ({ records: audit.slice(-100) }),
  "POST /api/merge": (_, body) => {
    const file = files.get(body.path);
    const theirs = body.theirs ?? file?.content ?? "";
    return {
      ...merge(body.base ?? "", body.ours, theirs),
      theirs,
      theirsHash: file?.hash ?? null,
      theirsBy: file?.by ?? null,
      theirsAt: file?.at ?? null,
    };
  },
  "POST /dev/lock": (_, body) => {
    locks.set(body.path, {
      session: body.session ?? "deploy",
      pid: 4711,
      program: "deploy.sh",
      since: now(),
      shared: false,
      confirmed: true,
    });
    tell({ type: "file-lock-change", path: body.path, locked: true, holder: locks.get(body.path) });
    return {};
  },
  "POST /dev/unlock": (_, body) => {
    locks.delete(body.path);
    tell({ type: "file-lock-change", path: body.path, locked: false, holder: null });
    for (const write of writes.values()) {
      if (write.path !== body.path || write.state !== "queued") continue;
      Object.assign(write, { state: "written" }, put(write.path, write.content, write.by));
      tell({ type: "write-done", id: write.id, path: write.path, state: "written" });
    }
    return {};
  },
  "POST /dev/write": (_, body) => put(body.path, body.content, body.by ?? null),
};

async function answer(method, path, query, body) {
  const exact = routes[`${method} ${path}`];
  if (exact) return [200, exact(query, body)];
  const at = /^\/api\/(files|history|locks|writes)\/(.+)$/.exec(path);
  if (!at) return [404, { detail: "no such route", kind: "not-found" }];
  const [name, file] = [decodeURIComponent(at[2]), files.get(decodeURIComponent(at[2]))];
  if (at[1] === "locks") return [200, lockAnswer(name)];
  if (at[1] === "writes") {
    const write = writes.get(name);
    if (method === "DELETE" && write?.state === "queued") write.state = "cancelled";
    return write ? [200, write] : [404, { detail: "no such write", kind: "not-found" }];
  }
  if (at[1] === "history") {
    if (method === "POST") return [200, put(name, file.versions.find((v) => v.hash === body.restore).content, body.sessionId)];
    const bare = ({ hash, size, by, at: when }) => ({ hash, size, by, at: when, generation: 1 });
    if (!query.has("version")) return [200, { path: name, current: file ? bare(file) : null, versions: (file?.versions ?? []).map(bare) }];
    const version = [file, ...file.versions].find((v) => v.hash === query.get("version"));
    return [200, { path: name, ...bare(version), content: version.content }];
  }
  if (method === "GET")
    return [
      200,
      {
        success: true,
        path: name,
        exists: !!file,
        content: file?.content ?? null,
        hash: file?.hash ?? null,
        size: file?.size ?? 0,
        lastModifiedBy: file?.by ?? null,
        lastModifiedAt: file?.at ?? null,
      },
    ];
  for (let tries = 0; locks.has(name) && tries < parseFloat(body.wait ?? "1") * 10; tries++) await wait(100);
  if (locks.has(name)) {
    const holder = locks.get(name);
    if (body.ifLocked !== "queue")
      return [503, { detail: `${name} is locked by ${holder.session}`, kind: "timeout", holder, retryAfter: 1 }];
    const id = hashOf(name + now()).slice(0, 12);
    writes.set(id, { id, path: name, state: "queued", content: body.content, by: body.sessionId, queuedAt: now() });
    return [202, { success: true, outcome: "queued", id }];
  }
  const current = files.get(name);
  if ((body.expectAbsent && current) || (body.expectedHash && body.expectedHash !== current?.hash))
    return [409, { detail: `${name} changed since it was read`, kind: "conflict", conflictInfo: conflictInfo(name, body.expectedHash) }];
  return [
    200,
    current?.content === body.content
      ? { success: true, path: name, hash: current.hash, outcome: "unchanged" }
      : put(name, body.content, body.sessionId ?? "web"),
  ];
}

const types = { ".js": "text/javascript", ".css": "text/css", ".html": "text/html", ".svg": "image/svg+xml" };
const server = createServer((request, response) => {
  const url = new URL(request.url, "http://x");
  let text = "";
  request
    .setEncoding("utf8")
    .on("data", (part) => (text += part))
    .on("end", async () => {
      if (!/^\/(api|dev)\//.test(url.pathname)) {
        const file = normalize(url.pathname === "/" ? "/index.html" : url.pathname);
        try {
          const bytes = readFileSync(join(dist, file));
          response
            .writeHead(200, {
              "Content-Type": types[extname(file)] ?? "application/octet-stream",
              "Content-Security-Policy":
                "default-src 'self'; frame-ancestors 'none'; object-src 'none'; base-uri 'none'; form-action 'self'",
            })
            .end(bytes);
        } catch {
          response.writeHead(404).end();
        }
        return;
      }
      const [status, data] = await answer(request.method, url.pathname, url.searchParams, text ? JSON.parse(text) : {});
      response
        .writeHead(status, { "Content-Type": "application/json" })
        .end(JSON.stringify(status < 400 ? data : { status, success: false, error: data.detail, hints: [], ...data }));
    });
});
new WebSocketServer({ server, path: "/api/events" }).on("connection", (socket, request) => {
  const cursor = new URL(request.url, "http://x").searchParams.get("cursor");
  socket.name = "web";
  socket.id = hashOf(String(Math.random())).slice(0, 8);
  socket.send(JSON.stringify({ type: "hello", cursor: cursor ?? String(events.length), client: socket.id, session: "web" }));
  if (cursor !== null) for (const event of events.slice(Number(cursor))) socket.send(JSON.stringify(event));
  sockets.add(socket);
  const present = (path) =>
    path &&
    say({
      type: "presence",
      path,
      clients: [...sockets].filter((s) => s.viewing === path).map((s) => ({ client: s.id, session: s.name })),
    });
  for (const path of new Set([...sockets].map((s) => s.viewing))) present(path);
  socket.on("message", (data) => {
    const message = JSON.parse(String(data));
    const before = socket.viewing;
    if (message.type === "session") socket.name = message.name;
    if (message.type === "viewing") socket.viewing = message.path;
    if (message.type === "subscribe") socket.audit = message.audit;
    present(before);
    present(socket.viewing);
  });
  socket.on("close", () => {
    sockets.delete(socket);
    present(socket.viewing);
  });
});
put(
  "config/deploy.yaml",
  '# who may deploy\nreplicas: 3          # per zone\nimage: "app:1.5"\nregions:\n  - eu-central\n  - us-east\n',
  "anna",
);
put("config/features.json", '{\n  "darkMode": true,\n  "search": { "limit": 50 }\n}\n', "ben");
put("Cargo.toml", '[package]\nname = "demo"\nversion = "0.1.0"\n\n[dependencies]\nserde = "1"\n', null);
put("README.md", "# Demo\n\n*Many writers*, one file, `nothing` lost.\n\n- one\n- two\n", "anna");
put("notes.txt", "plain text\n", null);
server.listen(port, "127.0.0.1", () => console.log(`http://127.0.0.1:${port}/`));
