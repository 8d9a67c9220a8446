// What others do, as lists that follow the events: locks, who is here, stored conflicts, the audit log.

import { createSignal } from "solid-js";
import { api, Refused } from "../api/client";
import type { AuditRecord, Client, Holder, Lease, LockAnswer, Problem, StoredConflict } from "../api/types";

/** A lock that is let go at once is not shown: marks that flash tell nobody anything. */
const LOCK_SHOWN_AFTER_MS = 150;
const AUDIT_LINES = 200;

export interface LockMark {
  holder: Holder | null;
  lease: Lease | null;
}

export function createLive(problemOf: (error: unknown) => Problem | null) {
  const [locks, setLocks] = createSignal<ReadonlyMap<string, LockMark>>(new Map());
  const lockTimers = new Map<string, ReturnType<typeof setTimeout>>();
  const setLock = (path: string, mark: LockMark | null): void => {
    clearTimeout(lockTimers.get(path));
    lockTimers.delete(path);
    const put = (): void =>
      void setLocks((all) => {
        const next = new Map(all);
        if (mark === null) next.delete(path);
        else next.set(path, mark);
        return next;
      });
    if (mark === null || locks().has(path)) put();
    else lockTimers.set(path, setTimeout(put, LOCK_SHOWN_AFTER_MS));
  };
  const loadLocks = async (): Promise<void> => {
    try {
      const answer = await api.locks();
      for (const timer of lockTimers.values()) clearTimeout(timer);
      lockTimers.clear();
      setLocks(
        new Map(answer.locks.map((lock: LockAnswer) => [lock.path, { holder: lock.holders[0] ?? null, lease: lock.lease ?? null }])),
      );
    } catch (error) {
      problemOf(error);
    }
  };
  const [presence, setPresence] = createSignal<ReadonlyMap<string, readonly Client[]>>(new Map());
  /** The others who have a file open. */
  const others = (path: string): Client[] => (presence().get(path) ?? []).filter((client) => client.client !== me);
  let me = "";
  /** The line is new: who is here is told anew. */
  const connected = (client: string): void => {
    me = client;
    setPresence(new Map());
  };
  const present = (path: string, clients: readonly Client[]): void =>
    void setPresence((all) => {
      const next = new Map(all);
      if (clients.length === 0) next.delete(path);
      else next.set(path, clients);
      return next;
    });

  const [conflicts, setConflicts] = createSignal<readonly StoredConflict[]>([]);
  const loadConflicts = async (): Promise<void> => {
    try {
      const answer = await api.conflicts();
      setConflicts(answer.conflicts.filter((one) => one.state === "open" || one.state === "unresolved"));
    } catch (error) {
      if (!(error instanceof Refused)) problemOf(error);
    }
  };
  const [audit, setAudit] = createSignal<readonly AuditRecord[]>([]);
  const [auditError, setAuditError] = createSignal("");
  const loadAudit = async (): Promise<void> => {
    try {
      setAudit((await api.audit(AUDIT_LINES)).records.slice().reverse());
      setAuditError("");
    } catch (error) {
      const problem = problemOf(error);
      const none = "This folder keeps no audit log. “filelatch init” in it begins one.";
      setAuditError(problem === null ? "The server can't be reached." : problem.kind === "no-workspace" ? none : problem.detail);
    }
  };
  /** Raised by each event about queues; lists read again. */
  const [queueTick, setQueueTick] = createSignal(0);
  /** Raised when a file's versions may have changed. */
  const [historyTick, setHistoryTick] = createSignal(0);

  const audited = (record: AuditRecord): void => void setAudit((all) => [record, ...all].slice(0, AUDIT_LINES));

  return {
    locks,
    setLock,
    loadLocks,
    others,
    connected,
    present,
    conflicts,
    loadConflicts,
    audit,
    audited,
    auditError,
    loadAudit,
    queueTick,
    historyTick,
    queuesChanged: () => setQueueTick((tick) => tick + 1),
    versionsChanged: () => setHistoryTick((tick) => tick + 1),
  };
}
