// What the server sends and takes, as docs/reference/http-api.md says. Written by hand: only what the page uses.

export interface Holder {
  session?: string | null;
  pid?: number | null;
  program?: string | null;
  purpose?: string | null;
  host?: string | null;
  since?: string | null;
  shared?: boolean;
  confirmed?: boolean;
}

export interface Me {
  session: string;
  scopes: string[];
  root: string;
  version: string;
  workspace: boolean;
}

export interface TreeEntry {
  path: string;
  size: number;
  modifiedAt?: string | null;
}

export interface FileAnswer {
  path: string;
  exists: boolean;
  content: string | null;
  hash: string | null;
  size?: number;
  lastModifiedBy: string | null;
  lastModifiedAt: string | null;
}

export interface WriteAnswer {
  path: string;
  hash: string;
  outcome: "written" | "unchanged" | "merged" | "superseded";
  content?: string;
}

export interface ConflictInfo {
  expectedHash: string | null;
  currentHash: string | null;
  lastModifiedBy: string | null;
  lastModifiedAt: string | null;
  currentContent?: string | null;
}

export interface Problem {
  status: number;
  detail: string;
  kind: string;
  hints: string[];
  path?: string;
  conflictInfo?: ConflictInfo;
  holder?: Holder | null;
  retryAfter?: number;
}

export interface WriteState {
  id: string;
  path: string;
  state: "queued" | "written" | "conflict" | "failed" | "cancelled";
  outcome?: string;
  hash?: string | null;
  error?: string | null;
  holder?: Holder | null;
  conflictInfo?: ConflictInfo | null;
  queuedAt?: string;
}

export interface Lease {
  holder?: Holder | string | null;
  expiresAt?: string | null;
  purpose?: string | null;
}

export interface LockAnswer {
  path: string;
  locked: boolean;
  holders: Holder[];
  waiting?: number;
  lease?: Lease | null;
}

export interface HistoryVersion {
  hash: string;
  size: number;
  by: string | null;
  at: string | null;
  generation?: number;
}

export interface HistoryAnswer {
  path: string;
  current: HistoryVersion | null;
  versions: HistoryVersion[];
}

export type Segment =
  | { type: "same"; text: string }
  | { type: "merged"; text: string; from: "ours" | "theirs" | "both" }
  | { type: "conflict"; base: string; ours: string; theirs: string };

export interface MergeAnswer {
  clean: boolean;
  merged: string | null;
  theirs: string;
  theirsHash: string | null;
  theirsBy: string | null;
  theirsAt: string | null;
  segments: Segment[];
}

export interface Side {
  by: string | null;
  at: string | null;
  hash: string | null;
}

export interface StoredConflict {
  id: string;
  path: string;
  at: string | null;
  cause?: string | null;
  state: string;
  /** Null: this side removed the file. */
  mine: Side | null;
  theirs: Side | null;
  hunks: number;
}

export interface StoredConflictFull extends StoredConflict {
  base: string | null;
  mineContent: string | null;
  theirsContent: string | null;
  merged: string | null;
  segments: Segment[];
}

export interface QueueCommand {
  id: string;
  command: string[];
  state: string;
  attempts: number;
  priority?: number;
  runner?: string | null;
  exitCode?: number | null;
  addedAt?: string;
}

export interface QueueAnswer {
  queue: string;
  commands: QueueCommand[];
}

/** A line of the audit log. Its fields depend on the event. */
export type AuditRecord = Record<string, unknown>;

export interface Client {
  client: string;
  session: string;
}

export type ServerEvent =
  | { type: "hello"; cursor: string; client: string; session: string }
  | {
      type: "file-changed";
      cursor: string;
      path: string;
      kind: "created" | "modified" | "deleted" | "renamed";
      from?: string;
      hash: string | null;
      size?: number | null;
      by: string | null;
      origin?: string;
      at: string | null;
    }
  | { type: "file-lock-change"; cursor: string; path: string; locked: boolean; holder: Holder | null; lease?: Lease | null }
  | { type: "conflict"; cursor: string; id: string; path: string; state: string }
  | { type: "presence"; path: string; clients: Client[] }
  | { type: "queue-changed"; cursor: string; queue: string }
  | { type: "write-done"; cursor: string; id: string; path: string; state: WriteState["state"] }
  | { type: "audit"; record: AuditRecord }
  | { type: "reset"; cursor: string }
  | { type: "bye"; reason?: string }
  | { type: "error"; detail: string };
