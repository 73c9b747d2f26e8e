import { createPublicKey } from 'node:crypto';
import { digestOf } from '../base/digest.ts';
import { type Certificate, parseCertificate } from '../pki/certificate.ts';
import { DerError } from '../pki/der.ts';
import { OID, oidLabel } from '../pki/oids.ts';
import type { Findings } from './findings.ts';
import { isHostName } from './host-name.ts';
import type { LinkedCertificate } from './linked.ts';
import { readPem, readPrivateKey, writeCertificates } from './pem.ts';
import type { PemSource } from './pem-field.ts';
import type { Resource } from './resource.ts';
import { warnOfChain } from './served-chain.ts';
import { shownText } from './shown.ts';

export interface CertificateSources {
  readonly certificate: PemSource;
  readonly privateKey: PemSource;
}

interface Checks {
  readonly resource: Resource<'sslCertificates'> | Resource<'certificates'>;
  readonly findings: Findings;
  readonly nowMs: number;
}

/**
 * A certificate with its key, checked for its role: key types and sizes, a key that fits, an ordered chain, usages (spec 2.1, 2.2, 3.1).
 * Reports and returns null when it cannot be served. An expired server certificate is only warned about: Google serves it too (spec 5.1).
 */
export function examineCertificate(sources: CertificateSources, checks: Checks): LinkedCertificate | null {
  const chain = readChain(sources.certificate, checks);
  const keyReading = readPrivateKey(sources.privateKey.text);
  if (keyReading.key === null) {
    checks.findings.error(
      checks.resource,
      sources.privateKey.path,
      `Cannot read the private key: ${keyReading.problem}`,
    );
  }
  const leaf = chain?.[0];
  if (chain === null || leaf === undefined) return null;
  const role = roleOf(checks.resource);
  const key = keyTypeOf(leaf, role);
  if (key === null) {
    reportCertificate(
      sources,
      checks,
      `found ${keyLabel(leaf)}, expected ${EXPECTED_KEYS[role]}; issue it with such a key`,
    );
  } else if (keyReading.key !== null) {
    const spki = createPublicKey(keyReading.key).export({ type: 'spki', format: 'der' });
    if (!leaf.spki.equals(spki)) {
      const message =
        'Cannot use the private key: it does not belong to the certificate, expected the key of the first certificate; check that both files are of one pair';
      checks.findings.error(checks.resource, sources.privateKey.path, message);
      return null;
    }
  }
  const isSound = checkLeaf(leaf, role, sources, checks);
  if (role === 'server')
    warnOfChain(
      chain,
      (message) => checks.findings.warning(checks.resource, sources.certificate.path, message),
      checks.nowMs,
    );
  if (key === null || keyReading.key === null || !isSound) return null;
  const certificatePem = writeCertificates(chain.map(({ der }) => der));
  const privateKeyPem = keyReading.key.export({ type: 'pkcs8', format: 'pem' }).toString();
  const name = checks.resource.name ?? '';
  return {
    name,
    collection: checks.resource.kind,
    role,
    digest: digestOf({ name, role, certificatePem, privateKeyPem }),
    certificatePem,
    privateKeyPem,
    ...key,
    hostNames: hostNamesOf(leaf),
    notBeforeMs: leaf.notBeforeMs,
    notAfterMs: leaf.notAfterMs,
    subject: leaf.subject.text,
    serial: leaf.serial.toString('hex'),
    sha256: leaf.sha256,
    file: sources.certificate.file,
    privateKeyFile: sources.privateKey.file,
    fileModifiedMs: newest(sources.certificate.fileModifiedMs, sources.privateKey.fileModifiedMs),
  };
}

function newest(a: number | null, b: number | null): number | null {
  return a === null || b === null ? (a ?? b) : Math.max(a, b);
}

