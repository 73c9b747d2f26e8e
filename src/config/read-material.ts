import { examineCertificate } from './certificate-material.ts';
import type { FileReader } from './file-reader.ts';
import type { Findings } from './findings.ts';
import type { LinkedCertificate, LinkedTrustConfig } from './linked.ts';
import { type PemFields, readPemField } from './pem-field.ts';
import type { Resource, ResourceGraph } from './resource.ts';
import type { RuleContext } from './rules/context.ts';
import { examineTrustConfig } from './trust-material.ts';

/** Certificates, keys and trust, out of the YAML or the files that it names. */
export async function readMaterial(
  graph: ResourceGraph,
  checks: MaterialChecks,
): Promise<Pick<RuleContext, 'certificates' | 'trustConfigs'>> {
  const certificates = new Map<Resource, LinkedCertificate>();
  const trustConfigs = new Map<Resource, LinkedTrustConfig>();
  for (const resource of [...graph.all('sslCertificates'), ...graph.all('certificates')]) {
    const certificate = await readCertificate(resource, checks);
    if (certificate !== null) certificates.set(resource, certificate);
  }
  for (const resource of graph.all('trustConfigs')) {
    const trust = resource.spec === null ? null : await examineTrustConfig(resource.spec, { resource, ...checks });
    if (trust !== null) trustConfigs.set(resource, trust);
  }
  return { certificates, trustConfigs };
}

async function readCertificate(
  resource: Resource<'sslCertificates'> | Resource<'certificates'>,
  checks: MaterialChecks,
): Promise<LinkedCertificate | null> {
  const fields = pemFields(resource, checks.findings);
  if (fields === null) return null;
  const [certificateField, keyField] =
    resource.kind === 'certificates'
      ? (['pemCertificate', 'pemPrivateKey'] as const)
      : (['certificate', 'privateKey'] as const);
  const at = { resource, ...checks };
  const certificate = await readPemField(certificateField, fields, at);
  const privateKey = await readPemField(keyField, fields, at);
  if (certificate === null || privateKey === null) return null;
  return examineCertificate({ certificate, privateKey }, at);
}

/** `selfManaged`, or for sslCertificates the legacy fields at the top; null when it is neither or both. */
function pemFields(
  resource: Resource<'sslCertificates'> | Resource<'certificates'>,
  findings: Findings,
): PemFields | null {
  const { spec } = resource;
  if (spec === null) return null;
  const legacy = resource.kind === 'sslCertificates' ? LEGACY_FIELDS.filter((field) => Object.hasOwn(spec, field)) : [];
  if (spec.selfManaged === undefined) return { values: spec, path: [] };
  if (legacy.length === 0) return { values: spec.selfManaged, path: ['selfManaged'] };
  findings.error(
    resource,
    [legacy[0] ?? ''],
    `Cannot accept ${legacy[0]}: found selfManaged too, expected one of the two forms; remove the legacy field`,
  );
  return null;
}

interface MaterialChecks {
  readonly findings: Findings;
  readonly files: FileReader;
  readonly nowMs: number;
}

const LEGACY_FIELDS = ['certificate', 'certificateFile', 'privateKey', 'privateKeyFile'] as const;
