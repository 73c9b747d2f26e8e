// hot path
import type { Endpoint } from '../contract.ts';
import type { Balancer, Candidate } from './balancer.ts';
import { mayServe } from './candidates.ts';

/** One after the other, all with the same share. */
export class RoundRobin<C extends Candidate> implements Balancer<C> {
  readonly #endpoints: readonly C[];
  #next = 0;

  constructor(endpoints: readonly C[]) {
    this.#endpoints = endpoints;
  }

  pick(tried: readonly Endpoint[], _hash: number, ignoresHealth: boolean): C | null {
    const endpoints = this.#endpoints;
    let failing: C | null = null;
    for (let i = 0; i < endpoints.length; i++) {
      const candidate = endpoints[this.#next]!;
      this.#next = (this.#next + 1) % endpoints.length;
      if (!mayServe(candidate, tried, ignoresHealth)) continue;
      if (!candidate.isFailing) return candidate;
      failing ??= candidate;
    }
    return failing;
  }
}