/** Certificate Manager's are for backends only with scope CLIENT_AUTH (spec 3.8). */
function roleOf(resource: Resource<'sslCertificates'> | Resource<'certificates'>): 'server' | 'client' {
  return resource.kind === 'certificates' && resource.spec?.scope === 'CLIENT_AUTH' ? 'client' : 'server';
}

/** Parses one certificate, or says what is wrong with it. */
export function parseOrProblem(der: Uint8Array): Certificate | string {
  try {
    return parseCertificate(der);
  } catch (error) {
    if (error instanceof DerError) return shownText(error.message);
    throw error;
  }
}

/** 'RSA-2048', 'P-256', … as messages name keys. */
export function keyLabel(certificate: Certificate): string {
  const { publicKey } = certificate;
  if (publicKey.kind === 'RSA') return `an RSA key of ${publicKey.bits} bits`;
  if (publicKey.kind === 'EC') return `an elliptic-curve key on ${oidLabel(publicKey.curve)}`;
  return `a key of type ${oidLabel(publicKey.algorithm)}`;
}

/** DNS SANs, and the CN if it is a host name (spec 5.1: the CN takes part), lower-cased, without trailing dot. */
export function hostNamesOf(leaf: Certificate): readonly string[] {
  const names = new Set<string>();
  for (const commonName of leaf.subject.values(COMMON_NAME)) names.add(commonName);
  for (const name of leaf.subjectAltName ?? []) if (name.kind === 'dns') names.add(name.text);
  return [...new Set([...names].map((name) => name.toLowerCase().replace(/\.$/, '')))].filter((name) =>
    isHostName(name.startsWith('*.') ? name.slice(2) : name),
  );
}

function readChain(source: PemSource, checks: Checks): readonly Certificate[] | null {
  const fail = (problem: string) => {
    checks.findings.error(checks.resource, source.path, `Cannot read the certificate: ${problem}`);
    return null;
  };
  const blocks = readPem(source.text)?.filter(({ label }) => label === 'CERTIFICATE');
  if (blocks === undefined) return fail('found a broken PEM block, expected PEM certificates, leaf first');
  if (blocks.length === 0) return fail('found no PEM certificate, expected the chain, leaf first');
  const most = MAX_CHAIN[checks.resource.kind];
  if (blocks.length > most)
    return fail(`found a chain of ${blocks.length} certificates, expected at most ${most}; leave the root out`);
  const chain: Certificate[] = [];
  for (const [index, block] of blocks.entries()) {
    const parsed = parseOrProblem(block.der);
    if (typeof parsed === 'string') return fail(`found ${parsed} in certificate ${index + 1}, expected DER (RFC 5280)`);
    const child = chain.at(-1);
    if (child !== undefined && !(child.issuer.equals(parsed.subject) && isIssuer(parsed, child))) {
      return fail(
        `found certificate ${index + 1} (${parsed.subject.text}), which did not issue certificate ${index} (${child.subject.text}), expected the leaf, then its issuer, then that one's; put them in order`,
      );
    }
    chain.push(parsed);
  }
  return chain;
}

/** A signature that cannot be checked (SHA-1, Ed25519) is for the client to judge; a wrong one is an error. */
function isIssuer(issuer: Certificate, child: Certificate): boolean {
  return child.signatureAlgorithm.kind === 'unsupported' || child.isSignedBy(issuer);
}

