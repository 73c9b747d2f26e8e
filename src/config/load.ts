import { readAdminToken } from './admin-token.ts';
import { collectResources } from './collect-resources.ts';
import type { Diagnostic } from './diagnostic.ts';
import type { ConfigurationDocument } from './document.ts';
import type { Environment } from './expand.ts';
import { FileReader, type FileReadings } from './file-reader.ts';
import { Findings } from './findings.ts';
import { openGeoipDatabase } from './geoip-database.ts';
import { linkConfiguration } from './link.ts';
import type { LinkedConfiguration } from './linked.ts';
import { readDocuments } from './read-documents.ts';
import { readMaterial } from './read-material.ts';
import { checkReferences } from './references.ts';
import { ResourceGraph, type Section, shownField } from './resource.ts';
import { checkBackendAuthenticationConfigs } from './rules/backend-authentication-configs.ts';
import { checkBackendServices } from './rules/backend-services.ts';
import { checkBalancing } from './rules/balancing.ts';
import { checkCertificateMaps } from './rules/certificate-maps.ts';
import type { RuleContext } from './rules/context.ts';
import { checkCustomHeaders } from './rules/custom-headers.ts';
import { checkHeaderActions } from './rules/header-actions.ts';
import { checkHealthChecks } from './rules/health-checks.ts';
import { checkIdentityHeaders, checkIdentityOfMaps } from './rules/identity-headers.ts';
import { checkListeners } from './rules/listeners.ts';
import { checkNetworkEndpointGroups } from './rules/network-endpoint-groups.ts';
import { checkProxyProtocol } from './rules/proxy-protocol.ts';
import { checkRouteActions } from './rules/route-actions.ts';
import { checkRouteRules } from './rules/route-rules.ts';
import { checkServedCertificates } from './rules/served-certificates.ts';
import { checkServerTlsPolicies } from './rules/server-tls-policies.ts';
import { checkSettings } from './rules/settings.ts';
import { checkShadowSslPolicies } from './rules/shadow-ssl-policies.ts';
import { checkSslPolicies } from './rules/ssl-policies.ts';
import { checkStreamProxies } from './rules/stream-proxies.ts';
import { checkTlsProxies } from './rules/tls-proxies.ts';
import { checkUrlMapTests } from './rules/url-map-tests.ts';
import { checkUrlMaps } from './rules/url-maps.ts';
import { checkUrlRedirects } from './rules/url-redirects.ts';
import { KINDS, type SallyportSpec } from './schema/kinds.ts';
import { checkSallyportShape, checkShape, type Shape, type ValueContext } from './schema/validate.ts';
import { readTicketSecrets } from './ticket-secrets.ts';
import { nodeAt } from './written.ts';

export interface LoadRequest {
  /** A YAML or JSON file, or a folder of which every *.yaml, *.yml and *.json is read. */
  readonly path: string;
  readonly env: Environment;
  /** Wall time that certificates are judged at. */
  readonly nowMs: number;
  /** What an earlier load read: this one sees the same, whatever has become of the files. */
  readonly readings?: FileReadings;
}

export interface Loaded {
  readonly ok: true;
  readonly configuration: LinkedConfiguration;
  /** Loads the same configuration in another process, together with `nowMs`. Secret. */
  readonly readings: FileReadings;
  readonly nowMs: number;
  readonly warnings: readonly Diagnostic[];
}

export interface NotLoaded {
  readonly ok: false;
  readonly diagnostics: readonly Diagnostic[];
  readonly warnings: readonly Diagnostic[];
  /** Everything that was read or wanted, absolute (a folder itself too): a change of any may repair it. */
  readonly files: readonly string[];
}

/**
 * Reads, checks and links a configuration. All problems are reported at once; any error and nothing is linked. Never throws for
 * what a user can write.
 *
 *   files → documents → resources → shape → references → PEM files → rules → linked → tests of URL maps
 */
