import { buildProgram } from '#src/cli/program.ts';
import { parseCertificate } from '#src/pki/certificate.ts';
import type { Issued } from '#src/pki/issue/contract.ts';
import { issueCrl } from '#src/pki/issue/crl.ts';
import { issue } from '#src/pki/issue/issue.ts';
import { freePort } from '../harness/free-port.ts';
import { chainPem, type TestPki, testPki } from '../harness/pki.ts';
import { sallyportOnce } from '../harness/run-sallyport.ts';
import { makeTempFolder, type TempFolder } from '../harness/temp-folder.ts';

/**
 * A configuration on disk for `sallyport explain`, whose proxies share one URL map, but for the one of streams:
 *
 *   pair    MODERN 1.2      site.example as ECDSA and as RSA (first), *.site.example as ECDSA
 *   one     RESTRICTED 1.3  the ECDSA certificate of site.example alone
 *   open    no policy       site.example as RSA
 *   mapped  MODERN 1.2      a certificate map: site.example as ECDSA and RSA, *.site.example as ECDSA, no PRIMARY
 *   stream  MODERN 1.2      the certificates of pair on a target SSL proxy, whose service has protocol SSL
 */
export interface World {
  readonly folder: TempFolder;
  readonly pki: TestPki;
  readonly config: string;
  /** Lines of private keys: no explanation may show one. */
  readonly secrets: readonly string[];
  /** `sallyport explain …` inside this process; `--config` is added. */
  explain(...args: readonly string[]): Promise<Answer>;
  /** The same as a process of its own, as a user starts it. */
  explainInProcess(...args: readonly string[]): Promise<Answer>;
  /** The same with --json, parsed. */
  explainJson(...args: readonly string[]): Promise<{ readonly code: number | null; readonly answer: unknown }>;
}

