import { hostPort } from '../base/host-port.ts';
import type {
  LinkedAffinity,
  LinkedBackendService,
  LinkedBackendTls,
  LinkedCertificate,
  LinkedConfiguration,
  LinkedHealthCheck,
  LinkedListener,
  LinkedProxy,
  LinkedServerTlsPolicy,
  LinkedStreamProxy,
  LinkedTermination,
  LinkedTrustConfig,
} from './linked.ts';
import type { LinkedDestination, LinkedUrlMap } from './linked-url-map.ts';

/** A linked configuration for people: what listens where, what it shows, where requests go and how backends are verified. No secrets. */
export function formatPlan(configuration: LinkedConfiguration): string {
  const proxies = new Map(configuration.listeners.map(({ proxy }) => [`${proxy.kind}/${proxy.name}`, proxy]));
  const lines = [
    ...configuration.listeners.map(({ forwardingRule, address, port, proxy, trustedSources }) => {
      return `listen ${hostPort(address, port)} (${forwardingRule}) -> ${proxy.kind}/${proxy.name}${proxiedText(trustedSources)}`;
    }),
    ...[...proxies.values()].flatMap(proxyLines),
    ...configuration.backendServices.flatMap(serviceLines),
    ...settingsLines(configuration),
  ];
  return `${lines.join('\n')}\n`;
}

function proxyLines(proxy: LinkedProxy): readonly string[] {
  if (proxy.kind === 'targetHttpProxies') {
    const { name, httpKeepAliveTimeoutSec, urlMap } = proxy;
    return [`proxy ${name}: plain HTTP, keep-alive ${httpKeepAliveTimeoutSec} s`, ...urlMapLines(urlMap)];
  }
  if (proxy.kind === 'targetTcpProxies') return [`proxy ${proxy.name}: ${streamText(proxy)}`];
  const policy = proxy.sslPolicy;
  const features = policy !== null && policy.customFeatures.length > 0 ? ` [${policy.customFeatures.join(', ')}]` : '';
  const policyText =
    policy === null
      ? 'none (COMPATIBLE, TLS_1_0)'
      : `${policy.name}: ${policy.profile}, ${policy.minTlsVersion}${features}, post-quantum ${policy.postQuantumKeyExchange}`;
  return [
    `proxy ${proxy.name}: ${proxy.kind === 'targetSslProxies' ? streamText(proxy) : `keep-alive ${proxy.httpKeepAliveTimeoutSec} s`}`,
    `  policy ${policyText}`,
    ...proxy.shadowSslPolicies.map(
      ({ name, profile, minTlsVersion }) => `  shadow policy ${name}: ${profile}, ${minTlsVersion}`,
    ),
    ...clientLines(proxy.serverTlsPolicy),
    ...servedLines(proxy),
    ...(proxy.kind === 'targetSslProxies' ? [] : urlMapLines(proxy.urlMap)),
  ];
}

function proxiedText(blocks: LinkedListener['trustedSources']): string {
  if (blocks === null) return '';
  return `, PROXY protocol from ${blocks.map(({ address, prefixLength }) => `${address}/${prefixLength}`).join(', ')}`;
}

function streamText({ service, proxyHeader }: LinkedStreamProxy): string {
  return `streams -> ${service}, PROXY header ${proxyHeader}`;
}

function clientLines(policy: LinkedServerTlsPolicy | null): readonly string[] {
  if (policy === null) return [];
  const { name, clientValidationMode, trustConfig } = policy;
  return [
    `  clients ${name}: ${clientValidationMode}, ${trustConfig === null ? 'not verified' : trustText(trustConfig)}`,
  ];
}

function trustText({ name, anchors, intermediates, allowlist, revocation }: LinkedTrustConfig): string {
  const crls = revocation === null ? '' : `, ${revocation.crls.length} CRLs (${revocation.mode})`;
  return `${name} (${anchors.length} anchors, ${intermediates.length} intermediates, ${allowlist.length} allowlisted${crls})`;
}

