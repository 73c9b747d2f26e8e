import { checkedInteger, DerError, DerReader, TAG } from './der.ts';
import { OID } from './oids.ts';

/**
 * What a SubjectPublicKeyInfo says of itself, read without native code: OpenSSL would compute with explicit curve parameters of
 * a stranger (security rule 27; CVE-2022-0778 was such a parse).
 */
export type PublicKeyFacts =
  | { readonly kind: 'RSA'; readonly bits: number; readonly modulus: Buffer; readonly exponent: Buffer }
  | { readonly kind: 'EC'; readonly curve: string; readonly point: Buffer }
  | { readonly kind: 'other'; readonly algorithm: string };

/** `curve` of an EC key that gives its parameters in full, or none, instead of a named curve's OID. */
export const EXPLICIT_CURVE = 'explicit parameters';

/** Reads a SubjectPublicKeyInfo with its header (RFC 3279 section 2.3.1, RFC 5480 section 2.1). Throws DerError. */
export function readPublicKey(spki: Buffer): PublicKeyFacts {
  const outer = new DerReader(spki);
  const info = outer.enter(TAG.sequence);
  const algorithm = info.enter(TAG.sequence);
  const oid = algorithm.oid();
  const parameters = algorithm.atEnd ? null : algorithm.element();
  algorithm.finish();
  const key = info.octetAlignedBitString();
  info.finish();
  outer.finish();
  if (oid === OID.rsaEncryption) {
    if (parameters === null || parameters.tag !== TAG.null || parameters.content.length !== 0) {
      throw new DerError('RSA key whose algorithm parameters are not NULL'); // RFC 3279 section 2.3.1
    }
    return readRsaKey(key);
  }
  if (oid === OID.ecPublicKey) {
    const named = parameters !== null && parameters.tag === TAG.oid;
    return { kind: 'EC', curve: named ? new DerReader(parameters.whole).oid() : EXPLICIT_CURVE, point: key };
  }
  return { kind: 'other', algorithm: oid };
}

function readRsaKey(key: Buffer): PublicKeyFacts {
  const outer = new DerReader(key);
  const sequence = outer.enter(TAG.sequence);
  const modulus = unsigned(sequence.integer());
  const exponent = unsigned(sequence.integer());
  sequence.finish();
  outer.finish();
  const bits = modulus.length === 0 ? 0 : modulus.length * 8 - Math.clz32(modulus[0]!) + 24;
  return { kind: 'RSA', bits, modulus, exponent };
}

/** Big-endian magnitude without leading zeros (empty for 0). */
function unsigned(content: Buffer): Buffer {
  checkedInteger(content);
  if ((content[0]! & 0x80) !== 0) throw new DerError('negative RSA modulus or exponent');
  return content[0] === 0 ? content.subarray(1) : content;
}
