import type { Certificate } from '../certificate.ts';
import type { Finding, StatusWord } from '../finding.ts';
import { OID, oidLabel } from '../oids.ts';
import { EXPLICIT_CURVE } from '../public-key.ts';

/**
 * RSA of 2048 to 4096 bits, or ECDSA on the named curves P-256 and P-384 (spec 2.3, 2.4), anchors included. Decided on our own
 * reading of the key before OpenSSL sees it: it would compute with a stranger's explicit curve parameters, or with an exponent
 * of thousands of bits (security rule 27).
 */
export function checkKeyStrength(certificate: Certificate): Finding | null {
  const key = certificate.publicKey;
  if (key.kind === 'other') {
    return finding('keyAlgorithm', `its key algorithm is ${oidLabel(key.algorithm)}`, 'an RSA or ECDSA key');
  }
  if (key.kind === 'EC') {
    const bytes = COORDINATE_BYTES.get(key.curve);
    const curve = key.curve === EXPLICIT_CURVE ? EXPLICIT_CURVE : oidLabel(key.curve);
    if (bytes === undefined) return finding('curve', `its key is on the curve ${curve}`, 'P-256 or P-384 by name');
    if (isPoint(key.point, bytes)) return null;
    return finding('curve', `its key is no point of ${curve}`, 'an encoded curve point (RFC 5480 section 2.2)');
  }
  if (key.bits < MIN_RSA_BITS || key.bits > MAX_RSA_BITS) {
    return finding('rsaKeySize', `its RSA key has ${key.bits} bits`, `${MIN_RSA_BITS} to ${MAX_RSA_BITS} bits`);
  }
  if (!isOdd(key.modulus)) return finding('rsaKeySize', 'its RSA modulus is even', 'a product of two primes');
  const { exponent } = key;
  const isSound =
    isOdd(exponent) && exponent.length <= MAX_EXPONENT_BYTES && !(exponent.length === 1 && exponent[0] === 1);
  return isSound ? null : finding('rsaKeySize', 'its RSA exponent is unusable', 'an odd number from 3 to 4294967295');
}

function isPoint(point: Buffer, coordinateBytes: number): boolean {
  if (point[0] === 4) return point.length === 1 + 2 * coordinateBytes;
  return (point[0] === 2 || point[0] === 3) && point.length === 1 + coordinateBytes;
}

function isOdd(magnitude: Buffer): boolean {
  return magnitude.length > 0 && (magnitude[magnitude.length - 1]! & 1) === 1;
}

function finding(word: StatusWord, found: string, expected: string): Finding {
  return { rule: 'key-strength', word, found, expected, fix: 'reissue it with such a key' };
}

const COORDINATE_BYTES: ReadonlyMap<string, number> = new Map([
  [OID.p256, 32],
  [OID.p384, 48],
]);

const MIN_RSA_BITS = 2048; // spec 2.3
const MAX_RSA_BITS = 4096; // spec 2.3
const MAX_EXPONENT_BYTES = 4; // BoringSSL's limit is 33 bits, NIST SP 800-56B's 256; in use are 3 and 65537
