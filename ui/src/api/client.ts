// The calls of the page to its server. Every call answers with data or throws: `Refused` when the server answered with a problem,
// `Unreachable` when no answer came, so that nobody knows whether a write was done.

import type {
  AuditRecord,
  FileAnswer,
  HistoryAnswer,
  LockAnswer,
  Me,
  MergeAnswer,
  Problem,
  QueueAnswer,
  StoredConflict,
  StoredConflictFull,
  TreeEntry,
  WriteAnswer,
  WriteState,
} from "./types";

export class Refused extends Error {
  constructor(readonly problem: Problem) {
    super(problem.detail);
  }
}

export class Unreachable extends Error {}

/** A path below the root, for an address: each name encoded, the slashes kept. */
export const address = (path: string): string => path.split("/").map(encodeURIComponent).join("/");

export interface PutBody {
  content: string;
  expectedHash?: string;
  expectAbsent?: boolean;
  sessionId?: string;
  wait?: string;
  ifLocked?: "fail" | "queue";
  mkdir?: boolean;
}

export type PutAnswer = { queued: false; answer: WriteAnswer } | { queued: true; id: string };

export interface MergeBody {
  path: string;
  base?: string;
  baseHash?: string;
  ours: string;
  theirs?: string;
}

async function call<T>(method: string, url: string, body?: unknown): Promise<{ status: number; data: T }> {
  let response: Response;
  let text: string;
  try {
    response = await fetch(url, {
      method,
      credentials: "same-origin",
      cache: "no-store",
      headers: body === undefined ? {} : { "Content-Type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    text = await response.text();
  } catch (cause) {
    throw new Unreachable("The server can't be reached.", { cause });
  }
  let data: unknown = null;
  try {
    data = text === "" ? null : JSON.parse(text);
  } catch {
    // An answer that is not JSON comes from something between: judged by its status below.
  }
  if (response.ok && (data !== null || text === "")) return { status: response.status, data: data as T };
  if (response.ok || (data === null && response.status >= 500)) throw new Unreachable("Something else answered in the server's place.");
  const problem = (data ?? {}) as Partial<Problem>;
  throw new Refused({
    ...problem,
    status: response.status,
    detail: problem.detail ?? `The server answered ${response.status}.`,
    kind: problem.kind ?? "unknown",
    hints: problem.hints ?? [],
  });
}

const get = async <T>(url: string): Promise<T> => (await call<T>("GET", url)).data;

export const api = {
  me: () => get<Me>("/api/me"),
  logout: () => call<unknown>("POST", "/api/logout", {}),
  tree: () => get<{ root: string; entries: TreeEntry[]; truncated: boolean }>("/api/tree"),
  read: (path: string) => get<FileAnswer>(`/api/files/${address(path)}`),
  async put(path: string, body: PutBody): Promise<PutAnswer> {
    const { status, data } = await call<WriteAnswer & { id?: string }>("PUT", `/api/files/${address(path)}`, body);
    return status === 202 ? { queued: true, id: String(data.id) } : { queued: false, answer: data };
  },
  write: (id: string) => get<WriteState>(`/api/writes/${encodeURIComponent(id)}`),
  cancelWrite: (id: string) => call<WriteState>("DELETE", `/api/writes/${encodeURIComponent(id)}`),
  merge: async (body: MergeBody) => (await call<MergeAnswer>("POST", "/api/merge", body)).data,
  history: (path: string) => get<HistoryAnswer>(`/api/history/${address(path)}`),
  version: (path: string, hash: string) =>
    get<{ content: string; hash: string }>(`/api/history/${address(path)}?version=${encodeURIComponent(hash)}`),
  restore: async (path: string, body: { restore: string; expectedHash?: string; sessionId?: string }) =>
    (await call<WriteAnswer>("POST", `/api/history/${address(path)}`, body)).data,
  locks: () => get<{ locks: LockAnswer[] }>("/api/locks"),
  conflicts: () => get<{ conflicts: StoredConflict[] }>("/api/conflicts"),
  conflict: (id: string) => get<StoredConflictFull>(`/api/conflicts/${encodeURIComponent(id)}`),
  resolve: async (
    id: string,
    body: { keep: "mine" | "theirs" | "merged" | "content"; content?: string; expectedHash?: string; sessionId?: string },
  ) => (await call<WriteAnswer>("POST", `/api/conflicts/${encodeURIComponent(id)}`, body)).data,
  queues: () => get<{ queues: string[] }>("/api/queues"),
  queue: (name: string) => get<QueueAnswer>(`/api/queues/${encodeURIComponent(name)}`),
  audit: (last: number) => get<{ records: AuditRecord[] }>(`/api/audit?last=${last}`),
};

export type Api = typeof api;
