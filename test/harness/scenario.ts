import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Issued } from '#src/pki/issue/contract.ts';
import { issue } from '#src/pki/issue/issue.ts';
import { freePort } from './free-port.ts';
import { chainPem, type TestPki, testPki } from './pki.ts';
import { type LogLine, type RunningSallyport, runSallyport } from './run-sallyport.ts';

/** A whole configuration with one listener; host `NAME.proxy.test` goes to backend service NAME, every other host to the first. */
export interface ScenarioOptions {
  readonly services: readonly ScenarioService[];
  readonly sslPolicy?: Record<string, unknown>;
  /** Each with a name. */
  readonly shadowSslPolicies?: readonly Readonly<Record<string, string>>[];
  readonly sallyport?: Record<string, unknown>;
  /** Of the process under test. */
  readonly nodeArgs?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
}

export interface ScenarioService {
  readonly name: string;
  readonly protocol: 'HTTP' | 'HTTPS' | 'HTTP2' | 'H2C';
  readonly ports: readonly number[];
  readonly timeoutSec?: number;
  /** Absent: unauthenticated. */
  readonly trust?: {
    readonly anchors?: readonly Issued[];
    readonly intermediates?: readonly Issued[];
    readonly allowlist?: readonly Issued[];
    readonly revocation?: { readonly crlFile: string; readonly mode: 'require' | 'if-available' };
  };
  readonly clientCertificate?: readonly [Issued, ...Issued[]];
  readonly sni?: string;
  readonly subjectAltNames?: readonly Record<string, string>[];
  /** Other fields of the backend service, as written. */
  readonly settings?: Readonly<Record<string, unknown>>;
}

export interface Scenario {
  readonly folder: string;
  readonly configFile: string;
  readonly port: number;
  readonly adminPort: number;
  /** `https://localhost:PORT` */
  readonly url: string;
  readonly rootFile: string;
  readonly proxy: RunningSallyport;
  /** The access-log line of the request with this path. */
  requestLine(path: string): Promise<LogLine>;
  /** Writes another configuration over the file; what does not parse is written as given. */
  rewrite(next: ScenarioOptions | string): Promise<void>;
  metric(name: string, labels?: Readonly<Record<string, string>>): Promise<number>;
  stop(): Promise<void>;
}

