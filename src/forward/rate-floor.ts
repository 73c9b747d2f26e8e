// hot path: entries are added and removed per exchange with a body; nothing runs per chunk.
import type { Clock } from '../base/clock.ts';
import { type Deadline, startDeadline } from '../base/deadline.ts';

/** `sallyport.limits`: below this rate, for this long, a body is cut (security rule 32). */
export interface BodyRateLimits {
  readonly minBodyBytesPerSec: number;
  readonly minBodyRateWindowSec: number;
}

/** Who holds a body up: the one who is to send it, or to take it. */
export type Debtor = 'client' | 'backend';

export interface BodyOwner {
  /** Once per body. */
  onTooSlow(debtor: Debtor, detail: string): void;
}

/**
 * One direction of an exchange. A body that nobody waits for has no debtor: a server that has nothing to say on an open stream
 * owes nothing, however long it is silent.
 */
export abstract class MeteredBody {
  windowDebtor: Debtor | null = null;
  windowStartMs = 0;
  windowStartBytes = 0;
  floor: RateFloor | null = null;
  readonly owner: BodyOwner;

  constructor(owner: BodyOwner) {
    this.owner = owner;
  }

  abstract readonly debtor: Debtor | null;
  /** Never going back; what waits in a buffer of ours has not moved. */
  abstract readonly movedBytes: number;

  unmeter(): void {
    this.floor?.remove(this);
  }
}

/**
 * Looks at every body that is watched a few times per window. A window begins when somebody begins to owe, and anew when enough has
 * moved in it; one that has run out is the end. So a body is cut between one window and two after it fell below the rate.
 * What moved is counted as the socket takes it, in steps of up to a chunk (64 KiB) and the kernel's buffer.
 */
export class RateFloor {
  readonly #windowMs: number;
  readonly #bytesPerWindow: number;
  readonly #sweepMs: number;
  readonly #detail: string;
  readonly #clock: Clock;
  readonly #bodies = new Set<MeteredBody>();
  #timer: Deadline | null = null;
  #dueAtMs = 0;
  readonly #sweep = () => this.#sweepAll();

  constructor({ minBodyBytesPerSec, minBodyRateWindowSec }: BodyRateLimits, clock: Clock) {
    this.#windowMs = minBodyRateWindowSec * 1000;
    this.#bytesPerWindow = minBodyBytesPerSec * minBodyRateWindowSec;
    this.#sweepMs = Math.min(this.#windowMs / SWEEPS_PER_WINDOW, LONGEST_SWEEP_MS);
    this.#detail = `a body moved less than ${minBodyBytesPerSec} B/s for ${minBodyRateWindowSec} s`;
    this.#clock = clock;
  }

  watch(body: MeteredBody): void {
    body.floor = this;
    body.windowDebtor = null;
    this.#bodies.add(body);
    if (this.#timer === null) this.#startTimer();
  }

  remove(body: MeteredBody): void {
    body.floor = null;
    this.#bodies.delete(body);
  }

  #sweepAll(): void {
    this.#timer = null;
    const nowMs = this.#clock.monotonicMs();
    // After a stall of this process, what came meanwhile is still unread: nobody is judged by it.
    const isLate = nowMs - this.#dueAtMs > this.#sweepMs;
    for (const body of this.#bodies) {
      const { debtor, movedBytes } = body;
      if (debtor === null) {
        body.windowDebtor = null;
      } else if (debtor !== body.windowDebtor || movedBytes - body.windowStartBytes >= this.#bytesPerWindow) {
        body.windowDebtor = debtor;
        body.windowStartMs = nowMs;
        body.windowStartBytes = movedBytes;
      } else if (nowMs - body.windowStartMs >= this.#windowMs && !isLate) {
        this.remove(body);
        body.owner.onTooSlow(debtor, this.#detail);
      }
    }
    if (this.#bodies.size > 0 && this.#timer === null) this.#startTimer();
  }

  #startTimer(): void {
    this.#dueAtMs = this.#clock.monotonicMs() + this.#sweepMs;
    this.#timer = startDeadline(this.#sweepMs, this.#sweep);
  }
}

const SWEEPS_PER_WINDOW = 10;
const LONGEST_SWEEP_MS = 5000; // of a long window too, so that a debt which ended in between is seen
