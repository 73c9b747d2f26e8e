import { isAbsolute, join } from 'node:path';
import { digestOf } from '../base/digest.ts';
import { normalAddress, singlePort } from './address.ts';
import type { AdminToken } from './admin-token.ts';
import { authenticationOf, endpointsOf, isStreamed, isTls } from './backend-identity.ts';
import { certificatesOf, linkCertificateMap } from './certificate-maps.ts';
import { type CidrBlock, cidrBlock } from './cidr.ts';
import type { Diagnostic } from './diagnostic.ts';
import type { GeoipDatabase } from './geoip-database.ts';
import { linkBalancing, linkCircuitBreakers, linkOutlierDetection } from './link-balancing.ts';
import { linkHealthCheck } from './link-health-check.ts';
import { linkUrlMap } from './link-url-map.ts';
import type {
  LinkedAuthentication,
  LinkedBackendService,
  LinkedBackendTls,
  LinkedConfiguration,
  LinkedHttpProxy,
  LinkedHttpsProxy,
  LinkedListener,
  LinkedProxy,
  LinkedServerTlsPolicy,
  LinkedSslPolicy,
  LinkedSslProxy,
  LinkedTcpProxy,
  LinkedTermination,
  SallyportSettings,
} from './linked.ts';
import type { LinkedUrlMap } from './linked-url-map.ts';
import { lastSegment, type Resource, type ResourceGraph, type Section } from './resource.ts';
import { crlFacts } from './revocation-material.ts';
import type { RuleContext } from './rules/context.ts';
import { customHeadersOf } from './rules/custom-headers.ts';
import { durationMs } from './schema/duration.ts';
import { KINDS, type Kind, type SallyportSpec, type Spec, TARGET_KINDS, type TlsTargetKind } from './schema/kinds.ts';
import { redact } from './shown.ts';
import type { TicketSecrets } from './ticket-secrets.ts';

type Material = Pick<RuleContext, 'graph' | 'certificates' | 'trustConfigs'> & {
  readonly settings: SallyportSpec;
  readonly ticketSecrets: TicketSecrets;
  readonly adminToken: AdminToken;
  readonly geoip: GeoipDatabase | null;
  readonly warnings: readonly Diagnostic[];
};

/**
 * Resolves all references of a configuration in which the rules found no error, and takes digests. The result is deep-frozen.
 * @throws Error only when a rule let something through: a defect
 */
export function linkConfiguration(
  material: Material,
  settingsSection: Section | null,
  files: readonly string[],
): LinkedConfiguration {
  const { graph, ticketSecrets, adminToken, geoip } = material;
  const settings = linkSettings(material.settings, settingsSection);
  const proxies = new Map<Resource, LinkedProxy>();
  for (const [proxy, spec] of specs(graph, 'targetHttpsProxies'))
    proxies.set(proxy, linkHttpsProxy(proxy, spec, material));
  for (const [proxy, spec] of specs(graph, 'targetHttpProxies')) proxies.set(proxy, linkHttpProxy(proxy, spec, graph));
  for (const [proxy, spec] of specs(graph, 'targetSslProxies')) proxies.set(proxy, linkSslProxy(proxy, spec, material));
  for (const [proxy, spec] of specs(graph, 'targetTcpProxies')) proxies.set(proxy, linkTcpProxy(proxy, spec));
  const listeners = specs(graph, 'forwardingRules').map(([rule, spec]): LinkedListener => {
    return {
      forwardingRule: rule.name ?? '',
      address: must(normalAddress(spec.IPAddress)),
      port: must(singlePort(spec.portRange)),
      proxy: must(proxies.get(must(graph.resolveAmong(TARGET_KINDS, spec.target)))),
      trustedSources: trustedSourcesOf(rule.name, material.settings),
    };
  });
  const backendServices = specs(graph, 'backendServices').map(([service, spec]) =>
    linkService(service, spec, material),
  );
  const urlMaps = graph.all('urlMaps').map(linkMap);
  const certificates = [...material.certificates.values()];
  const trustConfigs = [...material.trustConfigs.values()];
  const sslPolicies = graph.all('sslPolicies').map((policy) => must(linkPolicy(policy)));
  const digest = digestOf({
    listeners: listeners.map(({ proxy, ...listener }) => ({ ...listener, proxy: proxy.digest })),
    backendServices: backendServices.map(({ digest, customRequestHeaders, customResponseHeaders }) => ({
      digest,
      customRequestHeaders,
      customResponseHeaders,
    })),
    urlMaps: urlMaps.map((map) => map.digest),
    certificates: certificates.map((certificate) => certificate.digest),
    revocation: trustConfigs.map(({ name, revocation }) => ({ name, digest: revocation?.digest })),
    settings,
    geoip: geoip?.identity,
    ticketSecrets: ticketSecrets.secrets.map((secret) => Buffer.from(secret).toString('hex')),
    adminToken,
  });
  const certificateWarnings = warningsByCertificate(certificates, material.warnings);
  const redacted = redactedConfiguration(material, settingsSection);
  return deepFreeze({
    digest,
    listeners,
    backendServices,
    urlMaps,
    certificates,
    trustConfigs,
    sslPolicies,
    settings,
    ticketSecrets,
    adminToken,
    geoip,
    certificateWarnings,
    files,
    redacted,
  });
}

