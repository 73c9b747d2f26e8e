import type { Clock } from '../base/clock.ts';
import type { Admission } from './readmit.ts';

/** A TLS session together with what was decided about the certificate it was made under: a resumed connection shows none. */
export interface AcceptedSession extends Admission {
  readonly session: Buffer;
}

/**
 * TLS sessions of connections whose certificate was accepted, and of no others: OpenSSL resumes a session whatever is
 * trusted by then, so nothing may get in here before the verdict. The newest session of a key wins; the key unused longest leaves first.
 */
export class SessionStore {
  readonly #entries = new Map<string, AcceptedSession>();
  readonly #clock: Clock;
  readonly #capacity: number;
  #latestMs = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock, capacity: number = DEFAULT_CAPACITY) {
    this.#clock = clock;
    this.#capacity = capacity;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** The session to offer, or null. One whose certificate has expired since is dropped. */
  take(key: string): AcceptedSession | null {
    const nowMs = this.#wallMs();
    const entry = this.#entries.get(key);
    if (entry === undefined) return null;
    this.#entries.delete(key);
    if (entry.notAfterMs <= nowMs) return null;
    this.#entries.set(key, entry); // a Map keeps insertion order: the end is the most recently used
    return entry;
  }

  put(key: string, entry: AcceptedSession): void {
    const nowMs = this.#wallMs();
    this.#entries.delete(key);
    if (entry.notAfterMs <= nowMs) return;
    this.#entries.set(key, entry);
    if (this.#entries.size <= this.#capacity) return;
    for (const oldest of this.#entries.keys()) {
      this.#entries.delete(oldest);
      return;
    }
  }

  drop(key: string): void {
    this.#entries.delete(key);
  }

  /** Nothing trusts or shows this identity any more: its sessions must not outlive it. */
  dropIdentity(identityDigest: string): void {
    const ending = `|${identityDigest}`;
    for (const key of this.#entries.keys()) if (key.endsWith(ending)) this.#entries.delete(key);
  }

  /** A verdict from the other side of a clock that stepped back says nothing about now (security rule 16). */
  #wallMs(): number {
    const nowMs = this.#clock.wallMs();
    if (nowMs < this.#latestMs - MAX_STEP_BACK_MS) {
      this.#entries.clear();
      this.#latestMs = nowMs;
    }
    if (nowMs > this.#latestMs) this.#latestMs = nowMs;
    return nowMs;
  }
}

/** Everything that makes two connections interchangeable; the digest covers trust, names and client certificate. */
export function sessionKey(dialled: string, servername: string | null, alpn: string, identityDigest: string): string {
  return `${dialled}|${servername ?? ''}|${alpn}|${identityDigest}`;
}

/** One entry is 2 to 6 kB, its chain included; this many endpoint × identity pairs are more than a configuration holds. */
const DEFAULT_CAPACITY = 4096;
const MAX_STEP_BACK_MS = 60_000; // security rule 16
