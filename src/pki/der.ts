/** The one error of the DER reader and of everything that parses certificates with it. */
export class DerError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'DerError';
  }
}

/** One TLV: `whole` with its header, `content` without. Both are views of the input. */
export interface DerElement {
  readonly tag: number;
  readonly whole: Buffer;
  readonly content: Buffer;
}

/**
 * Reads DER (X.690 section 10) front to back. Every read moves forward by at least two bytes or throws DerError, and no length
 * reaches beyond the enclosing value: the work is linear in the input whatever it holds. Indefinite and non-minimal lengths,
 * multi-byte tags (X.509 has none) and non-minimal integers are refused.
 */
export class DerReader {
  readonly #bytes: Buffer;
  #offset: number;
  readonly #end: number;

  constructor(bytes: Buffer, start = 0, end = bytes.length) {
    this.#bytes = bytes;
    this.#offset = start;
    this.#end = end;
  }

  get atEnd(): boolean {
    return this.#offset >= this.#end;
  }

  /** The next tag byte, or -1 at the end. */
  get nextTag(): number {
    return this.#offset < this.#end ? this.#bytes[this.#offset]! : -1;
  }

  /** Where the next value starts, or the last one read ended. */
  get offset(): number {
    return this.#offset;
  }

  /** Moves behind the next value, which must have this tag, and says where its content starts; it ends at `offset`. */
  span(tag: number): number {
    this.#expect(tag);
    return this.#header();
  }

  /** Whatever comes next. */
  element(): DerElement {
    const start = this.#offset;
    const tag = this.nextTag;
    const contentStart = this.#header();
    const end = this.#offset;
    return { tag, whole: this.#bytes.subarray(start, end), content: this.#bytes.subarray(contentStart, end) };
  }

  /** The content of the next value, which must have this tag. */
  read(tag: number): Buffer {
    this.#expect(tag);
    const contentStart = this.#header();
    return this.#bytes.subarray(contentStart, this.#offset);
  }

  /** The next value with its header. */
  readWhole(tag: number): Buffer {
    this.#expect(tag);
    const start = this.#offset;
    this.#header();
    return this.#bytes.subarray(start, this.#offset);
  }

  /** A reader of the content of the next value, which must have this tag. */
  enter(tag: number): DerReader {
    this.#expect(tag);
    const contentStart = this.#header();
    return new DerReader(this.#bytes, contentStart, this.#offset);
  }

  /** Like `enter`, or null if another tag (or the end) comes next. */
  enterOptional(tag: number): DerReader | null {
    return this.nextTag === tag ? this.enter(tag) : null;
  }

  /** Like `read`, or null if another tag (or the end) comes next. */
  readOptional(tag: number): Buffer | null {
    return this.nextTag === tag ? this.read(tag) : null;
  }

  /** Throws unless everything was read. */
  finish(): void {
    if (!this.atEnd) throw new DerError(`${this.#end - this.#offset} trailing bytes at offset ${this.#offset}`);
  }

  /** Content bytes of an INTEGER (or of `tag` with INTEGER content), minimal as X.690 8.3.2 wants it. */
  integer(tag: number = TAG.integer): Buffer {
    return checkedInteger(this.read(tag));
  }

  /** An INTEGER from 0 to 2^31-1. */
  smallInteger(tag: number = TAG.integer): number {
    return smallIntegerOf(this.read(tag));
  }

  boolean(): boolean {
    const content = this.read(TAG.boolean);
    if (content.length !== 1) throw new DerError(`BOOLEAN of ${content.length} bytes`);
    if (content[0] === 0xff) return true;
    if (content[0] === 0) return false;
    throw new DerError('BOOLEAN that is neither 00 nor FF'); // X.690 11.1
  }

  /** An OBJECT IDENTIFIER in dotted form. */
  oid(tag: number = TAG.oid): string {
    return dottedOid(this.read(tag));
  }

  /** The bytes of a BIT STRING that has no unused bits (a key, a signature). */
  octetAlignedBitString(): Buffer {
    const content = this.read(TAG.bitString);
    if (content.length === 0 || content[0] !== 0) throw new DerError('BIT STRING that does not end on a byte');
    return content.subarray(1);
  }

  /** The first 16 bits of a named-bit BIT STRING: bit 0 of ASN.1 is the highest (0x8000). */
  namedBits(): number {
    const content = this.read(TAG.bitString);
    const unused = content.length === 0 ? 8 : content[0]!;
    if (unused > 7 || (content.length === 1 && unused !== 0))
      throw new DerError('BIT STRING with a bad count of unused bits');
    if (content.length > 1 && (content[content.length - 1]! & ((1 << unused) - 1)) !== 0) {
      throw new DerError('BIT STRING with padding bits set'); // X.690 11.2.1
    }
    return ((content[1] ?? 0) << 8) | (content[2] ?? 0);
  }

  #expect(tag: number): void {
    const found = this.nextTag;
    if (found === tag) return;
    const what = found < 0 ? 'the end' : `tag 0x${found.toString(16).padStart(2, '0')}`;
    throw new DerError(`${what} at offset ${this.#offset}, expected tag 0x${tag.toString(16).padStart(2, '0')}`);
  }

  /** Moves behind the next value; returns where its content starts. */
  #header(): number {
    const bytes = this.#bytes;
    const end = this.#end;
    let at = this.#offset;
    if (at + 2 > end) throw new DerError(`value cut off at offset ${at}`);
    if ((bytes[at]! & 0x1f) === 0x1f) throw new DerError(`multi-byte tag at offset ${at}`);
    const first = bytes[at + 1]!;
    at += 2;
    let length = first;
    if (first >= 0x80) {
      const count = first & 0x7f;
      if (count === 0) throw new DerError(`indefinite length at offset ${at - 1}`);
      if (count > MAX_LENGTH_BYTES) throw new DerError(`length of ${count} bytes at offset ${at - 1}`);
      if (at + count > end) throw new DerError(`length cut off at offset ${at}`);
      length = 0;
      for (let index = 0; index < count; index++) length = length * 256 + bytes[at + index]!;
      if (length < 0x80 || bytes[at] === 0) throw new DerError(`non-minimal length at offset ${at - 1}`); // X.690 10.1
      at += count;
    }
    if (length > end - at) throw new DerError(`value of ${length} bytes at offset ${at}, expected at most ${end - at}`);
    this.#offset = at + length;
    return at;
  }
}

