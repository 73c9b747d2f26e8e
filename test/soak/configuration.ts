import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { issue } from '#src/pki/issue/issue.ts';
import { chainPem, testPki } from '../harness/pki.ts';

export interface Doors {
  readonly https: number;
  readonly plain: number;
  readonly proxied: number;
  readonly ssl: number;
  readonly tcp: number;
  /** Comes and goes with the reloads; nobody's traffic. */
  readonly extra: number;
}

/** The configuration of a scenario, with the other doors beside its HTTPS one. */
export function withDoors(base: Configuration, doors: Doors, streamPort: number): Configuration {
  const rule = (name: string, port: number, target: string) => {
    return { name, IPAddress: '127.0.0.1', portRange: String(port), target };
  };
  return {
    ...base,
    forwardingRules: [
      ...base.forwardingRules,
      rule('plain', doors.plain, 'targetHttpProxies/plain'),
      rule('proxied', doors.proxied, 'targetHttpProxies/plain'),
      rule('ssl', doors.ssl, 'targetSslProxies/secure'),
      rule('tcp', doors.tcp, 'targetTcpProxies/bare'),
    ],
    targetHttpProxies: [{ name: 'plain', urlMap: 'web' }],
    targetSslProxies: [{ name: 'secure', service: 'stream', sslCertificates: ['front'], sslPolicy: 'policy' }],
    targetTcpProxies: [{ name: 'bare', service: 'stream' }],
    backendServices: [...base.backendServices, { name: 'stream', protocol: 'TCP', backends: [{ group: 'stream' }] }],
    networkEndpointGroups: [
      ...base.networkEndpointGroups,
      {
        name: 'stream',
        networkEndpointType: 'NON_GCP_PRIVATE_IP_PORT',
        endpoints: [{ ipAddress: '127.0.0.1', port: streamPort }],
      },
    ],
    sallyport: { ...base.sallyport, proxyProtocol: [{ forwardingRule: 'proxied', trustedSources: ['127.0.0.1'] }] },
  };
}

/** What reload number `round` finds: policies, routes, timeouts, a listener and the certificate change; the doors of the traffic stay. */
export function variant(base: Configuration, round: number, doors: Doors, certificate: string): Configuration {
  const [http] = base.forwardingRules;
  const [map] = base.urlMaps;
  const isStrict = round % 4 >= 2;
  return {
    ...base,
    forwardingRules:
      round % 2 === 0
        ? base.forwardingRules
        : [...base.forwardingRules, { ...http, name: 'extra', portRange: String(doors.extra) }],
    sslPolicies: [
      { name: 'policy', profile: isStrict ? 'RESTRICTED' : 'MODERN', minTlsVersion: isStrict ? 'TLS_1_3' : 'TLS_1_2' },
    ],
    sslCertificates: [
      {
        name: 'front',
        selfManaged: { certificateFile: `${certificate}.crt`, privateKeyFile: `${certificate}.key` },
      },
    ],
    backendServices: [
      ...base.backendServices.map((service) =>
        service['protocol'] === 'HTTPS' ? { ...service, customRequestHeaders: [`X-Round:${round % 3}`] } : service,
      ),
      { name: `unused-${round % 3}`, protocol: 'HTTP', backends: base.backendServices[0]!['backends'] },
    ],
    urlMaps: [
      {
        ...map,
        hostRules: [
          ...(map!['hostRules'] as object[]),
          { hosts: [`host-${round % 11}.proxy.test`], pathMatcher: 'some' },
        ],
        pathMatchers: [...(map!['pathMatchers'] as object[]), { name: 'some', defaultService: `unused-${round % 3}` }],
      },
    ],
  };
}

export function badText(round: number): string {
  return round % 2 === 0 ? '{ "forwardingRules": [' : '{ "forwardingRules": [ { "name": "x", "prtRange": "1" } ] }';
}

/** Certificate number `round` for the front door, in files of its own: two files cannot change at one moment. */
export async function writeCertificate(folder: string, round: number): Promise<string> {
  const { issuing } = await testPki();
  const leaf = await issue({
    subject: `CN=front ${round}`,
    issuer: issuing,
    dnsNames: ['localhost', '*.proxy.test'],
    extendedKeyUsage: ['serverAuth'],
  });
  const name = `front-${round}`;
  writeFileSync(join(folder, `${name}.crt`), chainPem(leaf, issuing));
  writeFileSync(join(folder, `${name}.key`), leaf.privateKeyPem, { mode: 0o600 });
  return name;
}

export interface Configuration extends Readonly<Record<string, unknown>> {
  readonly forwardingRules: readonly Readonly<Record<string, unknown>>[];
  readonly backendServices: readonly Readonly<Record<string, unknown>>[];
  readonly networkEndpointGroups: readonly Readonly<Record<string, unknown>>[];
  readonly urlMaps: readonly Readonly<Record<string, unknown>>[];
  readonly sallyport: Readonly<Record<string, unknown>>;
}
