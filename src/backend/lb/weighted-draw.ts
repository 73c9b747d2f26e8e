// hot path

/** Draws indexes at random, each with a probability that is proportional to its weight. */
export class WeightedDraw {
  /** Of all weights up to and including this one. */
  readonly #sums: Float64Array;
  readonly #random: () => number;

  constructor(weights: readonly number[], random: () => number) {
    this.#random = random;
    this.#sums = new Float64Array(weights.length);
    let sum = 0;
    for (const [index, weight] of weights.entries()) {
      sum += weight;
      this.#sums[index] = sum;
    }
  }

  /** -1 when no weight is above 0. */
  draw(): number {
    const sums = this.#sums;
    const total = sums.length === 0 ? 0 : sums[sums.length - 1]!;
    if (total === 0) return -1;
    const at = this.#random() * total;
    let low = 0;
    let high = sums.length - 1;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (sums[middle]! > at) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}
