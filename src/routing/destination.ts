// hot path: choose() runs once per request.
import type { Route } from './route.ts';

/** A number from 0 to below 1, as Math.random() gives one; tests inject theirs. */
export type RandomSource = () => number;

/** What a rule leads to: one route, or one of several by weight. */
export class Destination<Service> {
  /** null: there is a choice. */
  readonly #only: Route<Service> | null;
  readonly #routes: readonly Route<Service>[];
  /** The sums of the weights up to each route. */
  readonly #sums: readonly number[];
  readonly #random: RandomSource;

  /** `weights`: one for each route; those that weigh nothing are never chosen. */
  constructor(routes: readonly Route<Service>[], weights: readonly number[], random: RandomSource) {
    const weighing = routes.filter((_, index) => (weights[index] ?? 0) > 0);
    const sums: number[] = [];
    for (const weight of weights) if (weight > 0) sums.push((sums.at(-1) ?? 0) + weight);
    this.#routes = weighing;
    this.#sums = sums;
    this.#only = weighing.length === 1 ? weighing[0]! : null;
    this.#random = random;
  }

  choose(): Route<Service> {
    if (this.#only !== null) return this.#only;
    const sums = this.#sums;
    const last = sums.length - 1;
    const point = this.#random() * sums[last]!;
    for (let i = 0; i < last; i++) if (point < sums[i]!) return this.#routes[i]!;
    return this.#routes[last]!;
  }

  /** How often each of `routes` is chosen, 0 to 1. */
  get shares(): readonly number[] {
    const sums = this.#sums;
    return sums.map((sum, index) => (sum - (sums[index - 1] ?? 0)) / sums.at(-1)!);
  }

  /** Every route that can be chosen, in the order of the rule. */
  get routes(): readonly Route<Service>[] {
    return this.#routes;
  }
}