function servedLines({ certificates, certificateMap }: LinkedTermination): readonly string[] {
  if (certificateMap === null) {
    return certificates.map(
      (certificate, index) => `  certificate ${certificateText(certificate)}${index === 0 ? ' (default)' : ''}`,
    );
  }
  return [
    `  certificate map ${certificateMap.name}`,
    ...certificateMap.entries.map(
      ({ name, hostname, certificates: members }) =>
        `    ${hostname ?? 'PRIMARY'} (${name}) -> ${members.map((member) => member.name).join(', ')}`,
    ),
    ...certificates.map((certificate) => `  certificate ${certificateText(certificate)}`),
  ];
}

function urlMapLines(map: LinkedUrlMap): readonly string[] {
  const lines = [`  url map ${map.name}`];
  for (const rule of map.hostRules) {
    const matcher = map.pathMatchers.find(({ name }) => name === rule.pathMatcher);
    lines.push(`    host ${rule.hosts.join(', ')} -> path matcher ${rule.pathMatcher}`);
    if (matcher === undefined) continue;
    for (const { paths, destination } of matcher.pathRules)
      lines.push(`      path ${paths.join(', ')} -> ${destinationText(destination)}`);
    for (const { priority, matchRules, destination } of matcher.routeRules) {
      const paths = matchRules.map(({ path }) => `${path.kind} ${path.value}`);
      lines.push(`      route ${priority}: ${paths.join(', ')} -> ${destinationText(destination)}`);
    }
    lines.push(`      else -> ${destinationText(matcher.fallback)}`);
  }
  lines.push(`    else -> ${destinationText(map.fallback)}`);
  return lines;
}

function destinationText(destination: LinkedDestination): string {
  if (destination.kind === 'redirect') return `redirect ${destination.status}`;
  const { services } = destination;
  if (services.length === 1) return services[0]!.service;
  return services.map(({ service, weight }) => `${service} (${weight})`).join(', ');
}

function serviceLines(service: LinkedBackendService): readonly string[] {
  const limits = `${service.maxConnectionsPerEndpoint} connections and ${service.maxPendingPerEndpoint} waiting per endpoint`;
  const isUnequal = service.endpoints.some(({ weight }) => weight !== service.endpoints[0]!.weight);
  const endpoints = service.endpoints.map(
    ({ host, port, isFqdn, weight }) =>
      `${hostPort(host, port)}${isFqdn ? ` (name, ${service.ipAddressSelectionPolicy})` : ''}${isUnequal ? ` weight ${weight}` : ''}`,
  );
  return [
    `service ${service.name}: ${service.protocol}, timeout ${service.timeoutSec} s, ${limits}`,
    `  endpoints ${endpoints.join(', ') || 'none'}`,
    ...balancingLines(service),
    ...headerLines('request', service.customRequestHeaders),
    ...headerLines('response', service.customResponseHeaders),
    ...(service.tls === null ? [] : tlsLines(service.tls)),
    ...(service.healthCheck === null ? [] : [healthLine(service.healthCheck)]),
  ];
}

/** Only what is not the default. */
function balancingLines({ balancing, outlierDetection, circuitBreakers }: LinkedBackendService): readonly string[] {
  const { policy, minimumRingSize, affinity, panicThresholdPercent, drainingTimeoutSec } = balancing;
  const lines: string[] = [];
  const ring = policy === 'RING_HASH' ? ` (${minimumRingSize} points)` : '';
  if (policy !== 'ROUND_ROBIN' || affinity !== null)
    lines.push(`  policy ${policy}${ring}, affinity ${affinity === null ? 'NONE' : affinityText(affinity)}`);
  if (panicThresholdPercent > 0) lines.push(`  health ignored below ${panicThresholdPercent} % healthy`);
  if (drainingTimeoutSec !== null) lines.push(`  draining ${drainingTimeoutSec} s`);
  if (outlierDetection !== null) lines.push(`  outlier detection ${settingsText(outlierDetection)}`);
  if (circuitBreakers !== null) lines.push(`  circuit breakers ${settingsText(circuitBreakers)}`);
  return lines;
}

