import { createPublicKey, hash, type KeyObject } from 'node:crypto';
import { contextConstructed, contextPrimitive, DerError, DerReader, TAG } from './der.ts';
import { type DistinguishedName, parseDistinguishedName } from './distinguished-name.ts';
import {
  type BasicConstraints,
  checkInfoAccess,
  type NameConstraints,
  type PolicyConstraints,
  type PolicyMapping,
  readAuthorityKeyIdentifier,
  readBasicConstraints,
  readCertificatePolicies,
  readExtendedKeyUsage,
  readInhibitAnyPolicy,
  readKeyUsage,
  readNameConstraints,
  readPolicyConstraints,
  readPolicyMappings,
  readSubjectAltName,
  readSubjectKeyIdentifier,
} from './extensions.ts';
import type { GeneralName } from './general-name.ts';
import { OID, oidLabel } from './oids.ts';
import { type PublicKeyFacts, readPublicKey } from './public-key.ts';
import { isSignedBy, readSignatureAlgorithm, type SignatureAlgorithm } from './signature-algorithm.ts';
import { readTime } from './time.ts';

export interface Extension {
  readonly oid: string;
  readonly critical: boolean;
  readonly value: Buffer;
}

/** A parsed certificate. Extensions that are absent are null. */
export class Certificate {
  /** A copy: later writes to the input change nothing. */
  readonly der: Buffer;
  readonly version: 1 | 2 | 3;
  /** Content of the serialNumber INTEGER. */
  readonly serial: Buffer;
  readonly issuer: DistinguishedName;
  readonly subject: DistinguishedName;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** SubjectPublicKeyInfo with its header. */
  readonly spki: Buffer;
  readonly publicKey: PublicKeyFacts;
  readonly signatureAlgorithm: SignatureAlgorithm;
  readonly extensions: ReadonlyMap<string, Extension>;
  readonly basicConstraints: BasicConstraints | null;
  /** 16 named bits, see KEY_USAGE. */
  readonly keyUsage: number | null;
  readonly extendedKeyUsage: readonly string[] | null;
  readonly subjectAltName: readonly GeneralName[] | null;
  readonly nameConstraints: NameConstraints | null;
  readonly policies: readonly string[] | null;
  readonly policyMappings: readonly PolicyMapping[] | null;
  readonly policyConstraints: PolicyConstraints | null;
  readonly inhibitAnyPolicy: number | null;
  readonly subjectKeyId: Buffer | null;
  readonly authorityKeyId: Buffer | null;
  readonly #signed: Buffer;
  readonly #signature: Buffer;
  #sha256: string | null = null;
  #nativeKey: KeyObject | null | undefined = undefined;

