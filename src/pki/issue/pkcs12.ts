import { createPrivateKey, X509Certificate } from 'node:crypto';
import forge from 'node-forge';

/** What a PKCS#12 file holds: PEM, the chain leaf first. */
export interface Pkcs12Contents {
  readonly certificatePem: string;
  readonly privateKeyPem: string;
}

/**
 * Reads a PKCS#12 file (RFC 7292) with one private key, its certificate and the rest of the chain, in whatever order they are.
 * The returned string says what is wrong; it never holds anything of the file or the passphrase.
 */
export function readPkcs12(der: Uint8Array, passphrase: string): Pkcs12Contents | string {
  // RFC 7292 wants UTF-16 for the MAC, RFC 8018 practice is UTF-8 for the rest, and node-forge has one string for both
  if (!/^[\x20-\x7e]*$/.test(passphrase))
    return 'found a passphrase with other characters than printable ASCII, which is not supported';
  let bags: readonly forge.pkcs12.Bag[];
  try {
    const asn1 = forge.asn1.fromDer(forge.util.createBuffer(Buffer.from(der).toString('binary')));
    const pfx = forge.pkcs12.pkcs12FromAsn1(asn1, false, passphrase);
    bags = pfx.safeContents.flatMap(({ safeBags }) => safeBags);
  } catch (error) {
    return problemOf(error);
  }
  const keys = bags.filter(({ type }) => type === OIDS['keyBag'] || type === OIDS['pkcs8ShroudedKeyBag']);
  const [key] = keys;
  if (key === undefined || keys.length > 1) return `found ${keys.length} private keys, expected one`;
  try {
    return contentsOf(key, bags.filter(({ type }) => type === OIDS['certBag']).map(certificateOf));
  } catch {
    return 'found a key or certificate in it that OpenSSL cannot read';
  }
}

/** node-forge parses RSA only; what it cannot parse it hands over as ASN.1. */
function contentsOf(bag: forge.pkcs12.Bag, certificates: readonly X509Certificate[]): Pkcs12Contents | string {
  const asn1 = bag.key ? forge.pki.wrapRsaPrivateKey(forge.pki.privateKeyToAsn1(bag.key)) : bag.asn1;
  const key = createPrivateKey({ key: derOf(asn1), format: 'der', type: 'pkcs8' });
  const leaf = certificates.find((certificate) => certificate.checkPrivateKey(key));
  if (leaf === undefined) return `found ${certificates.length} certificates, none of which belongs to the private key`;
  return {
    certificatePem: leafFirst(leaf, certificates).map(String).join(''),
    privateKeyPem: key.export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
}

/** The chain by issuers; what is not part of it comes last, for the check of the chain to complain about. */
function leafFirst(leaf: X509Certificate, certificates: readonly X509Certificate[]): readonly X509Certificate[] {
  const chain = [leaf];
  const rest = new Set(certificates.filter((certificate) => certificate !== leaf));
  for (let last = leaf; ; ) {
    const issuer = [...rest].find((certificate) => last.checkIssued(certificate));
    if (issuer === undefined) return [...chain, ...rest];
    chain.push(issuer);
    rest.delete(issuer);
    last = issuer;
  }
}

function certificateOf(bag: forge.pkcs12.Bag): X509Certificate {
  return new X509Certificate(derOf(bag.cert ? asSigned(bag.cert as ParsedCertificate) : bag.asn1));
}

/** node-forge writes a certificate anew, with NULL parameters where ECDSA has none; the signed part is kept as it came. */
function asSigned({ tbsCertificate, signature }: ParsedCertificate): forge.asn1.Asn1 {
  const { asn1 } = forge;
  const fields = tbsCertificate.value as forge.asn1.Asn1[];
  const hasVersion = fields[0]?.tagClass === asn1.Class.CONTEXT_SPECIFIC; // RFC 5280 §4.1: [0] version, serial, signature
  const algorithm = fields[hasVersion ? 2 : 1];
  if (algorithm === undefined) throw new Error('Cannot read the certificate: found no signature algorithm');
  const bits = asn1.create(asn1.Class.UNIVERSAL, asn1.Type.BITSTRING, false, `\0${signature}`);
  return asn1.create(asn1.Class.UNIVERSAL, asn1.Type.SEQUENCE, true, [tbsCertificate, algorithm, bits]);
}

interface ParsedCertificate extends forge.pki.Certificate {
  readonly tbsCertificate: forge.asn1.Asn1;
  readonly signature: string;
}

function derOf(asn1: forge.asn1.Asn1): Buffer {
  return Buffer.from(forge.asn1.toDer(asn1).getBytes(), 'binary');
}

function problemOf(error: unknown): string {
  const message = error instanceof Error ? error.message : '';
  if (/MAC could not be verified|password/i.test(message)) return 'found that the passphrase does not open it';
  if (/cipher|OID|algorithm|digest/i.test(message)) return 'found an encryption or MAC algorithm that is not supported';
  return 'found no PKCS#12 (DER)';
}

const OIDS: Readonly<Record<string, string>> = forge.pki.oids;
