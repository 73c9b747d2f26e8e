// hot path where outlierDetection is configured: record() runs once per attempt.
import type { Clock } from '../../base/clock.ts';
import { type Deadline, startDeadline } from '../../base/deadline.ts';
import type { LinkedOutlierDetection } from '../../config/linked.ts';
import type { EjectionCause } from '../events.ts';
import type { Candidate } from './balancer.ts';

/** How an attempt went: 'gateway': 502, 503, 504, or no answer at all; 'error': another 5xx. */
export type AttemptOutcome = 'success' | 'error' | 'gateway';

/** What is remembered of an endpoint. Outlives a reload that keeps the endpoint. */
export class Conduct {
  consecutiveErrors = 0;
  consecutiveGatewayFailures = 0;
  /** Since the last sweep. */
  requests = 0;
  successes = 0;
  /** How often its ejection is multiplied; each sweep without one takes one off. */
  ejections = 0;
  ejectedUntilMs = 0;
  isEjected = false;
}

export interface Suspect extends Candidate {
  readonly conduct: Conduct;
}

export interface OutlierDetectionOptions {
  readonly settings: LinkedOutlierDetection;
  readonly clock: Clock;
  readonly random: () => number;
  readonly endpoints: () => readonly Suspect[];
  /** `cause` null: it is back. */
  readonly onEjection: (endpoint: Suspect, cause: EjectionCause | null, forMs: number) => void;
}

/**
 * Takes endpoints out that answer badly although they may be healthy (spec 3.5): after so many errors in a row, or when their success rate falls
 * below the others' by so many standard deviations. They come back after baseEjectionTime times the number of their ejections.
 * At most maxEjectionPercent of them are out, one if that is less than one, and never the last that is well.
 */
export class OutlierDetection {
  readonly #options: OutlierDetectionOptions;
  #timer: Deadline | null = null;
  #isStopped = false;

  constructor(options: OutlierDetectionOptions) {
    this.#options = options;
  }

  start(): void {
    if (this.#timer !== null || this.#isStopped) return;
    this.#timer = startDeadline(this.#options.settings.intervalMs, () => {
      this.#timer = null;
      this.sweep();
      this.start();
    });
  }

  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
  }

  record(endpoint: Suspect, outcome: AttemptOutcome): void {
    const { conduct } = endpoint;
    conduct.requests++;
    if (outcome === 'success') {
      conduct.successes++;
      conduct.consecutiveErrors = 0;
      conduct.consecutiveGatewayFailures = 0;
      return;
    }
    const { settings } = this.#options;
    conduct.consecutiveErrors++;
    conduct.consecutiveGatewayFailures = outcome === 'gateway' ? conduct.consecutiveGatewayFailures + 1 : 0;
    if (conduct.consecutiveGatewayFailures >= settings.consecutiveGatewayFailure) {
      conduct.consecutiveGatewayFailures = 0;
      this.#eject(endpoint, 'consecutive-gateway-failures', settings.enforcingConsecutiveGatewayFailure);
    }
    if (conduct.consecutiveErrors >= settings.consecutiveErrors) {
      conduct.consecutiveErrors = 0;
      this.#eject(endpoint, 'consecutive-errors', settings.enforcingConsecutiveErrors);
    }
  }

  /** Every interval: who may come back, and whose success rate is too low. */
  sweep(): void {
    const { clock, endpoints, onEjection } = this.#options;
    const nowMs = clock.monotonicMs();
    for (const endpoint of endpoints()) {
      const { conduct } = endpoint;
      if (!conduct.isEjected) {
        if (conduct.ejections > 0) conduct.ejections--;
      } else if (nowMs >= conduct.ejectedUntilMs) {
        conduct.isEjected = false;
        conduct.consecutiveErrors = 0;
        conduct.consecutiveGatewayFailures = 0;
        onEjection(endpoint, null, 0);
      }
    }
    this.#judgeSuccessRates();
  }

  #judgeSuccessRates(): void {
    const { settings, endpoints } = this.#options;
    const judged: { readonly endpoint: Suspect; readonly rate: number }[] = [];
    for (const endpoint of endpoints()) {
      const { conduct } = endpoint;
      if (!conduct.isEjected && conduct.requests >= settings.successRateRequestVolume)
        judged.push({ endpoint, rate: conduct.successes / conduct.requests });
      conduct.requests = 0;
      conduct.successes = 0;
    }
    if (judged.length < settings.successRateMinimumHosts) return;
    const mean = judged.reduce((sum, { rate }) => sum + rate, 0) / judged.length;
    const variance = judged.reduce((sum, { rate }) => sum + (rate - mean) ** 2, 0) / judged.length;
    const lowest = mean - (settings.successRateStdevFactor / 1000) * Math.sqrt(variance);
    for (const { endpoint, rate } of judged)
      if (rate < lowest) this.#eject(endpoint, 'success-rate', settings.enforcingSuccessRate);
  }

  #eject(endpoint: Suspect, cause: EjectionCause, enforcingPercent: number): void {
    const { conduct } = endpoint;
    const { settings, clock, random, onEjection } = this.#options;
    if (conduct.isEjected || random() * 100 >= enforcingPercent || !this.#mayEject(endpoint)) return;
    conduct.isEjected = true;
    conduct.ejections++;
    const forMs = settings.baseEjectionTimeMs * conduct.ejections;
    conduct.ejectedUntilMs = clock.monotonicMs() + forMs;
    onEjection(endpoint, cause, forMs);
  }

  #mayEject(endpoint: Suspect): boolean {
    const { settings, endpoints } = this.#options;
    if (settings.maxEjectionPercent === 0) return false;
    let serving = 0;
    let ejected = 0;
    let othersWell = 0;
    for (const other of endpoints()) {
      if (other.weight === 0) continue;
      serving++;
      if (other.conduct.isEjected) ejected++;
      if (other !== endpoint && other.isWell) othersWell++;
    }
    const most = Math.max(1, Math.floor((serving * settings.maxEjectionPercent) / 100));
    return ejected < most && othersWell > 0;
  }
}
