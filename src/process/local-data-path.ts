import type { Loaded } from '../config/load.ts';
import type { FrontendEvents } from '../frontend/contract.ts';
import { retireReplaced } from '../snapshot/retire-replaced.ts';
import { activate, provision, type Snapshot } from '../snapshot/snapshot.ts';
import type { SnapshotParts } from '../snapshot/snapshot-parts.ts';
import type { DataPath, Prepared } from './data-path.ts';
import { ListenerSet } from './listener-set.ts';

/** Listeners, exchanges and backends of this process. */
export class LocalDataPath implements DataPath {
  readonly #parts: SnapshotParts;
  readonly #listeners: ListenerSet;
  #snapshot: Snapshot | null = null;

  constructor(parts: SnapshotParts, events: FrontendEvents) {
    this.#parts = parts;
    this.#listeners = new ListenerSet(events);
  }

  /** What runs; null before the first commit. */
  get snapshot(): Snapshot | null {
    return this.#snapshot;
  }

  get connections(): number {
    return this.#listeners.connections;
  }

  notReadyReasons(): readonly string[] {
    return this.#snapshot === null ? ['not every listener is bound yet'] : [];
  }

  async prepare({ configuration }: Loaded): Promise<Prepared> {
    const parts = this.#parts;
    const previous = this.#snapshot;
    const next = provision(configuration, previous, parts);
    // The first connection may come before bindNew() returns, and must get tickets under the configured secrets.
    if (previous === null) activate(next, parts);
    await this.#listeners.bindNew(next);
    return {
      commit: async () => {
        if (previous !== null) activate(next, parts);
        this.#snapshot = next;
        this.#listeners.swap(next);
        if (previous !== null) void retireReplaced(previous, next, parts.backendSessions);
      },
      abort: () => {
        if (previous === null) void this.#listeners.closeNow();
        else this.#listeners.swap(previous); // what was bound for `next` goes again
      },
    };
  }

  drain(): Promise<void> {
    return this.#listeners.drain();
  }

  goAway(): Promise<void> {
    return this.#listeners.goAway();
  }

  closeNow(): Promise<void> {
    return this.#listeners.closeNow();
  }

  async close(): Promise<void> {
    if (this.#snapshot === null) return;
    await Promise.race([retireReplaced(this.#snapshot, null, this.#parts.backendSessions), afterMs(RETIRE_TIMEOUT_MS)]);
  }

  /** The log of a single process is reopened by who holds it. */
  reopenAccessLog(): void {}
}

function afterMs(delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, delayMs).unref();
  });
}

const RETIRE_TIMEOUT_MS = 1000; // every exchange is over by now: idle connections need a FIN, not a second