function trustedSourcesOf(rule: string | null, { proxyProtocol }: SallyportSpec): readonly CidrBlock[] | null {
  const entry = proxyProtocol.find(({ forwardingRule }) => lastSegment(forwardingRule) === rule);
  return entry === undefined ? null : entry.trustedSources.map((text) => must(cidrBlock(text)));
}

function warningsByCertificate(
  certificates: LinkedConfiguration['certificates'],
  warnings: readonly Diagnostic[],
): Readonly<Record<string, readonly string[]>> {
  const byLabel: Record<string, string[]> = {};
  for (const { collection, name } of certificates) byLabel[`${collection}/${name}`] = [];
  for (const { resource, message } of warnings) byLabel[resource]?.push(message);
  return byLabel;
}

function linkHttpsProxy(proxy: Resource, spec: Spec<'targetHttpsProxies'>, material: Material): LinkedHttpsProxy {
  const serverTlsPolicy = linkServerTlsPolicy(
    material.graph.resolve('serverTlsPolicies', spec.serverTlsPolicy),
    material,
  );
  const termination = { ...linkTermination(spec, material), serverTlsPolicy };
  const urlMap = linkMap(must(material.graph.resolve('urlMaps', spec.urlMap)));
  const name = proxy.name ?? '';
  const { httpKeepAliveTimeoutSec } = spec;
  const digest = digestOf({ name, ...digested(termination), urlMap: urlMap.digest, httpKeepAliveTimeoutSec });
  return { kind: 'targetHttpsProxies', name, digest, ...termination, urlMap, httpKeepAliveTimeoutSec };
}

function linkSslProxy(proxy: Resource, spec: Spec<'targetSslProxies'>, material: Material): LinkedSslProxy {
  const termination = { ...linkTermination(spec, material), serverTlsPolicy: null };
  const contents = { name: proxy.name ?? '', service: lastSegment(spec.service), proxyHeader: spec.proxyHeader };
  const digest = digestOf({ kind: 'targetSslProxies', ...contents, ...digested(termination) });
  return { kind: 'targetSslProxies', digest, ...contents, ...termination };
}

function linkTcpProxy(proxy: Resource, spec: Spec<'targetTcpProxies'>): LinkedTcpProxy {
  const contents = { name: proxy.name ?? '', service: lastSegment(spec.service), proxyHeader: spec.proxyHeader };
  return { kind: 'targetTcpProxies', digest: digestOf({ kind: 'targetTcpProxies', ...contents }), ...contents };
}

function linkTermination(
  spec: Spec<TlsTargetKind>,
  { graph, certificates }: Material,
): Omit<LinkedTermination, 'serverTlsPolicy'> {
  const mapResource = graph.resolve('certificateMaps', spec.certificateMap);
  const certificateMap = mapResource === null ? null : linkCertificateMap(mapResource, graph, certificates);
  const served =
    certificateMap === null
      ? (spec.sslCertificates ?? []).map((reference) =>
          must(certificates.get(must(graph.resolve('sslCertificates', reference)))),
        )
      : certificatesOf(certificateMap);
  const sslPolicy = linkPolicy(graph.resolve('sslPolicies', spec.sslPolicy));
  const shadowSslPolicies = spec.shadowSslPolicies.map((reference) =>
    must(linkPolicy(graph.resolve('sslPolicies', reference))),
  );
  return { certificates: served, certificateMap, sslPolicy, shadowSslPolicies };
}

