// hot path: for every handshake and every response.

export interface TurnTaker {
  onTurn(): void;
}

/** Who has something left to do when all of the round have had their turn. */
export interface LateTaker {
  afterTurn(): void;
}

/**
 * Whoever became ready in one round of the event loop has its turn at the end of that round, one behind the other. Under load
 * dozens become ready in a round; with everything else that is done for each between them, every one would find its code gone
 * from the CPU's caches (docs/decisions/0012).
 */
export class Turn {
  #takers: TurnTaker[] = [];
  #after: LateTaker[] = [];
  readonly #run = () => this.#giveTurns();

  /** Whoever is in it already must not be added again. */
  add(taker: TurnTaker): void {
    if (this.#takers.push(taker) === 1) setImmediate(this.#run);
  }

  /** From within a turn only: in the same round, behind all turns. */
  addAfter(taker: LateTaker): void {
    this.#after.push(taker);
  }

  #giveTurns(): void {
    const takers = this.#takers;
    this.#takers = []; // who comes from now on has its turn in the next round
    for (let i = 0; i < takers.length; i++) takers[i]!.onTurn();
    if (this.#after.length === 0) return;
    const after = this.#after;
    this.#after = [];
    for (let i = 0; i < after.length; i++) after[i]!.afterTurn();
  }
}
