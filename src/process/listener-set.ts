import { startDeadline } from '../base/deadline.ts';
import { Admission, openFileLimit } from '../frontend/admission.ts';
import type { FrontendEvents } from '../frontend/contract.ts';
import { Listener } from '../frontend/listener.ts';
import type { RunningListener, Snapshot } from '../snapshot/snapshot.ts';

/** The bound listeners of a process by `address:port`: what a reload keeps is not bound again. */
export class ListenerSet {
  readonly #events: FrontendEvents;
  readonly #bound = new Map<string, { listener: Listener; running: RunningListener }>();
  readonly #leaving = new Set<Listener>();
  readonly #admission = new Admission(openFileLimit());

  constructor(events: FrontendEvents) {
    this.#events = events;
  }

  get connections(): number {
    let sum = 0;
    for (const { listener } of this.#bound.values()) sum += listener.connections;
    for (const listener of this.#leaving) sum += listener.connections;
    return sum;
  }

  /** Binds the addresses that are new in `next`. When one cannot be bound none of them stays, and the error says which. */
  async bindNew(next: Snapshot): Promise<void> {
    const bound: string[] = [];
    for (const [key, running] of next.listeners) {
      if (this.#bound.has(key)) continue;
      const entry = { running } as { listener: Listener; running: RunningListener };
      entry.listener = new Listener({
        address: running.address,
        port: running.port,
        forwardingRule: () => entry.running.forwardingRule,
        current: () => entry.running.proxy,
        trustedSources: () => entry.running.trustedSources,
        events: this.#events,
        admission: this.#admission,
      });
      try {
        await entry.listener.listen();
      } catch (error) {
        for (const added of bound) {
          void this.#bound.get(added)?.listener.closeNow();
          this.#bound.delete(added);
        }
        throw bindError(key, running.forwardingRule, error as NodeJS.ErrnoException);
      }
      this.#bound.set(key, entry);
      bound.push(key);
    }
  }

  /** From now on new connections get what `next` says; listeners that it does not have stop accepting and drain, for `drain.timeoutSec`. */
  swap(next: Snapshot): void {
    for (const [key, entry] of this.#bound) {
      const running = next.listeners.get(key);
      if (running !== undefined) {
        entry.running = running;
        entry.listener.reviewClients(next.configuration.settings.drain.timeoutSec * 1000);
        continue;
      }
      this.#bound.delete(key);
      this.#leaving.add(entry.listener);
      const { timeoutSec } = next.configuration.settings.drain;
      const deadline = startDeadline(timeoutSec * 1000, () => void entry.listener.closeNow()); // streams end by themselves only
      void entry.listener.drain().then(() => {
        deadline.cancel();
        this.#leaving.delete(entry.listener);
      });
    }
  }

  /** Stops accepting everywhere and resolves when the last connection is gone. */
  async drain(): Promise<void> {
    await Promise.all([...this.#all()].map((listener) => listener.drain()));
  }

  /** The time to drain is over: WebSockets are told, everything else is cut. */
  async goAway(): Promise<void> {
    await Promise.all([...this.#all()].map((listener) => listener.goAway()));
  }

  async closeNow(): Promise<void> {
    await Promise.all([...this.#all()].map((listener) => listener.closeNow()));
  }

  *#all(): Generator<Listener> {
    for (const { listener } of this.#bound.values()) yield listener;
    yield* this.#leaving;
  }
}

function bindError(key: string, forwardingRule: string, error: NodeJS.ErrnoException): Error {
  const found =
    error.code === 'EADDRINUSE'
      ? 'the address is in use'
      : error.code === 'EACCES'
        ? 'the process may not bind this port'
        : (error.code ?? error.message);
  return new Error(
    `Cannot listen on ${key} (forwardingRules/${forwardingRule}): ${found}; stop what listens there, or change the rule`,
    {
      cause: error,
    },
  );
}
