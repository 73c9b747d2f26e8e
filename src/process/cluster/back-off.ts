/** How long to wait before the next attempt to start a worker: doubles from 200 ms to 30 s, and begins anew after a healthy minute. */
export class BackOff {
  #failures = 0;

  /** `ranMs`: how long the one that ended had run. */
  nextDelayMs(ranMs: number): number {
    if (ranMs >= HEALTHY_MS) this.#failures = 0;
    const delayMs = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** this.#failures);
    this.#failures++;
    return delayMs;
  }

  /** Something has changed: the next attempt may go better. */
  reset(): void {
    this.#failures = 0;
  }
}

const FIRST_DELAY_MS = 200; // a worker takes about as long to start
const LONGEST_DELAY_MS = 30_000;
const HEALTHY_MS = 60_000;
