import { digestOf } from '../base/digest.ts';
import type { Certificate } from '../pki/certificate.ts';
import { OID } from '../pki/oids.ts';
import { keyLabel, parseOrProblem } from './certificate-material.ts';
import type { FileReader } from './file-reader.ts';
import type { Findings } from './findings.ts';
import type { LinkedTrustConfig } from './linked.ts';
import { readPem } from './pem.ts';
import { readPemField } from './pem-field.ts';
import type { Resource } from './resource.ts';
import { examineRevocation } from './revocation-material.ts';
import type { Spec } from './schema/kinds.ts';
import type { Path } from './written.ts';

interface Checks {
  readonly resource: Resource<'trustConfigs'>;
  readonly findings: Findings;
  readonly files: FileReader;
  readonly nowMs: number;
  /** Whose certificates are checked against it: backends' (server), clients'. */
  readonly purposes: ReadonlySet<'server' | 'client'>;
}

type Entry = Spec<'trustConfigs'>['allowlistedCertificates'][number];

/** The certificates of a trust config within the limits of spec 2.4, or null when one cannot be read. */
export async function examineTrustConfig(
  spec: Spec<'trustConfigs'>,
  checks: Checks,
): Promise<LinkedTrustConfig | null> {
  const store = spec.trustStores[0] ?? { trustAnchors: [], intermediateCas: [] };
  const { findings, resource } = checks;
  const before = findings.errors;
  const total = store.trustAnchors.length + store.intermediateCas.length;
  if (total > MAX_AUTHORITIES) {
    findings.error(
      resource,
      ['trustStores', 0],
      `Cannot accept trustStores[0]: found ${total} trust anchors and intermediates, expected at most ${MAX_AUTHORITIES}; remove some`,
    );
  }
  if (store.intermediateCas.length > MAX_INTERMEDIATES) {
    findings.error(
      resource,
      ['trustStores', 0, 'intermediateCas'],
      `Cannot accept trustStores[0].intermediateCas: found ${store.intermediateCas.length}, expected at most ${MAX_INTERMEDIATES}; remove some`,
    );
  }
  const anchors = await readAll(store.trustAnchors, ['trustStores', 0, 'trustAnchors'], 'authority', checks);
  const intermediates = await readAll(
    store.intermediateCas,
    ['trustStores', 0, 'intermediateCas'],
    'authority',
    checks,
  );
  const allowlist = await readAll(spec.allowlistedCertificates, ['allowlistedCertificates'], 'leaf', checks);
  checkSameEntities(intermediates, checks);
  const authorities = [...anchors, ...intermediates].map(({ certificate }) => certificate);
  const revocation =
    spec.revocation === undefined ? null : await examineRevocation(spec.revocation, authorities, checks);
  if (findings.errors > before) return null;
  const contents = {
    anchors: anchors.map(({ certificate }) => Uint8Array.from(certificate.der)),
    intermediates: intermediates.map(({ certificate }) => Uint8Array.from(certificate.der)),
    allowlist: allowlist.map(({ certificate }) => Uint8Array.from(certificate.der)),
  };
  return { name: resource.name ?? '', digest: digestOf(contents), ...contents, revocation };
}

interface Member {
  readonly certificate: Certificate;
  readonly path: Path;
}

async function readAll(
  entries: readonly Entry[],
  path: Path,
  use: 'authority' | 'leaf',
  checks: Checks,
): Promise<readonly Member[]> {
  const members: Member[] = [];
  const seen = new Map<string, number>();
  for (const [index, entry] of entries.entries()) {
    const source = await readPemField('pemCertificate', { values: entry, path: [...path, index] }, checks);
    if (source === null) continue;
    const certificate = readOne(source.text, source.path, checks);
    if (certificate === null) continue;
    const first = seen.get(certificate.sha256);
    if (first !== undefined) {
      checks.findings.warning(
        checks.resource,
        source.path,
        `This certificate is entry ${first} of the same list already; remove one`,
      );
      continue;
    }
    seen.set(certificate.sha256, index);
    if (use === 'authority') checkAuthority(certificate, source.path, checks);
    else checkAllowlisted(certificate, source.path, checks);
    members.push({ certificate, path: source.path });
  }
  return members;
}