function checkLeaf(leaf: Certificate, role: 'server' | 'client', sources: CertificateSources, checks: Checks): boolean {
  let isSound = true;
  const refuse = (problem: string) => {
    reportCertificate(sources, checks, problem);
    isSound = false;
  };
  const warn = (message: string) => checks.findings.warning(checks.resource, sources.certificate.path, message);
  if (leaf.signatureAlgorithm.kind === 'unsupported') {
    refuse(
      `found signature algorithm ${oidLabel(leaf.signatureAlgorithm.oid)}, expected RSA or ECDSA with SHA-256, SHA-384 or SHA-512; issue it again`,
    );
  }
  const isExpired = leaf.notAfterMs < checks.nowMs;
  const day = new Date(leaf.notAfterMs).toISOString().slice(0, 10);
  if (role === 'client') {
    const usages = leaf.extendedKeyUsage ?? [];
    const barred = usages.filter((usage) => BARRED_USAGES.has(usage));
    if (!usages.includes(OID.clientAuth))
      refuse(
        `found extended key usage ${usages.map(oidLabel).join(', ') || '(none)'}, expected clientAuth; issue it for client authentication`,
      );
    if (barred.length > 0)
      refuse(
        `found extended key usage ${barred.map(oidLabel).join(', ')}, expected none of codeSigning, timeStamping and OCSPSigning; issue it for client authentication only`,
      );
    if (leaf.basicConstraints?.ca === true)
      refuse('found a CA certificate (basicConstraints), expected a leaf; issue it with CA:FALSE');
    if (isExpired) refuse(`found that it expired on ${day}, expected one inside its validity; renew it`);
  } else {
    if (isExpired) warn(`This certificate expired on ${day}: clients will refuse it, though it is served; renew it`);
    else if (leaf.notAfterMs - checks.nowMs < renewalMs(leaf)) warn(`This certificate expires on ${day}; renew it`);
    if (leaf.extendedKeyUsage !== null && !leaf.extendedKeyUsage.includes(OID.serverAuth)) {
      warn(
        'This certificate has an extended key usage without serverAuth: clients will refuse it; issue it for server authentication',
      );
    }
    if (hostNamesOf(leaf).length === 0)
      warn('This certificate has no DNS name: no SNI matches it, and it serves only as the default');
  }
  if (leaf.notBeforeMs > checks.nowMs) {
    const from = new Date(leaf.notBeforeMs).toISOString().slice(0, 10);
    warn(`This certificate is not valid before ${from}: peers will refuse it until then`);
  }
  return isSound;
}

/** What is left of its life when it should have been renewed: a sixth (15 days of a 90-day one), 30 days at most. */
function renewalMs({ notBeforeMs, notAfterMs }: Certificate): number {
  return Math.min((notAfterMs - notBeforeMs) / 6, LONGEST_RENEWAL_MS);
}

function reportCertificate(sources: CertificateSources, checks: Checks, problem: string): void {
  checks.findings.error(checks.resource, sources.certificate.path, `Cannot use the certificate: ${problem}`);
}

function keyTypeOf(
  leaf: Certificate,
  role: 'server' | 'client',
): Pick<LinkedCertificate, 'keyType' | 'keyBits'> | null {
  const { publicKey } = leaf;
  if (publicKey.kind === 'RSA') {
    const { bits } = publicKey;
    // spec 3.1: three sizes towards clients; spec 2.2: a range towards backends.
    const fits = role === 'server' ? SERVER_RSA_BITS.has(bits) : bits >= 2048 && bits <= 4096;
    return fits ? { keyType: 'RSA', keyBits: bits } : null;
  }
  if (publicKey.kind !== 'EC') return null;
  if (publicKey.curve === OID.p256) return { keyType: 'P-256', keyBits: 256 };
  return publicKey.curve === OID.p384 ? { keyType: 'P-384', keyBits: 384 } : null;
}

const MAX_CHAIN = { sslCertificates: 5, certificates: 10 } as const; // spec 3.1; 2.4: what we accept from a peer
const SERVER_RSA_BITS: ReadonlySet<number> = new Set([2048, 3072, 4096]);
const EXPECTED_KEYS = {
  server: 'RSA with 2048, 3072 or 4096 bits, or ECDSA on P-256 or P-384',
  client: 'RSA with 2048 to 4096 bits, or ECDSA on P-256 or P-384',
} as const;
const BARRED_USAGES: ReadonlySet<string> = new Set([OID.codeSigning, OID.timeStamping, OID.ocspSigning]); // spec 2.2
const LONGEST_RENEWAL_MS = 30 * 86_400_000;
const COMMON_NAME = '2.5.4.3'; // X.520
