// hot path: every exchange and every handshake is added and removed; both are pointer writes.
import type { Clock } from './clock.ts';
import { type Deadline, startDeadline } from './deadline.ts';

/** Something that waits in at most one DeadlineQueue at a time. */
export abstract class Expiring {
  expiresAtMs = 0;
  queue: DeadlineQueue | null = null;
  earlier: Expiring | null = null;
  later: Expiring | null = null;

  /** Runs once; the queue has already let go. */
  abstract onExpired(): void;

  cancelDeadline(): void {
    this.queue?.remove(this);
  }
}

/**
 * Deadlines of one length: whoever comes later expires later, so a linked list is the order and one timer serves all of them.
 * The timer is left running when the list empties; what ends within its deadline costs no timer at all.
 */
export class DeadlineQueue {
  readonly delayMs: number;
  readonly #clock: Clock;
  #first: Expiring | null = null;
  #last: Expiring | null = null;
  #timer: Deadline | null = null;
  /** When the timer fires. */
  #dueAtMs = 0;
  readonly #sweep = () => this.#expire();

  constructor(delayMs: number, clock: Clock) {
    this.delayMs = delayMs;
    this.#clock = clock;
  }

  /** Moves the entry out of the queue it may be in, and starts its time anew; `sinceMs`: it began some time ago already. */
  add(entry: Expiring, nowMs: number = this.#clock.monotonicMs(), sinceMs: number = nowMs): void {
    entry.queue?.remove(entry);
    entry.expiresAtMs = sinceMs + this.delayMs;
    let earlier = this.#last;
    while (earlier !== null && earlier.expiresAtMs > entry.expiresAtMs) earlier = earlier.earlier;
    const later = earlier === null ? this.#first : earlier.later;
    entry.queue = this;
    entry.earlier = earlier;
    entry.later = later;
    if (earlier === null) this.#first = entry;
    else earlier.later = entry;
    if (later === null) this.#last = entry;
    else later.earlier = entry;
    if (this.#timer === null || entry.expiresAtMs < this.#dueAtMs) this.#wakeAt(entry.expiresAtMs, nowMs);
  }

  remove(entry: Expiring): void {
    if (entry.queue !== this) return;
    if (entry.earlier === null) this.#first = entry.later;
    else entry.earlier.later = entry.later;
    if (entry.later === null) this.#last = entry.earlier;
    else entry.later.earlier = entry.earlier;
    entry.queue = null;
    entry.earlier = null;
    entry.later = null;
  }

  #expire(): void {
    this.#timer = null;
    const nowMs = this.#clock.monotonicMs();
    for (let first = this.#first; first !== null && first.expiresAtMs <= nowMs; first = this.#first) {
      this.remove(first);
      first.onExpired();
    }
    if (this.#first !== null && this.#timer === null) this.#wakeAt(this.#first.expiresAtMs, nowMs);
  }

  #wakeAt(atMs: number, nowMs: number): void {
    this.#timer?.cancel();
    this.#dueAtMs = atMs;
    this.#timer = startDeadline(Math.max(1, Math.ceil(atMs - nowMs)), this.#sweep); // timers fire up to 1 ms early
  }
}

/** One queue per length of deadline. */
export class DeadlineQueues {
  readonly #byDelay = new Map<number, DeadlineQueue>();
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  of(delayMs: number): DeadlineQueue {
    let queue = this.#byDelay.get(delayMs);
    if (queue === undefined) {
      queue = new DeadlineQueue(delayMs, this.#clock);
      this.#byDelay.set(delayMs, queue);
    }
    return queue;
  }
}
