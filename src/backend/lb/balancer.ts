// hot path: pick() runs once per attempt.
import type { LinkedBalancing } from '../../config/linked.ts';
import type { Endpoint } from '../contract.ts';
import { LeastRequest } from './least-request.ts';
import { Maglev } from './maglev.ts';
import { RandomChoice } from './random-choice.ts';
import { RingHash } from './ring-hash.ts';
import { RoundRobin } from './round-robin.ts';
import { WeightedRoundRobin } from './weighted-round-robin.ts';

/** What a policy knows of an endpoint. */
export interface Candidate extends Endpoint {
  /** Its share beside the others; 0: drained, gets nothing new. */
  readonly weight: number;
  /** Neither unhealthy nor ejected. */
  readonly isWell: boolean;
  /** Its last connection failed, and none has succeeded since: others are to be preferred. */
  readonly isFailing: boolean;
  /** Exchanges under way or waiting. */
  readonly load: number;
}

/** A localityLbPolicy over a set of endpoints that does not change. */
export interface Balancer<C extends Candidate> {
  /**
   * One that has a weight, is well (unless `ignoresHealth`) and not in `tried`; those that are failing only when no other is left.
   * `hash`: of what the requester is bound by, 32 bits without sign; NO_HASH: nothing binds it.
   */
  pick(tried: readonly Endpoint[], hash: number, ignoresHealth: boolean): C | null;
}

/** `random`: from 0 (inclusive) to 1; tests give a seeded one. */
export function createBalancer<C extends Candidate>(
  { policy, minimumRingSize }: Pick<LinkedBalancing, 'policy' | 'minimumRingSize'>,
  endpoints: readonly C[],
  random: () => number,
): Balancer<C> {
  switch (policy) {
    case 'ROUND_ROBIN':
      return hasEqualShares(endpoints) ? new RoundRobin(endpoints) : new WeightedRoundRobin(endpoints);
    case 'LEAST_REQUEST':
      return new LeastRequest(endpoints, random);
    case 'RANDOM':
      return new RandomChoice(endpoints, random);
    case 'RING_HASH':
      return new RingHash(endpoints, random, minimumRingSize);
    case 'MAGLEV':
      return new Maglev(endpoints, random);
  }
}

/** Drained ones aside. */
function hasEqualShares(endpoints: readonly Candidate[]): boolean {
  const serving = endpoints.filter(({ weight }) => weight > 0);
  return serving.every(({ weight }) => weight === serving[0]!.weight);
}
