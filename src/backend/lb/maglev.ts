// hot path: pick() alone.
import type { Endpoint } from '../contract.ts';
import type { Balancer, Candidate } from './balancer.ts';
import { firstFrom, mayServe } from './candidates.ts';
import { hashOf, mixed, NO_HASH, randomHash } from './hash.ts';

/**
 * Consistent hashing by a table (Eisenbud et al., "Maglev", NSDI 2016, section 3.4): each endpoint claims slots in an order of its own, in turn,
 * until the table is full. One look-up finds the endpoint, and one that is configured away moves few of the others' slots. What is
 * only down for now stays in the table: its requests are hashed again, and nobody else's move.
 */
export class Maglev<C extends Candidate> implements Balancer<C> {
  readonly #endpoints: readonly C[];
  readonly #random: () => number;
  /** Indexes of endpoints; empty when no endpoint has a weight. */
  readonly #table: Uint32Array;

  constructor(endpoints: readonly C[], random: () => number) {
    this.#endpoints = endpoints;
    this.#random = random;
    this.#table = maglevTable(endpoints);
  }

  pick(tried: readonly Endpoint[], hash: number, ignoresHealth: boolean): C | null {
    const table = this.#table;
    if (table.length === 0) return null;
    const first = hash === NO_HASH ? randomHash(this.#random) : hash;
    let slot = first;
    for (let i = 0; i < MAX_LOOKUPS; i++) {
      const candidate = this.#endpoints[table[slot % TABLE_SIZE]!]!;
      if (!candidate.isFailing && mayServe(candidate, tried, ignoresHealth)) return candidate;
      slot = mixed(slot + 1);
    }
    return firstFrom(this.#endpoints, table[first % TABLE_SIZE]!, tried, ignoresHealth);
  }
}

function maglevTable(endpoints: readonly Candidate[]): Uint32Array {
  const heaviest = endpoints.reduce((most, { weight }) => Math.max(most, weight), 0);
  if (heaviest === 0) return new Uint32Array(0);
  const table = new Uint32Array(TABLE_SIZE).fill(FREE);
  const next = endpoints.map(({ name }) => hashOf(name, 1) % TABLE_SIZE);
  const skip = endpoints.map(({ name }) => (hashOf(name, 2) % (TABLE_SIZE - 1)) + 1);
  const turns = new Float64Array(endpoints.length);
  for (let claimed = 0; ; ) {
    for (let i = 0; i < endpoints.length; i++) {
      // The heaviest claims in every round, the others in as many as their share of it.
      turns[i]! += endpoints[i]!.weight / heaviest;
      if (turns[i]! < 1) continue;
      turns[i]! -= 1;
      while (table[next[i]!] !== FREE) next[i] = (next[i]! + skip[i]!) % TABLE_SIZE;
      table[next[i]!] = i;
      if (++claimed === TABLE_SIZE) return table;
    }
  }
}

const TABLE_SIZE = 65_537; // a prime, as the paper's section 5.3 has it: 100 slots and more for each of 600 endpoints
const FREE = 0xffff_ffff;
const MAX_LOOKUPS = 16;
