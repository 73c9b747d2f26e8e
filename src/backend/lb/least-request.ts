// hot path
import type { Endpoint } from '../contract.ts';
import type { Balancer, Candidate } from './balancer.ts';
import { drawUsable } from './random-choice.ts';
import { WeightedDraw } from './weighted-draw.ts';

/**
 * The less loaded of two that are drawn at random (power of two choices): nearly as even as the least loaded of all, and many proxies that
 * know nothing of each other do not all run to the same one. Load counts in proportion to weight.
 */
export class LeastRequest<C extends Candidate> implements Balancer<C> {
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
    const first = drawUsable(this.#endpoints, this.#draw, tried, ignoresHealth);
    if (first === null) return null;
    for (let i = 0; i < MAX_DRAWS; i++) {
      const second = drawUsable(this.#endpoints, this.#draw, tried, ignoresHealth)!;
      if (second === first) continue;
      if (second.isFailing !== first.isFailing) return first.isFailing ? second : first;
      // Of two that are equal the first stays: it was drawn by weight.
      return second.load * first.weight < first.load * second.weight ? second : first;
    }
    return first; // the only one, or nearly
  }
}

const MAX_DRAWS = 4; // of two, one draw in sixteen has no second
