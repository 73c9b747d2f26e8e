import { DerError, DerReader, TAG } from './der.ts';
import { printable } from './printable.ts';

interface Attribute {
  readonly type: string;
  readonly valueTag: number;
  readonly value: Buffer;
}

/** An X.501 Name. Structure is checked when parsed; text and comparison keys are made when first asked for. */
export class DistinguishedName {
  readonly der: Buffer;
  readonly #rdns: readonly (readonly Attribute[])[];
  #text: string | null = null;
  #keys: readonly string[] | null = null;
  #key: string | null = null;

  constructor(der: Buffer, rdns: readonly (readonly Attribute[])[]) {
    this.der = der;
    this.#rdns = rdns;
  }

  get isEmpty(): boolean {
    return this.#rdns.length === 0;
  }

  /** RFC 4514 text (most specific first), safe to print; 'empty name' if it has no attributes. */
  get text(): string {
    this.#text ??= this.isEmpty ? 'empty name' : printable(rfc4514(this.#rdns));
    return this.#text;
  }

  /** One comparison key per RDN, from the root: equal keys are equal RDNs under RFC 5280 section 7.1. */
  get rdnKeys(): readonly string[] {
    this.#keys ??= this.#rdns.map(rdnKey);
    return this.#keys;
  }

  /** Equal keys are equal names under RFC 5280 section 7.1. */
  get key(): string {
    this.#key ??= this.rdnKeys.map((rdn) => `${rdn.length}:${rdn}`).join('');
    return this.#key;
  }

  equals(other: DistinguishedName): boolean {
    return this.der.equals(other.der) || this.key === other.key;
  }

  /** Values of one attribute type, decoded. */
  values(type: string): string[] {
    return this.#rdns.flatMap((rdn) => rdn.filter((a) => a.type === type).map((a) => decodeText(a) ?? ''));
  }
}

/** Parses a Name with its header. Throws DerError. */
export function parseDistinguishedName(der: Buffer): DistinguishedName {
  const outer = new DerReader(der);
  const sequence = outer.enter(TAG.sequence);
  outer.finish();
  const rdns: Attribute[][] = [];
  while (!sequence.atEnd) {
    const set = sequence.enter(TAG.set);
    const attributes: Attribute[] = [];
    while (!set.atEnd) {
      const pair = set.enter(TAG.sequence);
      const type = pair.oid();
      const { tag, content } = pair.element();
      pair.finish();
      const attribute = { type, valueTag: tag, value: content };
      decodeText(attribute);
      attributes.push(attribute);
    }
    if (attributes.length === 0) throw new DerError('empty RDN');
    rdns.push(attributes);
  }
  return new DistinguishedName(der, rdns);
}

function rdnKey(attributes: readonly Attribute[]): string {
  const keys = attributes.map((attribute) => {
    const text = decodeText(attribute);
    const value = text === null ? `x${attribute.valueTag}:${attribute.value.toString('hex')}` : `t${foldText(text)}`;
    return `${attribute.type}=${value.length}:${value}`;
  });
  return keys.length === 1 ? keys[0]! : keys.sort().join('+');
}

/**
 * What caseIgnoreMatch compares (RFC 5280 section 7.1 with RFC 4518): case folded, runs of spaces as one, none at the ends.
 * The string type does not count, so that a CA may move from PrintableString to UTF8String.
 */
function foldText(text: string): string {
  const prepared = /^[\x20-\x7e]*$/.test(text) ? text : text.normalize('NFKC');
  return prepared.toLowerCase().trim().replace(/ +/g, ' ');
}

/** Text of the DirectoryString types; null for a value of any other type. */
function decodeText(attribute: Attribute): string | null {
  const { value } = attribute;
  switch (attribute.valueTag) {
    case TAG.utf8String:
      return decodeUtf8(value);
    case TAG.printableString:
    case TAG.ia5String:
    case TAG.teletexString:
    case TAG.numericString:
    case TAG.visibleString:
      return value.toString('latin1');
    case TAG.bmpString:
      if (value.length % 2 !== 0) throw new DerError('BMPString of an odd length');
      return Buffer.from(value).swap16().toString('utf16le');
    case TAG.universalString:
      return decodeUtf32(value);
    default:
      return null;
  }
}

function decodeUtf8(value: Buffer): string {
  try {
    return UTF8.decode(value);
  } catch {
    throw new DerError('UTF8String that is not UTF-8');
  }
}

function decodeUtf32(value: Buffer): string {
  if (value.length % 4 !== 0) throw new DerError('UniversalString of an odd length');
  let text = '';
  for (let at = 0; at < value.length; at += 4) {
    const codePoint = value.readUInt32BE(at);
    if (codePoint > 0x10ffff) throw new DerError('UniversalString beyond Unicode');
    text += String.fromCodePoint(codePoint);
  }
  return text;
}

function rfc4514(rdns: readonly (readonly Attribute[])[]): string {
  return rdns
    .toReversed()
    .map((attributes) => attributes.map(attributeText).join('+'))
    .join(',');
}

function attributeText(attribute: Attribute): string {
  const type = ATTRIBUTE_NAMES.get(attribute.type) ?? attribute.type;
  const text = decodeText(attribute);
  if (text === null) return `${type}=#${attribute.value.toString('hex')}`;
  return `${type}=${printable(text.replace(/[,+"\\<>;]|^[ #]| $/g, '\\$&'))}`;
}

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

// RFC 4514 section 3, and the ones that certificates use besides.
const ATTRIBUTE_NAMES: ReadonlyMap<string, string> = new Map([
  ['2.5.4.3', 'CN'],
  ['2.5.4.4', 'SN'],
  ['2.5.4.5', 'serialNumber'],
  ['2.5.4.6', 'C'],
  ['2.5.4.7', 'L'],
  ['2.5.4.8', 'ST'],
  ['2.5.4.9', 'STREET'],
  ['2.5.4.10', 'O'],
  ['2.5.4.11', 'OU'],
  ['2.5.4.12', 'title'],
  ['2.5.4.42', 'GN'],
  ['2.5.4.46', 'dnQualifier'],
  ['0.9.2342.19200300.100.1.1', 'UID'],
  ['0.9.2342.19200300.100.1.25', 'DC'],
  ['1.2.840.113549.1.9.1', 'emailAddress'],
]);
