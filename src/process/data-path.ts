import type { Loaded } from '../config/load.ts';

/**
 * What carries traffic, under one configuration at a time: objects of this process (LocalDataPath), or worker processes (WorkerPool).
 *
 *   prepare ─▶ commit: from now on it runs
 *        └───▶ abort: as if it had never been
 */
export interface DataPath {
  /** Builds and binds beside what runs. One at a time. Rejects, nothing changed, with a message for the operator. */
  prepare(loaded: Loaded): Promise<Prepared>;
  /** Why it does not carry all traffic under the newest configuration; empty when it does. */
  notReadyReasons(): readonly string[];
  /** Client connections that are open; of workers as last told. */
  readonly connections: number;
  /** Stops accepting and resolves when the last exchange is over. */
  drain(): Promise<void>;
  /** The time to drain is over: WebSockets are told, all else is cut, and a moment later those too; drain() resolves. */
  goAway(): Promise<void>;
  /** Cuts what still runs; drain() resolves. */
  closeNow(): Promise<void>;
  /** What remains when nothing runs: backend connections, processes. */
  close(): Promise<void>;
  /** SIGUSR2. */
  reopenAccessLog(): void;
}

export interface Prepared {
  /** Cannot fail. Resolves when all of the data path runs it. */
  commit(): Promise<void>;
  abort(): void;
}
