import { KeyObject, randomBytes, sign } from 'node:crypto';
import { BitString, fromBER, Integer, Null, OctetString } from 'asn1js';
import { AlgorithmIdentifier, Certificate, PublicKeyInfo, Time } from 'pkijs';
import type { Issued, IssueRequest } from './contract.ts';
import { parseDistinguishedName } from './distinguished-name.ts';
import { keyIdentifier, makeExtensions } from './extensions.ts';
import { makeKeyPair, privateKeyPem, publicKeyDer } from './key-pair.ts';

/**
 * Makes one certificate and, unless `keyFrom` is given, its key pair. What is asked for is written, even where RFC 5280 forbids it:
 * test PKIs need wrong certificates too.
 * @throws Error when a name, an address or the serial number cannot be read
 */
export async function issue(request: IssueRequest): Promise<Issued> {
  const keys = request.keyFrom?.keys ?? (await makeKeyPair(request.keyType ?? 'p256'));
  const certificate = new Certificate({ version: 2 });
  certificate.serialNumber = new Integer({ valueHex: serialBytes(request.serialHex) });
  certificate.subjectPublicKeyInfo = PublicKeyInfo.fromBER(Uint8Array.from(publicKeyDer(keys)).buffer);
  certificate.subject = parseDistinguishedName(request.subject);

  const issuer = request.issuer === undefined ? null : Certificate.fromBER(Uint8Array.from(request.issuer.der).buffer);
  certificate.issuer = issuer?.subject ?? certificate.subject;
  const notBefore = request.notBefore ?? new Date(Date.now() - HOUR_MS);
  certificate.notBefore = encodeTime(notBefore);
  certificate.notAfter = encodeTime(request.notAfter ?? new Date(notBefore.getTime() + DEFAULT_VALIDITY_MS));

  const publicKey = KeyObject.from(keys.publicKey);
  const signingKey = KeyObject.from((request.issuer?.keys ?? keys).privateKey);
  certificate.extensions = makeExtensions(
    request,
    { isRsa: publicKey.asymmetricKeyType === 'rsa' },
    keyIdentifier(certificate.subjectPublicKeyInfo.subjectPublicKey.valueBlock.valueHexView),
    issuer === null ? null : subjectKeyIdentifier(issuer),
  );
  const der = signCertificate(certificate, signingKey, request.signatureHash ?? defaultHash(signingKey));
  return {
    certificatePem: certificatePem(der),
    privateKeyPem: privateKeyPem(keys),
    der,
    keys,
    subject: request.subject,
  };
}

/** RFC 7468 text of one certificate. */
export function certificatePem(der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}

/** Signs with node:crypto, not pkijs: it takes Ed25519 and any hash, and writes ECDSA signatures as X.509 wants them (DER). */
function signCertificate(certificate: Certificate, key: KeyObject, hash: SignatureHash): Uint8Array {
  const algorithm = signatureAlgorithm(key, hash);
  certificate.signature = algorithm;
  certificate.signatureAlgorithm = algorithm;
  const tbs = Buffer.from(certificate.encodeTBS().toBER());
  const digest = key.asymmetricKeyType === 'ed25519' ? null : hash.replace('-', '').toLowerCase();
  certificate.signatureValue = new BitString({ valueHex: Uint8Array.from(sign(digest, tbs, key)).buffer });
  return new Uint8Array(certificate.toSchema(true).toBER());
}

function signatureAlgorithm(key: KeyObject, hash: SignatureHash): AlgorithmIdentifier {
  switch (key.asymmetricKeyType) {
    case 'rsa': // RFC 4055 §5: parameters are NULL
      return new AlgorithmIdentifier({ algorithmId: RSA_OIDS[hash], algorithmParams: new Null() });
    case 'ec': // RFC 5758 §3.2: parameters are absent
      return new AlgorithmIdentifier({ algorithmId: ECDSA_OIDS[hash] });
    case 'ed25519':
      return new AlgorithmIdentifier({ algorithmId: ED25519_OID });
    default:
      throw new Error(
        `Cannot sign a certificate: found a key of type ${key.asymmetricKeyType}, expected rsa, ec or ed25519`,
      );
  }
}

/** The hash as strong as the curve (RFC 5480 §4). */
function defaultHash(key: KeyObject): SignatureHash {
  const curve = key.asymmetricKeyDetails?.namedCurve;
  if (curve === 'secp384r1') return 'SHA-384';
  return curve === 'secp521r1' ? 'SHA-512' : 'SHA-256';
}

/** What the issuer calls its key, or the usual identifier where it has none: an AKID that is always there and always right. */
function subjectKeyIdentifier(issuer: Certificate): Uint8Array {
  const extension = issuer.extensions?.find((candidate) => candidate.extnID === '2.5.29.14');
  if (extension === undefined)
    return keyIdentifier(issuer.subjectPublicKeyInfo.subjectPublicKey.valueBlock.valueHexView);
  const value = fromBER(extension.extnValue.valueBlock.valueHexView).result;
  return value instanceof OctetString ? value.valueBlock.valueHexView : new Uint8Array();
}

/** RFC 5280 §4.1.2.2: positive, at most 20 octets; random by default so that no two certificates of an issuer share it. */
function serialBytes(serialHex: string | undefined): ArrayBuffer {
  if (serialHex !== undefined && !/^(?:[0-9a-f]{2})+$/i.test(serialHex)) {
    throw new Error(`Cannot read the serial number '${serialHex}': expected an even number of hexadecimal digits`);
  }
  const magnitude = serialHex === undefined ? randomSerial() : Buffer.from(serialHex, 'hex');
  return Uint8Array.from((magnitude[0] ?? 0) >= 0x80 ? [0, ...magnitude] : magnitude).buffer;
}

function randomSerial(): Buffer {
  const serial = randomBytes(16);
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40; // positive, and never a leading zero octet (X.690 §8.3.2)
  return serial;
}

/** RFC 5280 §4.1.2.5: UTCTime through 2049, GeneralizedTime from 2050; whole seconds. */
function encodeTime(date: Date): Time {
  const value = new Date(Math.floor(date.getTime() / 1000) * 1000);
  const year = value.getUTCFullYear();
  return new Time({ type: year >= 1950 && year < 2050 ? 0 : 1, value });
}

type SignatureHash = NonNullable<IssueRequest['signatureHash']>;

const HOUR_MS = 3_600_000;
/** As long as the demo root lives (security rule 13). */
const DEFAULT_VALIDITY_MS = 30 * 24 * HOUR_MS;
/** RFC 8017 appendix A.2.4. */
const RSA_OIDS: Readonly<Record<SignatureHash, string>> = {
  'SHA-1': '1.2.840.113549.1.1.5',
  'SHA-256': '1.2.840.113549.1.1.11',
  'SHA-384': '1.2.840.113549.1.1.12',
  'SHA-512': '1.2.840.113549.1.1.13',
};
/** RFC 5758 §3.2; ecdsa-with-SHA1: RFC 3279 §2.2.3. */
const ECDSA_OIDS: Readonly<Record<SignatureHash, string>> = {
  'SHA-1': '1.2.840.10045.4.1',
  'SHA-256': '1.2.840.10045.4.3.2',
  'SHA-384': '1.2.840.10045.4.3.3',
  'SHA-512': '1.2.840.10045.4.3.4',
};
/** RFC 8410 §3. */
const ED25519_OID = '1.3.101.112';
