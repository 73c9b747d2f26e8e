import type { Member } from '#src/backend/lb/fleet.ts';
import { Conduct, type Suspect } from '#src/backend/lb/outlier-detection.ts';

/** An endpoint whose state a test sets by hand. */
export class TestEndpoint implements Member, Suspect {
  readonly name: string;
  readonly address: string;
  readonly port = 80;
  readonly weight: number;
  readonly conduct = new Conduct();
  isHealthy = true;
  isFailing = false;
  isDrained = false;
  load = 0;

  constructor(address: string, weight = 1) {
    this.name = `${address}:80`;
    this.address = address;
    this.weight = weight;
  }

  get isWell(): boolean {
    return this.isHealthy && !this.conduct.isEjected;
  }
}

export function endpoints(count: number, weightOf: (index: number) => number = () => 1): TestEndpoint[] {
  return Array.from(
    { length: count },
    (_, index) => new TestEndpoint(`10.0.${index >> 8}.${index & 255}`, weightOf(index)),
  );
}

/** The same numbers from 0 to 1 for the same seed (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