export async function loadConfiguration({ path, env, nowMs, readings }: LoadRequest): Promise<Loaded | NotLoaded> {
  const findings = new Findings();
  const files = new FileReader(readings);
  const documents = await readDocuments(path, env, files, findings);
  const graph = new ResourceGraph();
  const sections: Section[] = [];
  for (const document of documents) collectResources(document, graph, sections, findings);
  const settings = checkShapes(graph, sections, findings);
  // A file that cannot be parsed may hold what the others refer to.
  const isWhole = documents.every(({ value }) => value !== undefined) && documents.length > 0;
  if (isWhole) {
    checkReferences(graph, findings);
    if (findings.errors === 0 && graph.all('forwardingRules').length === 0)
      reportNothingServed(documents, path, findings);
  }
  const material = await readMaterial(graph, { findings, files, nowMs });
  const ticketSecrets = await readTicketSecrets(settings, sections[0] ?? null, { findings, files, nowMs });
  const adminToken = await readAdminToken(settings, sections[0] ?? null, { findings, files });
  const geoip = await openGeoipDatabase(settings, sections[0] ?? null, { findings, files });
  const context: RuleContext = { graph, findings, nowMs, ...material, settings };
  checkSettings(context, sections[0] ?? null);
  checkListeners(context);
  checkProxyProtocol(context, sections[0] ?? null);
  checkSslPolicies(context);
  checkCertificateMaps(context);
  checkTlsProxies(context);
  checkStreamProxies(context);
  checkShadowSslPolicies(context);
  checkServedCertificates(context);
  checkServerTlsPolicies(context);
  checkUrlMaps(context);
  checkRouteActions(context);
  checkUrlRedirects(context);
  checkRouteRules(context);
  checkHeaderActions(context);
  checkNetworkEndpointGroups(context);
  checkHealthChecks(context);
  checkBackendAuthenticationConfigs(context);
  checkBackendServices(context);
  checkBalancing(context);
  checkCustomHeaders(context);
  checkIdentityOfMaps(context);
  if (isWhole) checkIdentityHeaders(context);

  const warnings = findings.sorted('warning');
  if (findings.errors > 0 || settings === null || ticketSecrets === null || adminToken === null) {
    return { ok: false, diagnostics: findings.sorted('error'), warnings, files: files.paths };
  }
  const configuration = linkConfiguration(
    { graph, ...material, settings, ticketSecrets, adminToken, geoip, warnings },
    sections[0] ?? null,
    files.paths,
  );
  checkUrlMapTests(graph, configuration.urlMaps, findings);
  if (findings.errors > 0) {
    return { ok: false, diagnostics: findings.sorted('error'), warnings, files: files.paths };
  }
  return { ok: true, configuration, readings: await files.readings(), nowMs, warnings };
}

function checkShapes(graph: ResourceGraph, sections: readonly Section[], findings: Findings): SallyportSpec | null {
  for (const kind of KINDS) {
    for (const resource of graph.all(kind)) {
      resource.spec = report(resource, checkShape(kind, resource.value, valueContext(resource)), findings);
    }
  }
  const [section] = sections;
  if (section !== undefined)
    return report(section, checkSallyportShape(section.value, valueContext(section)), findings);
  return checkSallyportShape({}, NO_CONTEXT).spec;
}

function report<T>(section: Section, shape: Shape<T>, findings: Findings): T | null {
  for (const { path, at, message } of shape.problems) {
    if (at === 'key') findings.errorAtKey(section, path, message);
    else findings.error(section, path, message);
  }
  return shape.spec;
}

function valueContext(section: Section): ValueContext {
  return {
    shown: (path) => shownField(section, path),
    isExpanded(path) {
      const { node, found } = nodeAt(section.node, path);
      return found && node !== null && node.unexpanded !== null;
    },
  };
}

function reportNothingServed(documents: readonly ConfigurationDocument[], path: string, findings: Findings): void {
  const [document] = documents;
  const file = documents.length === 1 && document !== undefined ? document.file : path;
  findings.add(
    'error',
    { file, position: null, resource: '' },
    'Cannot serve anything: found no forwardingRules, expected at least one; add one',
  );
}

const NO_CONTEXT: ValueContext = { shown: () => 'nothing', isExpanded: () => false };
