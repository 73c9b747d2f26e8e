// hot path
import type { Endpoint } from '../contract.ts';
import type { Balancer, Candidate } from './balancer.ts';
import { firstFrom, mayServe } from './candidates.ts';
import { WeightedDraw } from './weighted-draw.ts';

/** Any of them, by weight. */
export class RandomChoice<C extends Candidate> implements Balancer<C> {
  readonly #endpoints: readonly C[];
  readonly #draw: WeightedDraw;

  constructor(endpoints: readonly C[], random: () => number) {
    this.#endpoints = endpoints;
    this.#draw = new WeightedDraw(
      endpoints.map(({ weight }) => weight),
      random,
    );
  }

  pick(tried: readonly Endpoint[], _hash: number, ignoresHealth: boolean): C | null {
    return drawUsable(this.#endpoints, this.#draw, tried, ignoresHealth);
  }
}

/** Draws until one may serve; after MAX_DRAWS the first from there on that may. */
export function drawUsable<C extends Candidate>(
  endpoints: readonly C[],
  draw: WeightedDraw,
  tried: readonly Endpoint[],
  ignoresHealth: boolean,
): C | null {
  let at = -1;
  for (let i = 0; i < MAX_DRAWS; i++) {
    at = draw.draw();
    if (at === -1) return null;
    const candidate = endpoints[at]!;
    if (!candidate.isFailing && mayServe(candidate, tried, ignoresHealth)) return candidate;
  }
  return firstFrom(endpoints, at, tried, ignoresHealth);
}

const MAX_DRAWS = 16; // with half of the endpoints down, one request in 65,536 is not drawn
