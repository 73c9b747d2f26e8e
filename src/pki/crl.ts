import { createHash } from 'node:crypto';
import { type Certificate, type Extension, known, readExtensionList } from './certificate.ts';
import { contextConstructed, contextPrimitive, DerError, DerReader, TAG } from './der.ts';
import { type DistinguishedName, parseDistinguishedName } from './distinguished-name.ts';
import { readAuthorityKeyIdentifier } from './extensions.ts';
import { OID, oidLabel } from './oids.ts';
import { pemBlocks } from './pem.ts';
import { type SerialIndex, SerialTable } from './serial-table.ts';
import { readSignatureAlgorithm, type SignatureAlgorithm } from './signature-algorithm.ts';
import { readTime } from './time.ts';

/** Which certificates of its issuer a CRL speaks about. */
export type CrlScope = 'all' | 'end-entities' | 'cas';

/** When and why a certificate was revoked. */
export interface Revoked {
  /** Wall milliseconds; null if the list gives a time that does not exist. */
  readonly atMs: number | null;
  /** The name of the reasonCode (RFC 5280 section 5.3.1), or null without one. */
  readonly reason: string | null;
}

/** A parsed CRL as it goes from one thread to another, where it is made whole again without reading its entries. */
export interface CrlParts {
  readonly der: Uint8Array<ArrayBuffer>;
  readonly serials: SerialIndex;
  readonly sha256: string;
}

/**
 * A complete certificate revocation list (RFC 5280 section 5), parsed and indexed. Delta and indirect CRLs, those of one
 * distribution point or of some reasons, and those with a critical extension not known here are refused when parsed.
 */
export class Crl {
  readonly der: Buffer;
  /** Of all of it, hex. */
  readonly sha256: string;
  readonly issuer: DistinguishedName;
  readonly thisUpdateMs: number;
  readonly nextUpdateMs: number;
  /** cRLNumber: only ever grows. */
  readonly number: bigint;
  readonly authorityKeyId: Buffer | null;
  readonly scope: CrlScope;
  readonly signatureAlgorithm: SignatureAlgorithm;
  readonly #signed: Buffer;
  readonly #signature: Buffer;
  readonly #serials: SerialTable;
  readonly #isSignedBy = new Map<string, boolean>();

