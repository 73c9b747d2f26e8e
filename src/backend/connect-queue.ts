import type { Clock } from '../base/clock.ts';
import { type Deadline, startDeadline } from '../base/deadline.ts';
import { ConnectGate } from './connect-gate.ts';

/**
 * The attempts to connect of one pool: one for each connection that those who wait want, as the gate allows, and again once it does.
 * Its pool says of each attempt how it ended, before anything else is done about it.
 */
export class ConnectQueue {
  readonly #gate: ConnectGate;
  readonly #isWanted: () => boolean;
  readonly #dial: () => void;
  #underWay = 0;
  /** Until the gate allows the next attempt. */
  #next: Deadline | null = null;

  /** `isWanted`: one more attempt is needed and allowed; `dial` begins it. */
  constructor(clock: Clock, isWanted: () => boolean, dial: () => void) {
    this.#gate = new ConnectGate(clock);
    this.#isWanted = isWanted;
    this.#dial = dial;
  }

  /** Attempts that have not ended. */
  get underWay(): number {
    return this.#underWay;
  }

  get isFailing(): boolean {
    return this.#gate.isFailing;
  }

  /** Dials while that is wanted and may be. */
  dialWanted(): void {
    while (this.#isWanted()) {
      const waitMs = this.#gate.waitMs(this.#underWay);
      if (waitMs > 0) {
        if (waitMs !== Number.POSITIVE_INFINITY) this.#dialLater(waitMs);
        return;
      }
      this.#underWay++;
      this.#dial();
    }
  }

  succeeded(): void {
    this.#underWay--;
    this.#gate.succeeded();
  }

  failed(): void {
    this.#underWay--;
    this.#gate.failed();
  }

  /** A connection that was made is refused after all (TLS 1.3: our certificate): its attempt counts as failed. */
  refusedLate(): void {
    this.#gate.failed();
  }

  #dialLater(waitMs: number): void {
    if (this.#next !== null) return;
    this.#next = startDeadline(waitMs, () => {
      this.#next = null;
      this.dialWanted();
    });
  }
}
