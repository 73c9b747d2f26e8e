// hot path: append runs per chunk of a request body that may have to be sent again, or elsewhere as well.

/**
 * The beginning of a body, copied: chunks are slices of the parser's buffers, and one byte would keep 64 KiB alive. It grows up to
 * its limit, over which it keeps nothing.
 */
export class BodyCopy {
  readonly #limit: number;
  #bytes: Buffer | null = EMPTY;
  #length = 0;

  constructor(limitBytes: number) {
    this.#limit = limitBytes;
  }

  /** Everything that was appended; null when that was more than the limit, or after drop(). */
  get whole(): Buffer | null {
    return this.#bytes === null ? null : this.#bytes.subarray(0, this.#length);
  }

  /** False: over the limit. */
  append(chunk: Buffer): boolean {
    if (this.#bytes === null) return false;
    const length = this.#length + chunk.length;
    if (length > this.#limit) {
      this.drop();
      return false;
    }
    if (length > this.#bytes.length) {
      const larger = Buffer.allocUnsafe(Math.min(this.#limit, Math.max(length, this.#bytes.length * 2, SMALLEST)));
      this.#bytes.copy(larger, 0, 0, this.#length);
      this.#bytes = larger;
    }
    chunk.copy(this.#bytes, this.#length);
    this.#length = length;
    return true;
  }

  drop(): void {
    this.#bytes = null;
  }
}

const EMPTY = Buffer.alloc(0);
const SMALLEST = 1024;
