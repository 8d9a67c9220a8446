// The line on which the server tells what happens. It comes back by itself: after a break it asks for what came after the last
// cursor it saw, waits longer after each failure (at most 10 s), and at once when the browser says that the network is back.

import type { ServerEvent } from "./types";

export type LineState = "connecting" | "online" | "offline";

export interface Line {
  send(message: Record<string, unknown>): void;
  /** Tries now, without waiting for the pause to end. */
  wake(): void;
  close(): void;
}

export interface LineOptions {
  url: (cursor: string | null) => string;
  onEvent: (event: ServerEvent) => void;
  onState: (state: LineState, retryInMs: number) => void;
  random?: () => number;
}

/** The pause before the n-th attempt in a row, in ms: doubled from 250 to 10,000, with a part by chance so that pages don't come back in step. */
export function pause(attempt: number, random: number): number {
  const full = Math.min(10_000, 250 * 2 ** Math.min(attempt, 10));
  return Math.round(full * (0.6 + 0.4 * random));
}

const CONNECT_MS = 8_000;
const TRIES_WITH_CURSOR = 5;

export function openLine(options: LineOptions): Line {
  const random = options.random ?? Math.random;
  let socket: WebSocket | null = null;
  let cursor: string | null = null;
  // The cursor was given up: what was missed is not known, so all is read again.
  let gap = false;
  let attempt = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let closed = false;
  // What must be told anew on each connection, by type: the file in view, the name, the subscription.
  const standing = new Map<string, Record<string, unknown>>();

  const connect = (): void => {
    clearTimeout(timer);
    options.onState("connecting", 0);
    const mine = new WebSocket(options.url(cursor));
    socket = mine;
    let heard = false;
    timer = setTimeout(() => {
      if (!heard) mine.close();
    }, CONNECT_MS);
    mine.onmessage = (message) => {
      if (socket !== mine || typeof message.data !== "string") return;
      let event: ServerEvent;
      try {
        event = JSON.parse(message.data) as ServerEvent;
      } catch {
        return;
      }
      if (!heard) {
        heard = true;
        clearTimeout(timer);
        attempt = 0;
        for (const said of standing.values()) mine.send(JSON.stringify(said));
        options.onState("online", 0);
        if (gap && event.type !== "reset") options.onEvent({ type: "reset", cursor: "" });
        gap = false;
      }
      if ("cursor" in event && event.cursor != null) cursor = String(event.cursor);
      options.onEvent(event);
    };
    mine.onclose = () => {
      if (socket === mine) again();
    };
  };

  const again = (): void => {
    socket = null;
    clearTimeout(timer);
    if (closed) return;
    // A server that refuses this cursor would refuse it for ever.
    if (attempt >= TRIES_WITH_CURSOR && cursor !== null) [cursor, gap] = [null, true];
    const wait = pause(attempt, random());
    attempt += 1;
    options.onState("offline", wait);
    timer = setTimeout(connect, wait);
  };

  connect();
  return {
    send(message) {
      standing.set(String(message["type"]), message);
      if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
    },
    wake() {
      if (closed || socket !== null) return;
      attempt = 0;
      connect();
    },
    close() {
      closed = true;
      clearTimeout(timer);
      socket?.close();
    },
  };
}