  /** Throws DerError; nothing else. */
  constructor(input: Uint8Array) {
    if (input.length > MAX_CERTIFICATE_BYTES) {
      throw new DerError(`certificate of ${input.length} bytes, expected at most ${MAX_CERTIFICATE_BYTES}`);
    }
    const der = Buffer.from(input);
    const outer = new DerReader(der);
    const certificate = outer.enter(TAG.sequence);
    outer.finish();
    this.der = der;
    this.#signed = certificate.readWhole(TAG.sequence);
    const outerAlgorithm = certificate.readWhole(TAG.sequence);
    this.#signature = certificate.octetAlignedBitString();
    certificate.finish();

    const tbs = new DerReader(this.#signed).enter(TAG.sequence);
    this.version = readVersion(tbs);
    this.serial = tbs.integer();
    const innerAlgorithm = tbs.readWhole(TAG.sequence);
    if (!innerAlgorithm.equals(outerAlgorithm)) {
      throw new DerError('signature algorithm inside and outside the signed part differ'); // RFC 5280 section 4.1.1.2
    }
    this.signatureAlgorithm = readSignatureAlgorithm(innerAlgorithm);
    this.issuer = parseDistinguishedName(tbs.readWhole(TAG.sequence));
    const validity = tbs.enter(TAG.sequence);
    this.notBeforeMs = readTime(validity);
    this.notAfterMs = readTime(validity);
    validity.finish();
    this.subject = parseDistinguishedName(tbs.readWhole(TAG.sequence));
    this.spki = tbs.readWhole(TAG.sequence);
    this.publicKey = readPublicKey(this.spki);
    skipUniqueIds(tbs, this.version);
    const extensions = readExtensions(tbs, this.version);
    tbs.finish();

    this.extensions = extensions;
    this.basicConstraints = known(extensions, OID.basicConstraints, readBasicConstraints);
    this.keyUsage = known(extensions, OID.keyUsage, readKeyUsage);
    this.extendedKeyUsage = known(extensions, OID.extendedKeyUsage, readExtendedKeyUsage);
    this.subjectAltName = known(extensions, OID.subjectAltName, readSubjectAltName);
    this.nameConstraints = known(extensions, OID.nameConstraints, readNameConstraints);
    this.policies = known(extensions, OID.certificatePolicies, readCertificatePolicies);
    this.policyMappings = known(extensions, OID.policyMappings, readPolicyMappings);
    this.policyConstraints = known(extensions, OID.policyConstraints, readPolicyConstraints);
    this.inhibitAnyPolicy = known(extensions, OID.inhibitAnyPolicy, readInhibitAnyPolicy);
    this.subjectKeyId = known(extensions, OID.subjectKeyIdentifier, readSubjectKeyIdentifier);
    this.authorityKeyId = known(extensions, OID.authorityKeyIdentifier, readAuthorityKeyIdentifier);
    known(extensions, OID.authorityInfoAccess, checkInfoAccess);
    known(extensions, OID.subjectInfoAccess, checkInfoAccess);
  }

  /** Subject equals issuer (RFC 5280 section 6.1): a statement about names only. */
  get isSelfIssued(): boolean {
    return this.subject.equals(this.issuer);
  }

  get sha256(): string {
    this.#sha256 ??= hash('sha256', this.der, 'hex');
    return this.#sha256;
  }

  isExtensionCritical(oid: string): boolean {
    return this.extensions.get(oid)?.critical === true;
  }

  /** Same subject and same key: the same entity, whoever signed (RFC 4158 section 5.2). */
  isSameEntity(other: Certificate): boolean {
    return this.spki.equals(other.spki) && this.subject.equals(other.subject);
  }

  /** Checks the signature with the issuer's key, which must have passed the key-strength rule (security rule 27). */
  isSignedBy(issuer: Certificate): boolean {
    return issuer.verifies(this.signatureAlgorithm, this.#signed, this.#signature);
  }

  /** Whether this certificate's key made a signature; the key must have passed the key-strength rule (security rule 27). */
  verifies(algorithm: SignatureAlgorithm, signed: Buffer, signature: Buffer): boolean {
    const key = this.#key();
    return key !== null && isSignedBy(key, algorithm, signed, signature);
  }

  /** The native key, made on first use and kept: store certificates pay for it once. null if OpenSSL does not take it. */
  #key(): KeyObject | null {
    if (this.#nativeKey === undefined) {
      try {
        this.#nativeKey = createPublicKey({ key: this.spki, format: 'der', type: 'spki' });
      } catch {
        this.#nativeKey = null; // for instance a point that is not on its curve
      }
    }
    return this.#nativeKey;
  }
}

/** Parses one DER certificate. Throws DerError with what is wrong. */
export function parseCertificate(der: Uint8Array): Certificate {
  return new Certificate(der);
}

function readVersion(tbs: DerReader): 1 | 2 | 3 {
  const explicit = tbs.enterOptional(contextConstructed(0));
  if (explicit === null) return 1;
  const number = explicit.smallInteger();
  explicit.finish();
  if (number === 0) return 1; // the DEFAULT, which DER omits; written by some, and it has one meaning only
  if (number === 1) return 2;
  if (number === 2) return 3;
  throw new DerError(`version field ${number}, expected 0 to 2`);
}

function skipUniqueIds(tbs: DerReader, version: number): void {
  for (const number of [1, 2]) {
    if (tbs.nextTag !== contextPrimitive(number)) continue;
    if (version === 1) throw new DerError('unique identifier in a v1 certificate'); // RFC 5280 section 4.1.2.8
    const bits = tbs.read(contextPrimitive(number));
    if (bits.length === 0 || bits[0]! > 7) throw new DerError('unique identifier that is not a BIT STRING');
  }
}

function readExtensions(tbs: DerReader, version: number): ReadonlyMap<string, Extension> {
  const explicit = tbs.enterOptional(contextConstructed(3));
  if (explicit === null) return new Map();
  if (version !== 3) throw new DerError(`extensions in a v${version} certificate`); // RFC 5280 section 4.1.2.9
  const extensions = readExtensionList(explicit.enter(TAG.sequence));
  explicit.finish();
  return extensions;
}

/** Reads Extensions (RFC 5280 section 4.1.2.9), of a certificate, a CRL or an entry of one; `sequence` is at the first. */
export function readExtensionList(sequence: DerReader): ReadonlyMap<string, Extension> {
  const extensions = new Map<string, Extension>();
  while (!sequence.atEnd) {
    const item = sequence.enter(TAG.sequence);
    const oid = item.oid();
    // An explicit FALSE is not DER, but older CA software writes it and it has one meaning only.
    const critical = item.nextTag === TAG.boolean ? item.boolean() : false;
    const value = item.read(TAG.octetString);
    item.finish();
    if (extensions.has(oid)) throw new DerError(`extension ${oidLabel(oid)} appears twice`); // RFC 5280 section 4.2
    extensions.set(oid, { oid, critical, value });
  }
  if (extensions.size === 0) throw new DerError('empty list of extensions');
  return extensions;
}

/** Reads one extension's value, if it is there; says in which one it was when that fails. */
export function known<T>(
  extensions: ReadonlyMap<string, Extension>,
  oid: string,
  read: (value: Buffer) => T,
): T | null {
  const extension = extensions.get(oid);
  if (extension === undefined) return null;
  try {
    return read(extension.value);
  } catch (thrown) {
    if (!(thrown instanceof DerError)) throw thrown;
    throw new DerError(`extension ${oidLabel(oid)}: ${thrown.message}`);
  }
}

const MAX_CERTIFICATE_BYTES = 1 << 20; // the peer's limit is 16 KiB for the chain; this bounds files and batch requests