function readOne(text: string, path: Path, { resource, findings }: Checks): Certificate | null {
  const fail = (problem: string) => {
    findings.error(resource, path, `Cannot read the certificate: ${problem}`);
    return null;
  };
  const blocks = readPem(text)?.filter(({ label }) => label === 'CERTIFICATE');
  if (blocks === undefined) return fail('found a broken PEM block, expected one PEM certificate');
  const [block] = blocks;
  if (block === undefined || blocks.length > 1) {
    return fail(`found ${blocks.length} PEM certificates, expected 1; write one entry for each`);
  }
  const pemBytes = Math.ceil(block.der.length / 3) * 4;
  if (pemBytes > MAX_PEM_BYTES) return fail(`found ${pemBytes} bytes of PEM, expected at most ${MAX_PEM_BYTES}`);
  const parsed = parseOrProblem(block.der);
  return typeof parsed === 'string' ? fail(`found ${parsed}, expected DER (RFC 5280)`) : parsed;
}

/** What spec 2.2 asks of roots and intermediates. Only limits are errors: the verifier refuses chains through the rest, and says why. */
function checkAuthority(certificate: Certificate, path: Path, { resource, findings, nowMs, purposes }: Checks): void {
  const warn = (found: string) => {
    findings.warning(
      resource,
      path,
      `No chain through ${certificate.subject.text} will be accepted: ${found}; replace it`,
    );
  };
  const constraints = certificate.nameConstraints;
  const count = (constraints?.permitted.length ?? 0) + (constraints?.excluded.length ?? 0);
  if (count > MAX_NAME_CONSTRAINTS) {
    findings.error(
      resource,
      path,
      `Cannot accept the certificate: found ${count} name constraints, expected at most ${MAX_NAME_CONSTRAINTS}`,
    );
  }
  if (certificate.basicConstraints?.ca !== true) warn('it is not a CA certificate (basicConstraints)');
  else if (certificate.keyUsage !== null && (certificate.keyUsage & KEY_CERT_SIGN) === 0)
    warn('its key usage lacks keyCertSign');
  const usages = certificate.extendedKeyUsage;
  if (usages !== null && !usages.includes(OID.anyExtendedKeyUsage)) {
    if (purposes.has('server') && !usages.includes(OID.serverAuth)) warn('its extended key usage lacks serverAuth');
    if (purposes.has('client') && !usages.includes(OID.clientAuth)) warn('its extended key usage lacks clientAuth');
  }
  if (!hasAcceptedKey(certificate))
    warn(`it has ${keyLabel(certificate)}, expected RSA with 2048 to 4096 bits, P-256 or P-384`);
  if (certificate.notAfterMs < nowMs)
    warn(`it expired on ${new Date(certificate.notAfterMs).toISOString().slice(0, 10)}`);
}

function checkAllowlisted(certificate: Certificate, path: Path, { resource, findings }: Checks): void {
  const { publicKey } = certificate;
  if (publicKey.kind !== 'RSA' || publicKey.bits >= 2048) return;
  findings.warning(
    resource,
    path,
    `This allowlisted certificate has an RSA key of ${publicKey.bits} bits, which can be broken: it is accepted all the same; replace it by one with at least 2048 bits`,
  );
}

/** Spec 10.7: at most three intermediates with one subject and key. */
function checkSameEntities(intermediates: readonly Member[], { resource, findings }: Checks): void {
  const counts = new Map<string, number>();
  for (const { certificate, path } of intermediates) {
    const key = `${certificate.subject.der.toString('hex')}/${certificate.spki.toString('hex')}`;
    const count = (counts.get(key) ?? 0) + 1;
    counts.set(key, count);
    if (count !== MAX_SAME_ENTITY + 1) continue;
    findings.error(
      resource,
      path,
      `Cannot accept the intermediate ${certificate.subject.text}: found more than ${MAX_SAME_ENTITY} with this subject and public key, expected at most ${MAX_SAME_ENTITY}; remove some`,
    );
  }
}

function hasAcceptedKey({ publicKey }: Certificate): boolean {
  if (publicKey.kind === 'RSA') return publicKey.bits >= 2048 && publicKey.bits <= 4096;
  return publicKey.kind === 'EC' && (publicKey.curve === OID.p256 || publicKey.curve === OID.p384);
}

// Spec 2.4 and 10.7.
const MAX_AUTHORITIES = 200;
const MAX_INTERMEDIATES = 100;
const MAX_SAME_ENTITY = 3;
const MAX_NAME_CONSTRAINTS = 10;
const MAX_PEM_BYTES = 5 * 1024; // "5 kB"
const KEY_CERT_SIGN = 0x0400; // bit 5 of keyUsage, of 16
