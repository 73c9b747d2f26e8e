import type { Clock } from '../base/clock.ts';
import type { Misprediction } from '../tls/misprediction.ts';
import type { Log } from './log.ts';

/** Says once per proxy and kind, and again after WINDOW_MS, that OpenSSL was predicted wrongly; the counter has them all. */
export class MispredictionLog {
  readonly #log: Log;
  readonly #clock: Clock;
  /** By proxy and kind: as many as there are proxies, times four. */
  readonly #nextAtMs = new Map<string, number>();

  constructor(log: Log, clock: Clock) {
    this.#log = log;
    this.#clock = clock;
  }

  /** `offer`: the hello in the form that `explain` reads; asked for only when a line is written. */
  add(targetProxy: string, { kind, predicted, found }: Misprediction, offer: () => string | null): void {
    const key = `${kind} ${targetProxy}`;
    const nowMs = this.#clock.monotonicMs();
    if (nowMs < (this.#nextAtMs.get(key) ?? Number.NEGATIVE_INFINITY)) return;
    this.#nextAtMs.set(key, nowMs + WINDOW_MS);
    this.#log.warn('a TLS handshake did not end as predicted: please report this line', {
      targetProxy,
      kind,
      predicted,
      found,
      offer: offer(),
    });
  }
}

const WINDOW_MS = 3_600_000; // a defect stays one until somebody reads about it; hourly is enough to be found