/** What of it a digest is taken over. */
function digested({ certificates, certificateMap, serverTlsPolicy, ...policies }: LinkedTermination): object {
  return {
    ...policies,
    certificates: certificates.map((certificate) => certificate.digest),
    certificateMap: certificateMap && {
      name: certificateMap.name,
      entries: certificateMap.entries.map((entry) => ({
        ...entry,
        certificates: entry.certificates.map(({ name }) => name),
      })),
    },
    serverTlsPolicy: serverTlsPolicy?.digest,
  };
}

function linkHttpProxy(proxy: Resource, spec: Spec<'targetHttpProxies'>, graph: ResourceGraph): LinkedHttpProxy {
  const name = proxy.name ?? '';
  const urlMap = linkMap(must(graph.resolve('urlMaps', spec.urlMap)));
  const { httpKeepAliveTimeoutSec } = spec;
  const digest = digestOf({ kind: 'targetHttpProxies', name, urlMap: urlMap.digest, httpKeepAliveTimeoutSec });
  return { kind: 'targetHttpProxies', name, digest, urlMap, httpKeepAliveTimeoutSec };
}

function linkServerTlsPolicy(
  policy: Resource<'serverTlsPolicies'> | null,
  { graph, trustConfigs }: Material,
): LinkedServerTlsPolicy | null {
  if (policy === null) return null;
  const { clientValidationMode, clientValidationTrustConfig: reference } = must(policy.spec).mtlsPolicy;
  const resource = graph.resolve('trustConfigs', reference);
  const trustConfig = resource === null ? null : must(trustConfigs.get(resource));
  const digest = digestOf({ clientValidationMode, trust: trustConfig?.digest });
  return { name: policy.name ?? '', digest, clientValidationMode, trustConfig };
}

function linkPolicy(policy: Resource<'sslPolicies'> | null): LinkedSslPolicy | null {
  if (policy === null) return null;
  const { profile, minTlsVersion, customFeatures, postQuantumKeyExchange } = must(policy.spec);
  return { name: policy.name ?? '', profile, minTlsVersion, customFeatures, postQuantumKeyExchange };
}

function linkMap(map: Resource<'urlMaps'>): LinkedUrlMap {
  return linkUrlMap(map.name ?? '', must(map.spec));
}

function linkService(service: Resource, spec: Spec<'backendServices'>, material: Material): LinkedBackendService {
  const endpoints = endpointsOf(spec, material.graph);
  const tls = isTls(spec) ? linkTls(spec, endpoints, material) : null;
  const contents = {
    name: service.name ?? '',
    protocol: spec.protocol,
    timeoutSec: spec.timeoutSec,
    maxStreamDurationMs: spec.maxStreamDuration === undefined ? null : durationMs(spec.maxStreamDuration),
    endpoints,
    ipAddressSelectionPolicy: spec.ipAddressSelectionPolicy,
    // a stream has one client and one backend connection: what limits the former limits both
    maxConnectionsPerEndpoint: isStreamed(spec) ? material.settings.limits.connections : MAX_CONNECTIONS,
    maxPendingPerEndpoint: MAX_PENDING,
    healthCheck: linkHealthCheck(material.graph.resolve('healthChecks', spec.healthChecks[0])),
    balancing: linkBalancing(spec),
    outlierDetection: linkOutlierDetection(spec),
    circuitBreakers: linkCircuitBreakers(spec),
  };
  const customRequestHeaders = customHeadersOf(spec.customRequestHeaders);
  const customResponseHeaders = customHeadersOf(spec.customResponseHeaders);
  const digest = digestOf({ ...contents, tls: tls?.digest });
  return { ...contents, tls, customRequestHeaders, customResponseHeaders, digest };
}