/** INTEGER content that is not empty and minimal. */
export function checkedInteger(content: Buffer): Buffer {
  if (content.length === 0) throw new DerError('empty INTEGER');
  if (content.length > 1) {
    const first = content[0]!;
    const signBit = content[1]! & 0x80;
    if ((first === 0 && signBit === 0) || (first === 0xff && signBit !== 0)) throw new DerError('non-minimal INTEGER');
  }
  return content;
}

export function smallIntegerOf(content: Buffer): number {
  checkedInteger(content);
  if ((content[0]! & 0x80) !== 0) throw new DerError('negative INTEGER');
  if (content.length > 4) throw new DerError('INTEGER above 2147483647'); // five bytes: a leading 00 and 2^31 or more
  let value = 0;
  for (let index = 0; index < content.length; index++) value = value * 256 + content[index]!;
  return value;
}

/** Dotted form of OBJECT IDENTIFIER content (X.690 8.19). */
export function dottedOid(content: Buffer): string {
  if (content.length === 0) throw new DerError('empty OBJECT IDENTIFIER');
  if (content.length > MAX_OID_BYTES) throw new DerError(`OBJECT IDENTIFIER of ${content.length} bytes`);
  let text = '';
  let arc = 0;
  let large = 0n; // only for arcs of more than 28 bits, such as UUIDs under 2.25
  let arcBytes = 0;
  for (let index = 0; index < content.length; index++) {
    const byte = content[index]!;
    if (arcBytes === 0 && byte === 0x80) throw new DerError('OBJECT IDENTIFIER with a padded arc');
    arcBytes++;
    if (arcBytes === 5) large = BigInt(arc);
    if (arcBytes >= 5) large = (large << 7n) | BigInt(byte & 0x7f);
    else arc = (arc << 7) | (byte & 0x7f);
    if ((byte & 0x80) !== 0) continue;
    if (text === '') text = arcBytes >= 5 ? `2.${large - 80n}` : firstArcs(arc);
    else text += arcBytes >= 5 ? `.${large}` : `.${arc}`;
    arc = 0;
    arcBytes = 0;
  }
  if (arcBytes !== 0) throw new DerError('OBJECT IDENTIFIER cut off inside an arc');
  return text;
}

function firstArcs(value: number): string {
  if (value < 40) return `0.${value}`;
  return value < 80 ? `1.${value - 40}` : `2.${value - 80}`;
}

/** Tag bytes, constructed bit included. */
export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  utf8String: 0x0c,
  numericString: 0x12,
  printableString: 0x13,
  teletexString: 0x14,
  ia5String: 0x16,
  utcTime: 0x17,
  generalizedTime: 0x18,
  visibleString: 0x1a,
  universalString: 0x1c,
  bmpString: 0x1e,
  sequence: 0x30,
  set: 0x31,
} as const;

/** Tag byte of a context-specific primitive `[number]`. */
export function contextPrimitive(number: number): number {
  return 0x80 | number;
}

/** Tag byte of a context-specific constructed `[number]`. */
export function contextConstructed(number: number): number {
  return 0xa0 | number;
}

const MAX_LENGTH_BYTES = 4; // 4 GiB: no certificate comes near it
const MAX_OID_BYTES = 128; // X.690 has no limit; the longest in use, UUIDs under 2.25, take 20
