// hot path: asked for every field of every request.

/**
 * Names of request fields that only the proxy may set (security rule 18): the client's are removed, heads and trailers alike, in
 * every spelling with `_` for `-`, which CGI and WSGI read as the same name. Client-Cert, Client-Cert-Chain (RFC 9440) and X-Client-Cert-* always are.
 */
export class RemovedFields {
  readonly #names: ReadonlySet<string>;
  /** By length: most fields are let through without a look-up. */
  readonly #lengths: Uint8Array;

  /** `names` in lower case. */
  constructor(names: Iterable<string>) {
    const all = new Set(RFC_9440);
    for (const name of names) all.add(name.replaceAll('_', '-'));
    this.#names = all;
    this.#lengths = new Uint8Array(LONGEST + 1);
    for (const { length } of all) this.#lengths[Math.min(length, LONGEST)] = 1;
  }

  /** `name` in lower case. */
  has(name: string): boolean {
    const { length } = name;
    if (this.#lengths[length < LONGEST ? length : LONGEST] === 1 && this.#names.has(dashed(name))) return true;
    return length >= PREFIX.length && name.charCodeAt(0) === X && hasPrefix(name);
  }
}

function dashed(name: string): string {
  return name.indexOf('_') === -1 ? name : name.replaceAll('_', '-');
}

function hasPrefix(name: string): boolean {
  for (let i = 1; i < PREFIX.length; i++) {
    const byte = name.charCodeAt(i);
    if ((byte === UNDERSCORE ? DASH : byte) !== PREFIX.charCodeAt(i)) return false;
  }
  return true;
}

const RFC_9440 = ['client-cert', 'client-cert-chain'];
const PREFIX = 'x-client-cert-'; // Google's conventional names (spec 4.1)
const LONGEST = 255;
const X = 0x78;
const DASH = 0x2d;
const UNDERSCORE = 0x5f;
/** Where no configuration adds names. */
export const ALWAYS_REMOVED = new RemovedFields([]);
