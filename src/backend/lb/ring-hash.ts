// hot path: pick() alone.
import type { Endpoint } from '../contract.ts';
import type { Balancer, Candidate } from './balancer.ts';
import { firstFrom, mayServe } from './candidates.ts';
import { hashOf, NO_HASH, randomHash } from './hash.ts';

/**
 * Consistent hashing: each endpoint has points on a ring, as many as its share, and serves what lies before them. An endpoint that
 * leaves gives its part to those that come next; all others keep theirs.
 */
export class RingHash<C extends Candidate> implements Balancer<C> {
  readonly #endpoints: readonly C[];
  readonly #random: () => number;
  /** Ascending, and beside each the index of its endpoint. */
  readonly #points: Uint32Array;
  readonly #owners: Uint32Array;

  constructor(endpoints: readonly C[], random: () => number, minimumRingSize: number) {
    this.#endpoints = endpoints;
    this.#random = random;
    const points = ringPoints(endpoints, minimumRingSize);
    this.#points = Uint32Array.from(points, (point) => Math.floor(point / MAX_OWNERS));
    this.#owners = Uint32Array.from(points, (point) => point % MAX_OWNERS);
  }

  pick(tried: readonly Endpoint[], hash: number, ignoresHealth: boolean): C | null {
    const owners = this.#owners;
    if (owners.length === 0) return null;
    const start = this.#firstAtOrAfter(hash === NO_HASH ? randomHash(this.#random) : hash);
    const steps = Math.min(owners.length, LONGEST_WALK);
    for (let i = 0; i < steps; i++) {
      const candidate = this.#endpoints[owners[(start + i) % owners.length]!]!;
      if (!candidate.isFailing && mayServe(candidate, tried, ignoresHealth)) return candidate;
    }
    return firstFrom(this.#endpoints, owners[start]!, tried, ignoresHealth);
  }

  #firstAtOrAfter(hash: number): number {
    const points = this.#points;
    let low = 0;
    let high = points.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (points[middle]! < hash) low = middle + 1;
      else high = middle;
    }
    return low === points.length ? 0 : low;
  }
}

/**
 * Sorted; each the point times MAX_OWNERS plus the index of its owner. At least `minimumRingSize`, and up to twice as many: points for a weight
 * of 1 are a power of two, or each endpoint that comes or goes would change how many all the others have, and move their requests.
 */
function ringPoints(endpoints: readonly Candidate[], minimumRingSize: number): Float64Array {
  const total = endpoints.reduce((sum, { weight }) => sum + weight, 0);
  const pointsPerWeight = 2 ** Math.ceil(Math.log2(minimumRingSize / total));
  const points: number[] = [];
  for (const [index, { name, weight }] of endpoints.entries()) {
    if (weight === 0) continue;
    const count = Math.max(1, Math.round(weight * pointsPerWeight));
    for (let i = 0; i < count; i++) points.push(hashOf(name, i + 1) * MAX_OWNERS + index);
  }
  return Float64Array.from(points).sort();
}

const MAX_OWNERS = 2 ** 20; // with 32 bits of point it is exact in a double
const LONGEST_WALK = 256; // when most endpoints are down, a request must not read a whole ring
