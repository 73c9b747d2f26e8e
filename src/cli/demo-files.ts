import { X509Certificate } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { digestOf } from '../base/digest.ts';
import { readManifest } from '../pki/issue/manifest.ts';
import { writePki } from '../pki/issue/write-pki.ts';

/** Certificates of an earlier start are used again, so that a browser that trusts their root goes on working; old ones are replaced. */
export async function writeDemoPki(certsFolder: string): Promise<'made' | 'kept'> {
  const manifestFile = join(import.meta.dirname, '..', '..', 'certs', 'demo.yaml');
  const stampFile = join(certsFolder, 'manifest.sha256');
  const manifest = readFileSync(manifestFile, 'utf8');
  const stamp = digestOf(manifest);
  const files = readManifest(manifest, manifestFile).flatMap(({ name, writeKey }) => {
    return writeKey ? [`${name}.crt`, `${name}.key`] : [`${name}.crt`];
  });
  const isWhole = files.every((name) => existsSync(join(certsFolder, name)));
  if (isWhole && isStamped(stampFile, stamp) && !endsSoon(join(certsFolder, 'root.crt'))) return 'kept';
  await writePki({ manifestFile, outFolder: certsFolder, existing: 'replace' });
  writeFileSync(stampFile, stamp); // last: a run that was cut off leaves none and is repeated
  return 'made';
}

export interface DemoConfiguration {
  readonly port: number;
  readonly adminPort: number;
  /** Addresses the proxy listens on, all of them loopback. */
  readonly addresses: readonly string[];
  readonly backendPorts: Readonly<Record<string, number>>;
}

/** Writes the configuration and returns its path. It is what a user would write: nothing in it is special to the demo. */
export function writeDemoConfiguration(folder: string, configuration: DemoConfiguration): string {
  mkdirSync(folder, { recursive: true });
  const path = join(folder, 'sallyport.yaml');
  writeFileSync(path, configurationText(configuration));
  return path;
}

function isStamped(stampFile: string, stamp: string): boolean {
  return existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp;
}

function endsSoon(certificateFile: string): boolean {
  const { validToDate } = new X509Certificate(readFileSync(certificateFile));
  return validToDate.getTime() - Date.now() < SPARE_MS;
}

function configurationText({ port, adminPort, addresses, backendPorts }: DemoConfiguration): string {
  const services = Object.keys(backendPorts);
  return `# Written by \`sallyport demo\`. Change it while the demo runs: it reloads.
forwardingRules:
${addresses.map((address, i) => `  - { name: https-${i}, IPAddress: "${address}", portRange: "${port}", target: targetHttpsProxies/web }`).join('\n')}
targetHttpsProxies:
  - name: web
    urlMap: urlMaps/web
    sslCertificates: [sslCertificates/localhost-ecdsa, sslCertificates/localhost-rsa, sslCertificates/pets-ecdsa, sslCertificates/pets-rsa]
    sslPolicy: sslPolicies/modern
sslPolicies:
  - { name: modern, profile: MODERN, minTlsVersion: TLS_1_2 }
sslCertificates:
${FRONT_CERTIFICATES.map((name) => `  - { name: ${name}, selfManaged: { certificateFile: certs/${name}.crt, privateKeyFile: certs/${name}.key } }`).join('\n')}
urlMaps:
  - name: web
    defaultService: backendServices/cats
    hostRules:
      - { hosts: [dogs.pets.localhost], pathMatcher: dogs }
      - { hosts: ["*"], pathMatcher: all }
    pathMatchers:
      - { name: dogs, defaultService: backendServices/dogs }
      - name: all
        defaultService: backendServices/cats
        pathRules:
          - { paths: [/dogs, "/dogs/*"], service: backendServices/dogs }
          - { paths: [/expired, "/expired/*"], service: backendServices/expired }
backendServices:
${services
  .map(
    (name) => `  - name: ${name}
    protocol: HTTPS
    backends: [{ group: networkEndpointGroups/${name} }]
    tlsSettings: { sni: ${name}.backend.localhost, authenticationConfig: backendAuthenticationConfigs/demo }`,
  )
  .join('\n')}
networkEndpointGroups:
${services.map((name) => `  - { name: ${name}, networkEndpointType: NON_GCP_PRIVATE_IP_PORT, endpoints: [{ ipAddress: 127.0.0.1, port: ${backendPorts[name]} }] }`).join('\n')}
trustConfigs:
  - name: demo
    trustStores: [{ trustAnchors: [{ pemCertificateFile: certs/root.crt }], intermediateCas: [{ pemCertificateFile: certs/issuing.crt }] }]
backendAuthenticationConfigs:
  - { name: demo, trustConfig: trustConfigs/demo, clientCertificate: certificates/to-backends }
certificates:
  - { name: to-backends, scope: CLIENT_AUTH, selfManaged: { pemCertificateFile: certs/proxy-client.crt, pemPrivateKeyFile: certs/proxy-client.key } }
sallyport:
  admin: { address: 127.0.0.1, port: ${adminPort} }
  workers: 1
  drain: { delaySec: 0, timeoutSec: 5 }
`;
}

const FRONT_CERTIFICATES = ['localhost-ecdsa', 'localhost-rsa', 'pets-ecdsa', 'pets-rsa'];
/** Certificates that end within a day are made anew: a demo may stay up for an afternoon. */
const SPARE_MS = 86_400_000;