  /**
   * Throws DerError; nothing else. Keeps a copy of bytes, but the very arrays of parts. Linear in the bytes: 1 million entries take
   * about a second; from parts well under a millisecond.
   */
  constructor(input: Uint8Array | CrlParts) {
    const parts = 'der' in input ? input : null;
    const bytes = parts?.der ?? (input as Uint8Array);
    checkSize(bytes.length);
    const der = parts === null ? Buffer.from(bytes) : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.sha256 = parts?.sha256 ?? createHash('sha256').update(der).digest('hex');
    const outer = new DerReader(der);
    const list = outer.enter(TAG.sequence);
    outer.finish();
    this.der = der;
    this.#signed = list.readWhole(TAG.sequence);
    const outerAlgorithm = list.readWhole(TAG.sequence);
    this.#signature = list.octetAlignedBitString();
    list.finish();

    const tbs = new DerReader(this.#signed).enter(TAG.sequence);
    if (tbs.nextTag !== TAG.integer)
      throw new DerError('a v1 CRL, expected v2 with a cRLNumber (RFC 5280 section 5.1)');
    const version = tbs.smallInteger();
    if (version !== 1) throw new DerError(`CRL version field ${version}, expected 1 (v2)`);
    const innerAlgorithm = tbs.readWhole(TAG.sequence);
    if (!innerAlgorithm.equals(outerAlgorithm)) {
      throw new DerError('signature algorithm inside and outside the signed part differ'); // RFC 5280 section 5.1.1.2
    }
    this.signatureAlgorithm = readSignatureAlgorithm(innerAlgorithm);
    this.issuer = parseDistinguishedName(tbs.readWhole(TAG.sequence));
    if (this.issuer.isEmpty) throw new DerError('a CRL without an issuer name'); // RFC 5280 section 5.1.2.3
    this.thisUpdateMs = readTime(tbs);
    if (!isTime(tbs)) throw new DerError('a CRL without nextUpdate, which says how long it may be used'); // section 5.1.2.5
    this.nextUpdateMs = readTime(tbs);
    this.#serials = parts === null ? indexEntries(this.#signed, tbs) : skipEntries(this.#signed, tbs, parts.serials);
    const explicit = tbs.enterOptional(contextConstructed(0));
    tbs.finish();
    const extensions = explicit === null ? NO_EXTENSIONS : readExtensionList(explicit.enter(TAG.sequence));
    explicit?.finish();
    checkKind(extensions);
    const number = known(extensions, OID.crlNumber, readNumber);
    if (number === null) throw new DerError('a CRL without cRLNumber, expected one (RFC 5280 section 5.2.3)');
    this.number = number;
    this.scope = known(extensions, OID.issuingDistributionPoint, readScope) ?? 'all';
    this.authorityKeyId = known(extensions, OID.authorityKeyIdentifier, readAuthorityKeyIdentifier);
  }

  /** The arrays of `serials` are those of this CRL: who hands them to another thread has it no more. */
  get parts(): CrlParts {
    return { der: new Uint8Array(this.der), serials: this.#serials.index, sha256: this.sha256 };
  }

  /** How many certificates it revokes. */
  get count(): number {
    return this.#serials.count;
  }

  /** For messages: the issuer and the number. */
  get label(): string {
    return `CRL ${this.number} of '${this.issuer.text}'`;
  }

  /** What it says of a serial number (INTEGER content), or null if that is not listed. */
  revoked(serial: Buffer): Revoked | null {
    const at = this.#serials.find(serial);
    if (at < 0) return null;
    const entry = new DerReader(this.#signed, at + serial.length); // what follows the serial was checked when indexed
    const atMs = timeOrNull(entry);
    const code = entry.nextTag === TAG.sequence ? reasonCode(entry.enter(TAG.sequence)) : null;
    return { atMs, reason: code === null ? null : (REASONS[code] ?? `reason ${code}`) };
  }

  /** False for a CRL that is for other kinds of certificates. */
  covers(certificate: Certificate): boolean {
    if (this.scope === 'all') return true;
    return (this.scope === 'cas') === (certificate.basicConstraints?.ca === true);
  }

  /** Whether a signature check with this issuer's key costs nothing more. */
  isSignatureKnown(issuer: Certificate): boolean {
    return this.#isSignedBy.has(keyOf(issuer));
  }

  /**
   * Checks the signature, which hashes the whole list: for issuers whose own chain holds only. The answer is kept per key.
   * The issuer must have passed the key-strength rule.
   */
  isSignedBy(issuer: Certificate): boolean {
    const key = keyOf(issuer);
    const known = this.#isSignedBy.get(key);
    if (known !== undefined) return known;
    const isSigned = issuer.verifies(this.signatureAlgorithm, this.#signed, this.#signature);
    if (this.#isSignedBy.size >= MAX_KNOWN_ISSUERS) this.#isSignedBy.delete(this.#isSignedBy.keys().next().value!);
    this.#isSignedBy.set(key, isSigned);
    return isSigned;
  }
}

/** Every CRL of a file: one in DER, or any number of `X509 CRL` blocks in PEM. Throws DerError. */
export function parseCrls(file: Uint8Array): readonly Crl[] {
  checkSize(file.length);
  if (file[0] === TAG.sequence) return [new Crl(file)];
  const blocks = pemBlocks(Buffer.from(file.buffer, file.byteOffset, file.byteLength).toString('latin1'), 'X509 CRL');
  if (blocks.length === 0) throw new DerError('neither DER nor an X509 CRL block in PEM');
  return blocks.map((der) => new Crl(der));
}

function checkSize(bytes: number): void {
  if (bytes > MAX_BYTES) throw new DerError(`a CRL of ${bytes} bytes, expected at most ${MAX_BYTES}`);
}

/** Reads revokedCertificates, if there are any, into an index of offsets into `signed`. */
function indexEntries(signed: Buffer, tbs: DerReader): SerialTable {
  const serials = new SerialTable(signed);
  if (tbs.nextTag !== TAG.sequence) return serials;
  const list = tbs.enter(TAG.sequence);
  while (!list.atEnd) {
    const entry = list.enter(TAG.sequence);
    const start = entry.span(TAG.integer);
    const length = entry.offset - start;
    if (!isMinimalInteger(signed, start, length)) throw new DerError('a revoked serial number that is no DER INTEGER');
    if (length > MAX_SERIAL_OCTETS) throw new DerError(`a revoked serial number of ${length} octets`);
    serials.add(start, length);
    const timeTag = entry.nextTag === TAG.generalizedTime ? TAG.generalizedTime : TAG.utcTime;
    const time = entry.span(timeTag);
    if (entry.offset - time !== TIME_OCTETS[timeTag]) throw new DerError('a revocation date of a wrong length');
    if (entry.atEnd) continue;
    checkEntryExtensions(readExtensionList(entry.enter(TAG.sequence)));
    entry.finish();
  }
  return serials;
}

function skipEntries(signed: Buffer, tbs: DerReader, index: SerialIndex): SerialTable {
  if (tbs.nextTag === TAG.sequence) tbs.readWhole(TAG.sequence);
  return new SerialTable(signed, index);
}

/** An entry extension that is critical and not understood makes the whole list useless (RFC 5280 section 5.3). */
function checkEntryExtensions(extensions: ReadonlyMap<string, Extension>): void {
  for (const { oid, critical } of extensions.values()) {
    if (oid === OID.certificateIssuer) throw new DerError(INDIRECT);
    if (critical && oid !== OID.reasonCode && oid !== OID.invalidityDate) {
      throw new DerError(`an entry has the critical extension ${oidLabel(oid)}, which is not processed`);
    }
  }
}

/** The reasonCode among an entry's extensions, which `list` is at; null where it is at the next entry instead. */
function reasonCode(list: DerReader): number | null {
  if (list.nextTag !== TAG.sequence) return null;
  const value = readExtensionList(list).get(OID.reasonCode)?.value;
  return value !== undefined && value.length === 3 && value[0] === ENUMERATED && value[1] === 1 ? value[2]! : null;
}

function checkKind(extensions: ReadonlyMap<string, Extension>): void {
  if (extensions.has(OID.deltaCrlIndicator)) {
    throw new DerError('a delta CRL, expected a complete one; fetch the base CRL as a whole');
  }
  for (const { oid, critical } of extensions.values()) {
    if (!critical || oid === OID.issuingDistributionPoint || oid === OID.crlNumber) continue;
    throw new DerError(`the critical extension ${oidLabel(oid)}, which is not processed (RFC 5280 section 5.2)`);
  }
}

/** RFC 5280 section 5.2.3: at most 20 octets; also the only protection against an older list that is still valid. */
function readNumber(value: Buffer): bigint {
  const reader = new DerReader(value);
  const content = reader.integer();
  reader.finish();
  if ((content[0]! & 0x80) !== 0 || content.length > MAX_NUMBER_OCTETS) throw new DerError('expected 0 to 2^159-1');
  return BigInt(`0x${content.toString('hex')}`);
}

/** RFC 5280 section 5.2.5. */
function readScope(value: Buffer): CrlScope {
  const reader = new DerReader(value);
  const point = reader.enter(TAG.sequence);
  reader.finish();
  if (point.nextTag === contextConstructed(0)) {
    throw new DerError('a CRL of one distribution point, expected a complete one for all certificates of its issuer');
  }
  const onlyUsers = readFlag(point, 1);
  const onlyCas = readFlag(point, 2);
  if (point.readOptional(contextPrimitive(3)) !== null) throw new DerError('a CRL of some reasons only, expected all');
  if (readFlag(point, 4)) throw new DerError(INDIRECT);
  if (readFlag(point, 5)) throw new DerError('a CRL of attribute certificates');
  point.finish();
  if (onlyUsers && onlyCas) throw new DerError('a CRL of end entities only and of CAs only');
  if (onlyUsers) return 'end-entities';
  return onlyCas ? 'cas' : 'all';
}

function readFlag(reader: DerReader, number: number): boolean {
  const content = reader.readOptional(contextPrimitive(number));
  if (content === null) return false;
  if (content.length !== 1 || (content[0] !== 0 && content[0] !== 0xff)) throw new DerError('malformed BOOLEAN');
  return content[0] === 0xff;
}

/** Were it not, the serial would be listed and yet not found. */
function isMinimalInteger(bytes: Buffer, at: number, length: number): boolean {
  if (length === 0) return false;
  if (length === 1) return true;
  const sign = bytes[at + 1]! & 0x80;
  return !((bytes[at] === 0 && sign === 0) || (bytes[at] === 0xff && sign !== 0));
}

function isTime(reader: DerReader): boolean {
  const tag = reader.nextTag;
  return tag === TAG.utcTime || tag === TAG.generalizedTime;
}

function timeOrNull(reader: DerReader): number | null {
  try {
    return readTime(reader);
  } catch {
    return null; // the certificate is revoked all the same
  }
}

function keyOf(issuer: Certificate): string {
  return issuer.spki.toString('latin1');
}

const INDIRECT = "an indirect CRL, which lists other issuers' certificates; expected one of its issuer's own";
const NO_EXTENSIONS: ReadonlyMap<string, Extension> = new Map();
const ENUMERATED = 0x0a;
const TIME_OCTETS: Readonly<Record<number, number>> = { [TAG.utcTime]: 13, [TAG.generalizedTime]: 15 };

/** RFC 5280 section 5.3.1; 7 is not used. */
const REASONS: readonly (string | undefined)[] = [
  'unspecified',
  'keyCompromise',
  'cACompromise',
  'affiliationChanged',
  'superseded',
  'cessationOfOperation',
  'certificateHold',
  undefined,
  'removeFromCRL',
  'privilegeWithdrawn',
  'aACompromise',
];

const MAX_BYTES = 32 * 1024 * 1024; // security rule 22; the largest public ones have about 1 million entries
const MAX_SERIAL_OCTETS = 127; // RFC 5280 wants 20; a list may still name older ones, and the index keeps the length in a byte
const MAX_NUMBER_OCTETS = 20; // RFC 5280 section 5.2.3
const MAX_KNOWN_ISSUERS = 64; // keys whose chains hold and that bear the issuer's name: a few rollovers
