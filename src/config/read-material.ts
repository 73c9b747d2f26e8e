import type { FileReader } from './file-reader.ts';
import type { Findings } from './findings.ts';
import type { LinkedCertificate, LinkedTrustConfig } from './linked.ts';
import { readCertificate } from './read-certificate.ts';
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
    const trust =
      resource.spec === null
        ? null
        : await examineTrustConfig(resource.spec, { resource, purposes: purposesOf(resource, graph), ...checks });
    if (trust !== null) trustConfigs.set(resource, trust);
  }
  return { certificates, trustConfigs };
}

/** By what refers to it; a trust config that nothing refers to is judged as one for backends. */
function purposesOf(trust: Resource<'trustConfigs'>, graph: ResourceGraph): ReadonlySet<'server' | 'client'> {
  const isIt = (reference: string | undefined) => graph.resolve('trustConfigs', reference) === trust;
  const purposes = new Set<'server' | 'client'>();
  if (graph.all('serverTlsPolicies').some(({ spec }) => isIt(spec?.mtlsPolicy.clientValidationTrustConfig)))
    purposes.add('client');
  if (purposes.size === 0 || graph.all('backendAuthenticationConfigs').some(({ spec }) => isIt(spec?.trustConfig)))
    purposes.add('server');
  return purposes;
}

interface MaterialChecks {
  readonly findings: Findings;
  readonly files: FileReader;
  readonly nowMs: number;
}
