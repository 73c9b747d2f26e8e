// hot path

/**
 * 32 bits without sign that are the same in every process: FNV-1a over the bytes of the UTF-16 units, mixed by MurmurHash3's finalizer, since
 * FNV leaves near-equal texts (`10.0.0.1`, `10.0.0.2`) near each other. No secret is in it: who chooses the text chooses the endpoint.
 */
export function hashOf(text: string, seed = 0): number {
  let hash = FNV_OFFSET ^ seed;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    hash = Math.imul(hash ^ (unit & 0xff), FNV_PRIME);
    hash = Math.imul(hash ^ (unit >>> 8), FNV_PRIME);
  }
  return mixed(hash);
}

/** Another well-spread number for each, without collisions. */
export function mixed(number: number): number {
  let hash = number;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

export function randomHash(random: () => number): number {
  return Math.floor(random() * 2 ** 32);
}

/** Nothing binds the requester to an endpoint. */
export const NO_HASH = -1;
const FNV_OFFSET = 0x811c9dc5; // draft-eastlake-fnv, 32 bits
const FNV_PRIME = 0x01000193;
