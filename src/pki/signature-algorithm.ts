import { constants, type KeyObject, verify } from 'node:crypto';
import { contextConstructed, DerReader, TAG } from './der.ts';
import { OID } from './oids.ts';

export type SignatureHash = 'sha256' | 'sha384' | 'sha512';

/** A signature AlgorithmIdentifier that the verifier can check, or what it found instead. */
export type SignatureAlgorithm =
  | { readonly kind: 'RSA' | 'RSA-PSS' | 'ECDSA'; readonly hash: SignatureHash }
  | { readonly kind: 'unsupported'; readonly oid: string; readonly detail: string };

/** Reads an AlgorithmIdentifier with its header. Throws DerError only on broken DER. */
export function readSignatureAlgorithm(der: Buffer): SignatureAlgorithm {
  const outer = new DerReader(der);
  const identifier = outer.enter(TAG.sequence);
  outer.finish();
  const oid = identifier.oid();
  const parameters = identifier.atEnd ? null : identifier.element();
  identifier.finish();
  const simple = SIMPLE.get(oid);
  if (simple !== undefined) {
    // RFC 4055 section 5: NULL, and receivers take an absent field too. RFC 5758 section 3.2: absent.
    const isNull = parameters !== null && parameters.tag === TAG.null && parameters.content.length === 0;
    const fits = parameters === null || (isNull && simple.kind === 'RSA');
    return fits ? simple : { kind: 'unsupported', oid, detail: 'unexpected algorithm parameters' };
  }
  if (oid === OID.rsassaPss) {
    const hash = parameters === null ? null : pssHash(parameters.whole);
    if (hash !== null) return { kind: 'RSA-PSS', hash };
    return { kind: 'unsupported', oid, detail: 'PSS parameters other than one SHA-2 hash with a salt of its length' };
  }
  return { kind: 'unsupported', oid, detail: '' };
}

/** Checks a certificate's signature. The issuer's key must have passed the key-strength rule: this is the first native call on it. */
export function isSignedBy(key: KeyObject, algorithm: SignatureAlgorithm, signed: Buffer, signature: Buffer): boolean {
  if (algorithm.kind === 'unsupported') return false;
  const wanted = algorithm.kind === 'ECDSA' ? 'ec' : 'rsa';
  if (key.asymmetricKeyType !== wanted) return false;
  try {
    if (algorithm.kind === 'RSA-PSS') {
      const padding = constants.RSA_PKCS1_PSS_PADDING;
      return verify(algorithm.hash, signed, { key, padding, saltLength: SALT_BYTES[algorithm.hash] }, signature);
    }
    return verify(algorithm.hash, signed, key, signature);
  } catch {
    return false; // OpenSSL throws on some malformed signatures instead of answering
  }
}

/** The hash of RSASSA-PSS-params (RFC 4055 section 3.1) in the one shape that CAs use, or null. */
function pssHash(parameters: Buffer): SignatureHash | null {
  const outer = new DerReader(parameters);
  if (outer.nextTag !== TAG.sequence) return null;
  const sequence = outer.enter(TAG.sequence);
  const hashField = sequence.enterOptional(contextConstructed(0));
  const maskField = sequence.enterOptional(contextConstructed(1));
  const saltField = sequence.enterOptional(contextConstructed(2));
  if (hashField === null || maskField === null || saltField === null || !sequence.atEnd) return null; // the defaults are SHA-1
  const hash = readHash(hashField);
  hashField.finish();
  const mask = maskField.enter(TAG.sequence);
  maskField.finish();
  const isMgf1 = mask.oid() === OID.mgf1;
  const maskHash = isMgf1 ? readHash(mask) : null;
  if (maskHash === null) return null;
  mask.finish();
  const saltBytes = saltField.smallInteger();
  saltField.finish();
  if (hash === null || maskHash !== hash) return null;
  return saltBytes === SALT_BYTES[hash] ? hash : null;
}

function readHash(reader: DerReader): SignatureHash | null {
  const identifier = reader.enter(TAG.sequence);
  const hash = HASHES.get(identifier.oid()) ?? null;
  if (!identifier.atEnd) {
    if (identifier.read(TAG.null).length !== 0) return null;
    identifier.finish();
  }
  return hash;
}

const SALT_BYTES = { sha256: 32, sha384: 48, sha512: 64 } as const;

const HASHES: ReadonlyMap<string, SignatureHash> = new Map([
  [OID.sha256, 'sha256'],
  [OID.sha384, 'sha384'],
  [OID.sha512, 'sha512'],
]);

const SIMPLE: ReadonlyMap<string, SignatureAlgorithm & { readonly kind: 'RSA' | 'ECDSA' }> = new Map([
  [OID.sha256WithRsa, { kind: 'RSA', hash: 'sha256' }],
  [OID.sha384WithRsa, { kind: 'RSA', hash: 'sha384' }],
  [OID.sha512WithRsa, { kind: 'RSA', hash: 'sha512' }],
  [OID.ecdsaWithSha256, { kind: 'ECDSA', hash: 'sha256' }],
  [OID.ecdsaWithSha384, { kind: 'ECDSA', hash: 'sha384' }],
  [OID.ecdsaWithSha512, { kind: 'ECDSA', hash: 'sha512' }],
]);
