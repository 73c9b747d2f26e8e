import type { HandshakeFailure } from './handshake-failure.ts';

/** One entry of /handshakes. */
export interface RecentFailure extends HandshakeFailure {
  /** ISO 8601. */
  readonly time: string;
}

/** The last CAPACITY failed handshakes, newest first. Strangers cause them: each entry is cut to about 6 KiB. */
export class RecentFailures {
  readonly #ring: RecentFailure[] = [];
  #next = 0;

  add(failure: HandshakeFailure, wallMs: number): void {
    this.#ring[this.#next] = { time: new Date(wallMs).toISOString(), ...abridged(failure) };
    this.#next = (this.#next + 1) % CAPACITY;
  }

  newestFirst(): readonly RecentFailure[] {
    const older = this.#ring.slice(0, this.#next).reverse();
    return older.concat(this.#ring.slice(this.#next).reverse());
  }
}

/** A copy whose lists and strings are cut: a hello of 64 KiB can offer 30,000 cipher suites (security rule 6: 4 KiB of names are kept). */
export function abridged(failure: HandshakeFailure): HandshakeFailure {
  return {
    ...failure,
    detail: failure.detail.slice(0, MAX_DETAIL),
    sni: failure.sni === null ? null : failure.sni.slice(0, MAX_SNI),
    offeredVersions: cut(failure.offeredVersions, 8),
    offeredCiphers: cut(failure.offeredCiphers, 40),
    offeredGroups: cut(failure.offeredGroups, 16),
    alpn: cut(failure.alpn, 8),
  };
}

function cut(items: readonly string[], most: number): readonly string[] {
  return items.slice(0, most).map((item) => item.slice(0, MAX_ITEM));
}

const CAPACITY = 500;
const MAX_ITEM = 48; // the longest IANA suite name has 45 characters; 72 items of it are 3.4 KiB
const MAX_DETAIL = 256;
const MAX_SNI = 253;
