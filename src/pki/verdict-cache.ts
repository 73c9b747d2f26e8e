import { hash } from 'node:crypto';
import type { Verdict } from './verdict.ts';
import { type VerifyRequest, verify } from './verify.ts';

interface Entry {
  readonly verdict: Verdict;
  /** Wall milliseconds; of no use afterwards. */
  readonly untilMs: number;
}

/**
 * Verdicts on byte-identical questions: same chain, same trust, names and purpose. A positive one ends with the earliest notAfter of
 * its path; a negative one after a second (security rule 29). A wall clock that steps back by more than a minute clears everything,
 * because a verdict from the other side of the step says nothing about now (security rule 16). Bounded; the oldest use goes first.
 */
export class VerdictCache {
  readonly #maxEntries: number;
  readonly #verify: (request: VerifyRequest) => Verdict;
  readonly #entries = new Map<string, Entry>();
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
      this.#entries.delete(key);
      if (atMs <= known.untilMs) {
        this.#entries.set(key, known); // to the young end
        return known.verdict;
      }
    }
    const verdict = this.#verify(request);
    this.#entries.set(key, { verdict, untilMs: verdict.ok ? verdict.notAfterMs : atMs + NEGATIVE_LIFETIME_MS });
    if (this.#entries.size > this.#maxEntries) this.#entries.delete(this.#entries.keys().next().value!);
    return verdict;
  }

  clear(): void {
    this.#entries.clear();
    this.#latestMs = Number.NEGATIVE_INFINITY;
  }
}

/** SHA-256 over everything that a verdict depends on besides the time, each part with its length. */
function keyOf({ chain, store, purpose, names, policy, proof }: VerifyRequest): string {
  const question = JSON.stringify([store.digest, purpose, names.dnsNames, names.uris, policy, proof]);
  let size = 4 + question.length * 3; // UTF-8 takes at most three bytes per UTF-16 unit
  for (const der of chain) size += 4 + der.length;
  const bytes = Buffer.allocUnsafe(size);
  const written = bytes.write(question, 4);
  bytes.writeUInt32BE(written, 0);
  let at = 4 + written;
  for (const der of chain) {
    bytes.writeUInt32BE(der.length, at);
    bytes.set(der, at + 4);
    at += 4 + der.length;
  }
  return hash('sha256', bytes.subarray(0, at), 'base64');
}

const MAX_ENTRIES = 1024; // about 1 kB each; one entry per certificate that a backend serves
const MAX_STEP_BACK_MS = 60_000; // security rule 16
const NEGATIVE_LIFETIME_MS = 1000; // security rule 29