function linkTls(
  spec: Spec<'backendServices'>,
  endpoints: LinkedBackendService['endpoints'],
  { graph, certificates, trustConfigs, settings }: Material,
): LinkedBackendTls {
  const configResource = graph.resolve('backendAuthenticationConfigs', spec.tlsSettings?.authenticationConfig);
  const config = configResource?.spec ?? null;
  const { sni, publicRoots } = authenticationOf(spec, config, endpoints);
  const names = spec.tlsSettings?.subjectAltNames ?? [];
  const dnsNames = names.flatMap(({ dnsName }) => (dnsName === undefined ? [] : [dnsName.toLowerCase()]));
  const uris = names.flatMap(({ uniformResourceIdentifier: uri }) => (uri === undefined ? [] : [uri]));
  const trustResource = graph.resolve('trustConfigs', config?.trustConfig);
  const clientResource = graph.resolve('certificates', config?.clientCertificate);
  // Endpoints by name are authenticated without a config too: against the public roots (spec 2.7).
  const authentication: LinkedAuthentication | null =
    config === null && !publicRoots
      ? null
      : {
          name: configResource?.name ?? '',
          trustConfig: trustResource === null ? null : must(trustConfigs.get(trustResource)),
          publicRoots,
          clientCertificate: clientResource === null ? null : must(certificates.get(clientResource)),
          enforcement: config?.enforcement ?? 'ENFORCE',
        };
  const contents = {
    sni,
    // subjectAltNames replaces the SNI as what must be in the certificate (spec 2.5.3).
    dnsNames: names.length === 0 && sni !== null ? [sni] : dnsNames,
    uris,
    minTlsVersion: TLS_VERSIONS[settings.dangerBackendMinTlsVersion ?? 'TLS_1_2'],
  };
  const digest = digestOf({
    ...contents,
    authentication: authentication && {
      trust: authentication.trustConfig?.digest,
      publicRoots,
      clientCertificate: authentication.clientCertificate?.digest,
      enforcement: authentication.enforcement,
    },
  });
  return { ...contents, authentication, digest };
}

function linkSettings(spec: SallyportSpec, section: Section | null): SallyportSettings {
  const { destination } = spec.accessLog;
  const { socket, ...admin } = spec.admin;
  const absolute = (path: string) => (isAbsolute(path) ? path : join(section?.document.folder ?? '.', path));
  return {
    ...spec,
    admin: {
      ...admin,
      address: must(normalAddress(admin.address)),
      ...(socket !== undefined && { socket: absolute(socket) }),
    },
    accessLog: {
      ...spec.accessLog,
      destination: destination === 'stdout' ? destination : absolute(destination),
    },
    dns: { ...spec.dns, dangerAllowPrivateNames: spec.dns.dangerAllowPrivateNames.map((name) => name.toLowerCase()) },
    dangerBackendMinTlsVersion: spec.dangerBackendMinTlsVersion ?? null,
  };
}

/** Resources with their defaults, variables unexpanded and PEM left out (security rule 12), and what the CRLs of trust configs say. */
function redactedConfiguration({ graph, settings, trustConfigs }: Material, section: Section | null): unknown {
  const shown = (resource: Resource, kind: Kind) => {
    const crls = crlFacts(trustConfigs.get(resource)?.revocation ?? null);
    return { ...(redact(resource.spec, resource.node, kind) as object), ...(crls && { crls }) };
  };
  const kinds = KINDS.map((kind) => [kind, graph.all(kind).map((resource) => shown(resource, kind))] as const);
  return { ...Object.fromEntries(kinds), sallyport: redact(settings, section?.node ?? null, 'sallyport') };
}

function specs<K extends Kind>(graph: ResourceGraph, kind: K): readonly (readonly [Resource<K>, Spec<K>])[] {
  return graph.all(kind).map((resource) => [resource, must(resource.spec)] as const);
}

function must<T>(value: T | null | undefined): T {
  if (value === null || value === undefined)
    throw new Error('Cannot link the configuration: found a gap that the rules should have reported');
  return value;
}

function deepFreeze<T>(value: T): T {
  // Views on bytes cannot be frozen (TypeError); nothing writes to them.
  if (typeof value !== 'object' || value === null || Object.isFrozen(value) || ArrayBuffer.isView(value)) return value;
  Object.freeze(value);
  for (const member of Object.values(value)) deepFreeze(member);
  return value;
}

// What circuitBreakers has as defaults (spec 3.5), per endpoint: they hold without it as well.
const MAX_CONNECTIONS = 1024;
const MAX_PENDING = 1024;
const TLS_VERSIONS = { TLS_1_0: 'TLSv1', TLS_1_1: 'TLSv1.1', TLS_1_2: 'TLSv1.2', TLS_1_3: 'TLSv1.3' } as const;