export async function startScenario(options: ScenarioOptions): Promise<Scenario> {
  const folder = await mkdtemp(join(tmpdir(), 'scenario-'));
  const pki = await testPki();
  const port = await freePort();
  const adminPort = await freePort();
  const front = await issue({
    subject: 'CN=front',
    issuer: pki.issuing,
    dnsNames: ['localhost', '*.proxy.test'],
    extendedKeyUsage: ['serverAuth'],
  });
  await writeFile(join(folder, 'front.crt'), chainPem(front, pki.issuing));
  await writeFile(join(folder, 'front.key'), front.privateKeyPem, { mode: 0o600 });
  const rootFile = join(folder, 'root.crt');
  await writeFile(rootFile, pki.root.certificatePem);
  const configFile = join(folder, 'sallyport.json');
  const write = (next: ScenarioOptions | string) =>
    writeFile(
      configFile,
      typeof next === 'string' ? next : JSON.stringify(scenarioConfiguration(next, port, adminPort), null, 2),
    );
  await write(options);
  const proxy = await runSallyport({ config: configFile, nodeArgs: options.nodeArgs ?? [], env: options.env ?? {} });
  return {
    folder,
    configFile,
    port,
    adminPort,
    url: `https://localhost:${port}`,
    rootFile,
    proxy,
    rewrite: write,
    requestLine: (path) =>
      proxy.waitForLog((line) => {
        const request = line['httpRequest'] as { requestUrl?: string } | undefined;
        return line.msg === 'request' && request?.requestUrl?.endsWith(path) === true;
      }),
    async metric(name, labels = {}) {
      const text = await (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text();
      return sumOfSamples(text, name, labels);
    },
    async stop() {
      await proxy.stop('SIGINT');
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** The sum over every sample of `name` that has these labels. */
export function sumOfSamples(exposition: string, name: string, labels: Readonly<Record<string, string>>): number {
  let sum = 0;
  for (const line of exposition.split('\n')) {
    if (!line.startsWith(`${name}{`) && !line.startsWith(`${name} `)) continue;
    if (Object.entries(labels).every(([label, value]) => line.includes(`${label}="${value}"`))) {
      sum += Number(line.slice(line.lastIndexOf(' ') + 1));
    }
  }
  return sum;
}

export function scenarioConfiguration(
  options: ScenarioOptions,
  port: number,
  adminPort: number,
): Record<string, unknown> {
  const [first] = options.services;
  if (first === undefined) throw new Error('a scenario needs a service');
  const withTrust = options.services.filter((service) => service.trust !== undefined);
  return {
    forwardingRules: [
      { name: 'https', IPAddress: '127.0.0.1', portRange: String(port), target: 'targetHttpsProxies/web' },
    ],
    targetHttpsProxies: [
      {
        name: 'web',
        urlMap: 'urlMaps/web',
        sslCertificates: ['front'],
        sslPolicy: 'policy',
        shadowSslPolicies: (options.shadowSslPolicies ?? []).map((policy) => policy['name']),
      },
    ],
    sslPolicies: [
      { name: 'policy', profile: 'MODERN', minTlsVersion: 'TLS_1_2', ...options.sslPolicy },
      ...(options.shadowSslPolicies ?? []),
    ],
    sslCertificates: [{ name: 'front', selfManaged: { certificateFile: 'front.crt', privateKeyFile: 'front.key' } }],
    urlMaps: [
      {
        name: 'web',
        defaultService: first.name,
        hostRules: options.services.map((service) => ({
          hosts: [`${service.name}.proxy.test`],
          pathMatcher: service.name,
        })),
        pathMatchers: options.services.map((service) => ({ name: service.name, defaultService: service.name })),
      },
    ],
    backendServices: options.services.map((service) => ({
      name: service.name,
      protocol: service.protocol,
      timeoutSec: service.timeoutSec ?? 30,
      backends: [{ group: service.name }],
      ...tlsSettings(service),
      ...service.settings,
    })),
    networkEndpointGroups: options.services.map((service) => ({
      name: service.name,
      networkEndpointType: 'NON_GCP_PRIVATE_IP_PORT',
      defaultPort: service.ports[0],
      endpoints: service.ports.map((endpointPort) => ({ ipAddress: '127.0.0.1', port: endpointPort })),
    })),
    trustConfigs: withTrust.map((service) => ({
      name: service.name,
      trustStores: [
        { trustAnchors: pemList(service.trust?.anchors), intermediateCas: pemList(service.trust?.intermediates) },
      ],
      allowlistedCertificates: pemList(service.trust?.allowlist),
      ...(service.trust?.revocation && { revocation: service.trust.revocation }),
    })),
    backendAuthenticationConfigs: withTrust.map((service) => ({
      name: service.name,
      trustConfig: service.name,
      ...(service.clientCertificate && { clientCertificate: `${service.name}-client` }),
    })),
    certificates: withTrust.flatMap((service) =>
      service.clientCertificate === undefined
        ? []
        : [
            {
              name: `${service.name}-client`,
              scope: 'CLIENT_AUTH',
              selfManaged: {
                pemCertificate: chainPem(...service.clientCertificate),
                pemPrivateKey: service.clientCertificate[0].privateKeyPem,
              },
            },
          ],
    ),
    sallyport: {
      admin: { address: '127.0.0.1', port: adminPort },
      workers: 1, // whatever machine it is; tests of workers say how many
      drain: { delaySec: 0, timeoutSec: 5 },
      ...options.sallyport,
    },
  };
}

function tlsSettings(service: ScenarioService): Record<string, unknown> {
  if (service.trust === undefined && service.sni === undefined && service.subjectAltNames === undefined) return {};
  return {
    tlsSettings: {
      ...(service.trust && { authenticationConfig: service.name }),
      ...(service.sni && { sni: service.sni }),
      ...(service.subjectAltNames && { subjectAltNames: service.subjectAltNames }),
    },
  };
}

function pemList(certificates: readonly Issued[] | undefined): readonly { pemCertificate: string }[] {
  return (certificates ?? []).map((certificate) => ({ pemCertificate: certificate.certificatePem }));
}

export type { TestPki };