function affinityText(affinity: LinkedAffinity): string {
  if ('cookie' in affinity) {
    const { name, path, ttlSec } = affinity.cookie;
    return `${affinity.by} ${name}, path ${path}, ${ttlSec === 0 ? 'browser session' : `${ttlSec} s`}`;
  }
  return 'header' in affinity ? `${affinity.by} ${affinity.header}` : affinity.by;
}

function settingsText(settings: object): string {
  return Object.entries(settings)
    .map(([name, value]) => `${name} ${value ?? 'any'}`)
    .join(', ');
}

function headerLines(to: string, headers: LinkedBackendService['customRequestHeaders']): readonly string[] {
  return headers.length === 0 ? [] : [`  ${to} headers ${headers.map(({ name }) => name).join(', ')}`];
}

function tlsLines(tls: LinkedBackendTls): readonly string[] {
  const names = [...tls.dnsNames, ...tls.uris];
  const lines = [`  tls from ${tls.minTlsVersion}, sni ${tls.sni ?? 'none'}, name ${names.join(' or ') || 'any'}`];
  const { authentication } = tls;
  if (authentication === null) return [...lines, '  authentication none: any certificate'];
  const { trustConfig, publicRoots, clientCertificate } = authentication;
  const trust = [...(trustConfig === null ? [] : [trustText(trustConfig)]), ...(publicRoots ? ['public roots'] : [])];
  const mode = authentication.enforcement === 'REPORT_ONLY' ? ', report only' : '';
  lines.push(`  authentication ${authentication.name || '(by name)'}: ${trust.join(' and ')}${mode}`);
  if (clientCertificate !== null) lines.push(`  client certificate ${certificateText(clientCertificate)}`);
  return lines;
}

function healthLine(check: LinkedHealthCheck): string {
  const port = check.port === null ? 'serving port' : `port ${check.port}`;
  const timing = `every ${check.checkIntervalSec} s within ${check.timeoutSec} s`;
  const identity = check.tlsAuthentication ? '' : ', without TLS authentication';
  return `  health check ${check.name}: ${check.type} on ${port}, ${timing}, ${check.healthyThreshold} up, ${check.unhealthyThreshold} down${identity}`;
}

function settingsLines({ settings, backendServices }: LinkedConfiguration): readonly string[] {
  const { admin, drain, limits } = settings;
  return [
    `admin ${admin.socket ?? hostPort(admin.address, admin.port)}${admin.tokenFile === undefined ? '' : ', with a bearer token'}`,
    `workers ${settings.workers}, drain ${drain.delaySec} s + ${drain.timeoutSec} s`,
    `access log ${settings.accessLog.format} to ${settings.accessLog.destination}, sample rate ${settings.accessLog.sampleRate}`,
    `limits ${Object.entries(limits)
      .map(
        ([name, value]) =>
          `${name} ${typeof value === 'object' ? `${value.perSecond}/s, at once ${value.burst ?? value.perSecond}` : value}`,
      )
      .join(', ')}`,
    ...(backendServices.some(({ endpoints }) => endpoints.some(({ isFqdn }) => isFqdn)) ? [dnsLine(settings)] : []),
  ];
}

function dnsLine({ dns }: LinkedConfiguration['settings']): string {
  const { servers, timeoutSec, minTtlSec, maxTtlSec, dangerAllowPrivateNames: names } = dns;
  const anywhere = names.length === 0 ? '' : `, anywhere for ${names.join(', ')}`;
  return `dns ${servers.join(', ') || 'of the system'} within ${timeoutSec} s, answers live ${minTtlSec} s to ${maxTtlSec} s${anywhere}`;
}

function certificateText({ name, keyType, keyBits, hostNames }: LinkedCertificate): string {
  const key = keyType === 'RSA' ? `RSA-${keyBits}` : keyType;
  return `${name}: ${key}${hostNames.length > 0 ? `, ${hostNames.join(' ')}` : ''}`;
}
