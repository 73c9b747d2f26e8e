import type { Verdict } from './verdict.ts';
import { type VerifyRequest, verify } from './verify.ts';

interface Entry {
  readonly verdict: Verdict;
  /** Wall milliseconds; of no use afterwards. */
  readonly untilMs: number;
}

/**
 * Verdicts on byte-identical questions: same chain, same trust, names and purpose. A positive one ends with the earliest notAfter of
 * its path, or nextUpdate of its CRLs; a negative one after a second (security rule 29). A wall clock that steps back by more than a minute clears everything,
 * because a verdict from the other side of the step says nothing about now (security rule 16). Bounded in entries and bytes; the oldest
 * use goes first.
 */
export class VerdictCache {
  readonly #maxEntries: number;
  readonly #verify: (request: VerifyRequest) => Verdict;
  readonly #entries = new Map<string, Entry>();
  #keyBytes = 0;
  #latestMs = Number.NEGATIVE_INFINITY;

  constructor(maxEntries = MAX_ENTRIES, judge: (request: VerifyRequest) => Verdict = verify) {
    this.#maxEntries = maxEntries;
    this.#verify = judge;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Like `verify`, from memory where that is allowed. */
  verify(request: VerifyRequest): Verdict {
    const { atMs } = request;
    if (atMs < this.#latestMs - MAX_STEP_BACK_MS) this.clear();
    if (atMs > this.#latestMs) this.#latestMs = atMs;
    const key = keyOf(request);
    const known = this.#entries.get(key);
    if (known !== undefined) {
      this.#drop(key);
      if (atMs <= known.untilMs) {
        this.#keep(key, known); // to the young end
        return known.verdict;
      }
    }
    const verdict = this.#verify(request);
    this.#keep(key, { verdict, untilMs: verdict.ok ? verdict.notAfterMs : atMs + NEGATIVE_LIFETIME_MS });
    while (this.#entries.size > this.#maxEntries || this.#keyBytes > MAX_KEY_BYTES) {
      this.#drop(this.#entries.keys().next().value!);
    }
    return verdict;
  }

  clear(): void {
    this.#entries.clear();
    this.#keyBytes = 0;
    this.#latestMs = Number.NEGATIVE_INFINITY;
  }

  #keep(key: string, entry: Entry): void {
    this.#entries.set(key, entry);
    this.#keyBytes += key.length;
  }

  #drop(key: string): void {
    this.#entries.delete(key);
    this.#keyBytes -= key.length;
  }
}

/**
 * Everything that a verdict depends on besides the time, as a text: the chain itself and no digest of it, which would cost more than
 * all the rest.
 */
function keyOf({ chain, store, purpose, names, policy, proof, revocation }: VerifyRequest): string {
  const sizes: number[] = [];
  for (const der of chain) sizes.push(der.length);
  let key = JSON.stringify([
    store.digest,
    purpose,
    names.dnsNames,
    names.uris,
    policy,
    proof,
    revocation?.digest,
    sizes,
  ]);
  for (const der of chain) key += latin1(der);
  return key;
}

function latin1(bytes: Uint8Array): string {
  const buffer = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return buffer.toString('latin1');
}

const MAX_ENTRIES = 1024; // one per certificate that a backend serves
const MAX_KEY_BYTES = 4 * 1024 * 1024; // 1024 chains of 4 KiB; of a hostile peer's 16 KiB fewer
const MAX_STEP_BACK_MS = 60_000; // security rule 16
const NEGATIVE_LIFETIME_MS = 1000; // security rule 29
