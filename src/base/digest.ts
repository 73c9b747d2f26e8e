import { createHash } from 'node:crypto';

declare const digestBrand: unique symbol;

/** A SHA-256 over the whole of something, in hex: equal digests mean that the running object can be carried over. */
export type Digest = string & { readonly [digestBrand]: true };

/**
 * Digest of a JSON-like value (objects by sorted key, so that the order of writing does not matter) in which
 * Uint8Array stands for file contents. Undefined members count as absent.
 */
export function digestOf(value: unknown): Digest {
  const hash = createHash('sha256');
  feed(hash, value);
  return hash.digest('hex') as Digest;
}

function feed(hash: ReturnType<typeof createHash>, value: unknown): void {
  if (value instanceof Uint8Array) {
    hash.update(`bytes:${value.byteLength}:`).update(value);
    return;
  }
  if (Array.isArray(value)) {
    hash.update(`[${value.length}:`);
    for (const item of value) feed(hash, item);
    return;
  }
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value).filter(([, member]) => member !== undefined);
    entries.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
    hash.update(`{${entries.length}:`);
    for (const [key, member] of entries) {
      feed(hash, key);
      feed(hash, member);
    }
    return;
  }
  const text = String(value);
  hash.update(`${typeof value}:${text.length}:${text};`); // lengths keep neighbours from running together
}
