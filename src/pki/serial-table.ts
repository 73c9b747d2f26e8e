// hot path
import { randomInt } from 'node:crypto';

/** A SerialTable without what its offsets point into: what another thread needs to have the same. */
export interface SerialIndex {
  readonly slots: Uint32Array<ArrayBuffer>;
  readonly lengths: Uint8Array<ArrayBuffer>;
  readonly count: number;
  readonly seed: number;
}

/**
 * Where each serial number of a CRL stands in it: a hash table of offsets, because a million strings in a Set take 100 MB and a
 * million of these 8 MB. Open addressing, linear probing, at most half full; seeded, so that nobody can choose serials that collide.
 */
export class SerialTable {
  readonly #bytes: Buffer;
  /** Offset of a serial's content + 1; 0: free. */
  #slots: Uint32Array<ArrayBuffer>;
  #lengths: Uint8Array<ArrayBuffer>;
  #count: number;
  readonly #seed: number;

  /** `bytes` is what the offsets point into; it must not change. `index`: of a table over the same bytes. */
  constructor(bytes: Buffer, index: SerialIndex | null = null) {
    this.#bytes = bytes;
    this.#slots = index?.slots ?? new Uint32Array(64);
    this.#lengths = index?.lengths ?? new Uint8Array(64);
    this.#count = index?.count ?? 0;
    this.#seed = index?.seed ?? randomInt(0x7fffffff);
  }

  get index(): SerialIndex {
    return { slots: this.#slots, lengths: this.#lengths, count: this.#count, seed: this.#seed };
  }

  get count(): number {
    return this.#count;
  }

  /** Adds the serial of `length` (at most 255) octets at `offset`. One that is there already is left where it was first. */
  add(offset: number, length: number): void {
    if ((this.#count + 1) * 2 > this.#slots.length) this.#grow();
    const slot = this.#slotOf(this.#bytes, offset, length);
    if (this.#slots[slot] !== 0) return;
    this.#slots[slot] = offset + 1;
    this.#lengths[slot] = length;
    this.#count++;
  }

  /** The offset of this serial's content, or -1. */
  find(serial: Buffer): number {
    return this.#slots[this.#slotOf(serial, 0, serial.length)]! - 1;
  }

  /** The slot that holds these octets, or the free one where they would go. */
  #slotOf(bytes: Buffer, offset: number, length: number): number {
    const slots = this.#slots;
    const mask = slots.length - 1;
    let hash = this.#seed;
    for (let index = 0; index < length; index++) hash = Math.imul(hash ^ bytes[offset + index]!, 0x01000193);
    let slot = (hash ^ (hash >>> 15)) & mask;
    while (slots[slot] !== 0 && !this.#holds(slot, bytes, offset, length)) slot = (slot + 1) & mask;
    return slot;
  }

  #holds(slot: number, bytes: Buffer, offset: number, length: number): boolean {
    if (this.#lengths[slot] !== length) return false;
    const at = this.#slots[slot]! - 1;
    for (let index = 0; index < length; index++) if (this.#bytes[at + index] !== bytes[offset + index]) return false;
    return true;
  }

  #grow(): void {
    const [slots, lengths] = [this.#slots, this.#lengths];
    this.#slots = new Uint32Array(slots.length * 2);
    this.#lengths = new Uint8Array(slots.length * 2);
    for (let index = 0; index < slots.length; index++) {
      if (slots[index] === 0) continue;
      const slot = this.#slotOf(this.#bytes, slots[index]! - 1, lengths[index]!);
      this.#slots[slot] = slots[index]!;
      this.#lengths[slot] = lengths[index]!;
    }
  }
}
