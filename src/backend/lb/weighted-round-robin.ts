// hot path
import type { Endpoint } from '../contract.ts';
import type { Balancer, Candidate } from './balancer.ts';
import { mayServe } from './candidates.ts';

/**
 * One after the other, each as often as its weight says, evenly spread: each turn everybody who may serve earns its weight, the richest
 * serves and pays what all have earned.
 */
export class WeightedRoundRobin<C extends Candidate> implements Balancer<C> {
  readonly #endpoints: readonly C[];
  readonly #credit: Float64Array;

  constructor(endpoints: readonly C[]) {
    this.#endpoints = endpoints;
    this.#credit = new Float64Array(endpoints.length);
  }

  pick(tried: readonly Endpoint[], _hash: number, ignoresHealth: boolean): C | null {
    return this.#richest(tried, ignoresHealth, false) ?? this.#richest(tried, ignoresHealth, true);
  }

  #richest(tried: readonly Endpoint[], ignoresHealth: boolean, isFailing: boolean): C | null {
    const endpoints = this.#endpoints;
    const credit = this.#credit;
    let earned = 0;
    let richest = -1;
    for (let i = 0; i < endpoints.length; i++) {
      const candidate = endpoints[i]!;
      if (candidate.isFailing !== isFailing || !mayServe(candidate, tried, ignoresHealth)) continue;
      credit[i]! += candidate.weight;
      earned += candidate.weight;
      if (richest === -1 || credit[i]! > credit[richest]!) richest = i;
    }
    if (richest === -1) return null;
    credit[richest]! -= earned;
    return endpoints[richest]!;
  }
}
