import type { Clock } from '../base/clock.ts';

/**
 * When an endpoint may be dialled (security rule 29). As long as connecting works, attempts run side by side. Until it has worked
 * once, and from a failure on, there is one at a time; after each failure the next waits 100 ms to 1 s, with jitter, so that
 * neither many clients nor many proxies fall upon a backend that is down or refuses.
 */
export class ConnectGate {
  readonly #clock: Clock;
  readonly #random: () => number;
  #isProven = false;
  #failures = 0;
  #notBeforeMs = 0;

  constructor(clock: Clock, random: () => number = Math.random) {
    this.#clock = clock;
    this.#random = random;
  }

  /** The last attempt failed. */
  get isFailing(): boolean {
    return this.#failures > 0;
  }

  /** Milliseconds until the next attempt; 0: now. Infinity: one is under way, and its outcome is awaited. */
  waitMs(connecting: number): number {
    if (this.#isProven) return 0;
    if (connecting > 0) return Number.POSITIVE_INFINITY;
    return Math.max(0, this.#notBeforeMs - this.#clock.monotonicMs());
  }

  succeeded(): void {
    this.#isProven = true;
    this.#failures = 0;
    this.#notBeforeMs = 0;
  }

  failed(): void {
    this.#isProven = false;
    const baseMs = Math.min(SHORTEST_WAIT_MS * 2 ** Math.min(this.#failures, MAX_DOUBLINGS), LONGEST_WAIT_MS / 2);
    this.#failures++;
    this.#notBeforeMs = this.#clock.monotonicMs() + baseMs * (1 + this.#random());
  }
}

const SHORTEST_WAIT_MS = 100; // security rule 29
const LONGEST_WAIT_MS = 1000; // security rule 29
const MAX_DOUBLINGS = 10;