export interface Answer {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface WorldOptions {
  readonly port?: number;
  readonly backendPort?: number;
  readonly sallyport?: Record<string, unknown>;
}

export async function makeWorld({
  port = 8443,
  backendPort = 9443,
  sallyport = {},
}: WorldOptions = {}): Promise<World> {
  const folder = makeTempFolder();
  const pki = await testPki();
  const secrets: string[] = [];
  const write = (name: string, leaf: Issued) => {
    folder.write(`${name}.crt`, chainPem(leaf, pki.issuing));
    folder.write(`${name}.key`, leaf.privateKeyPem);
    secrets.push(...leaf.privateKeyPem.split('\n').filter((line) => line !== '' && !line.startsWith('-----')));
  };
  const front = (subject: string, dnsNames: readonly string[], keyType: 'p256' | 'rsa-2048') =>
    issue({ subject, issuer: pki.issuing, dnsNames: [...dnsNames], keyType, extendedKeyUsage: ['serverAuth'] });
  write('site-ecdsa', await front('CN=site', ['site.example'], 'p256'));
  write('site-rsa', await front('CN=site', ['site.example'], 'rsa-2048'));
  write('wild', await front('CN=wild', ['*.site.example'], 'p256'));
  write('proxy', pki.client);
  folder.write('root.crt', pki.root.certificatePem);
  const certificates = ['site-ecdsa', 'site-rsa', 'wild'];
  const proxy = (name: string, sslCertificates: readonly string[], sslPolicy?: string) => {
    return { name, urlMap: 'routes', sslCertificates, ...(sslPolicy === undefined ? {} : { sslPolicy }) };
  };
  const service = (name: string, tlsSettings: Record<string, unknown>) => {
    return { name, protocol: 'HTTPS', backends: [{ group: 'group' }], tlsSettings };
  };
  const trustStores = [{ trustAnchors: [{ pemCertificateFile: 'root.crt' }] }];
  const serialHex = parseCertificate(pki.issuing.der).serial.toString('hex');
  folder.write('revoked.crl', issueCrl({ issuer: pki.root, number: 5, revoked: [{ serialHex }] }));
  const configuration = {
    forwardingRules: [
      proxyRule('pair', port),
      proxyRule('one', port + 1),
      proxyRule('open', port + 2),
      proxyRule('mapped', port + 3),
      proxyRule('stream', port + 4),
    ],
    targetHttpsProxies: [
      proxy('pair', ['site-rsa', 'site-ecdsa', 'wild'], 'modern'),
      proxy('one', ['site-ecdsa'], 'newest'),
      proxy('open', ['site-rsa']),
      { name: 'mapped', urlMap: 'routes', certificateMap: 'shop', sslPolicy: 'modern' },
    ],
    targetSslProxies: [
      {
        name: 'stream',
        service: 'carried',
        proxyHeader: 'PROXY_V1',
        sslCertificates: ['site-rsa', 'site-ecdsa', 'wild'],
        sslPolicy: 'modern',
      },
    ],
    sslPolicies: [
      { name: 'modern', profile: 'MODERN', minTlsVersion: 'TLS_1_2' },
      { name: 'newest', profile: 'RESTRICTED', minTlsVersion: 'TLS_1_3' },
      { name: 'strict', profile: 'RESTRICTED', minTlsVersion: 'TLS_1_2' },
      { name: 'fips', profile: 'FIPS_202205', minTlsVersion: 'TLS_1_2' },
    ],
    sslCertificates: certificates.map((name) => {
      return { name, selfManaged: { certificateFile: `${name}.crt`, privateKeyFile: `${name}.key` } };
    }),
    urlMaps: [
      {
        name: 'routes',
        defaultService: 'trusted',
        hostRules: [
          { hosts: ['site.example'], pathMatcher: 'site' },
          { hosts: ['*.example', '*'], pathMatcher: 'rest' },
        ],
        pathMatchers: [
          {
            name: 'site',
            defaultService: 'trusted',
            pathRules: [
              { paths: ['/api/*'], service: 'named' },
              { paths: ['/api/v2/*', '/api/v2'], service: 'anyone' },
            ],
          },
          { name: 'rest', defaultService: 'anyone' },
        ],
      },
    ],
    backendServices: [
      service('trusted', { sni: 'backend.example', authenticationConfig: 'internal' }),
      service('named', { subjectAltNames: [{ dnsName: 'other.example' }], authenticationConfig: 'internal' }),
      service('checked', { sni: 'backend.example', authenticationConfig: 'checked' }),
      { ...service('anyone', {}), tlsSettings: undefined },
      { name: 'plain', protocol: 'HTTP', backends: [{ group: 'group' }] },
      { ...service('carried', { sni: 'backend.example', authenticationConfig: 'internal' }), protocol: 'SSL' },
      { name: 'bytes', protocol: 'TCP', backends: [{ group: 'group' }] },
    ],
    networkEndpointGroups: [
      {
        name: 'group',
        networkEndpointType: 'NON_GCP_PRIVATE_IP_PORT',
        endpoints: [{ ipAddress: '127.0.0.1', port: backendPort }],
      },
    ],
    trustConfigs: [
      { name: 'internal', trustStores },
      { name: 'checked', trustStores, revocation: { crlFile: 'revoked.crl', mode: 'if-available' } },
    ],
    backendAuthenticationConfigs: [
      { name: 'internal', trustConfig: 'internal', clientCertificate: 'to-backends' },
      { name: 'checked', trustConfig: 'checked' },
    ],
    certificateMaps: [{ name: 'shop' }],
    certificateMapEntries: [
      { name: 'site', map: 'shop', hostname: 'site.example', certificates: ['site-rsa', 'site-ecdsa'] },
      { name: 'below', map: 'shop', hostname: '*.site.example', certificates: ['wild'] },
    ],
    certificates: [
      ...certificates.map((name) => {
        return { name, selfManaged: { pemCertificateFile: `${name}.crt`, pemPrivateKeyFile: `${name}.key` } };
      }),
      {
        name: 'to-backends',
        scope: 'CLIENT_AUTH',
        selfManaged: { pemCertificateFile: 'proxy.crt', pemPrivateKeyFile: 'proxy.key' },
      },
    ],
    sallyport: {
      admin: { address: '127.0.0.1', port: 0 },
      workers: 1,
      drain: { delaySec: 0, timeoutSec: 5 },
      ...sallyport,
    },
  };
  const config = folder.write('sallyport.json', JSON.stringify(configuration, null, 2));
  const commandLine = ([what = '', ...rest]: readonly string[]) => ['explain', what, '--config', config, ...rest];
  const explain = (...args: readonly string[]) => runHere(commandLine(args));
  return {
    folder,
    pki,
    config,
    secrets,
    explain,
    explainInProcess: (...args) => sallyportOnce(commandLine(args)),
    async explainJson(...args) {
      const { code, stdout, stderr } = await explain(...args, '--json');
      if (stderr !== '') throw new Error(stderr);
      return { code, answer: JSON.parse(stdout) };
    },
  };
}

function proxyRule(proxy: string, port: number): Record<string, unknown> {
  return { name: proxy, IPAddress: '127.0.0.1', portRange: String(port), target: proxy };
}

/** The command line without a process: a second for each question would add up. */
async function runHere(args: readonly string[]): Promise<Answer> {
  const written = { stdout: '', stderr: '' };
  const { stdout, stderr } = process;
  const restore = [keep(stdout, (text) => (written.stdout += text)), keep(stderr, (text) => (written.stderr += text))];
  try {
    return { code: await buildProgram().run(args), ...written };
  } finally {
    for (const undo of restore) undo();
  }
}

function keep(stream: NodeJS.WriteStream, take: (text: string) => void): () => void {
  const write = stream.write.bind(stream);
  stream.write = (text: string | Uint8Array) => {
    take(String(text));
    return true;
  };
  return () => {
    stream.write = write;
  };
}

/** The first of five in a row: one for each proxy of the world. */
export async function worldPorts(): Promise<number> {
  let first = await freePort();
  for (let count = 1; count < 5; count++) {
    const port = await freePort();
    if (port !== first + count) [first, count] = [port, 0];
  }
  return first;
}
