import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { startChild } from '../child.ts';
import { PROXY_CORE } from '../cores.ts';
import { BACKEND_NAME, freePort } from '../workbench.ts';
import type { MeasuredProxy } from './proxy.ts';

export const sallyport: MeasuredProxy = {
  name: 'sallyport',
  observes: 'everything on: JSON access log to a file, all metrics, admin server',
  version() {
    const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
    return `${version}, node ${process.version} (OpenSSL ${process.versions.openssl})`;
  },
  serves: () => true,
  async start(bench, backendPort) {
    const port = await freePort();
    const adminPort = await freePort();
    const { folder, server, client, rootFile } = bench;
    const file = join(folder, 'sallyport.yaml');
    writeFileSync(
      file,
      `forwardingRules: [{ name: https, IPAddress: 127.0.0.1, portRange: "${port}", target: targetHttpsProxies/web }]
targetHttpsProxies:
  - { name: web, urlMap: urlMaps/web, sslCertificates: [sslCertificates/bench], sslPolicy: sslPolicies/modern }
sslPolicies: [{ name: modern, profile: MODERN, minTlsVersion: TLS_1_2 }]
sslCertificates:
  - { name: bench, selfManaged: { certificateFile: ${server.certificate}, privateKeyFile: ${server.key} } }
urlMaps: [{ name: web, defaultService: backendServices/api }]
backendServices:
  - name: api
    protocol: HTTPS
    backends: [{ group: networkEndpointGroups/api }]
    tlsSettings: { sni: ${BACKEND_NAME}, authenticationConfig: backendAuthenticationConfigs/api }
networkEndpointGroups:
  - name: api
    networkEndpointType: NON_GCP_PRIVATE_IP_PORT
    endpoints: [{ ipAddress: 127.0.0.1, port: ${backendPort} }]
backendAuthenticationConfigs:
  - { name: api, trustConfig: trustConfigs/bench, wellKnownRoots: NONE, clientCertificate: certificates/client }
trustConfigs: [{ name: bench, trustStores: [{ trustAnchors: [{ pemCertificateFile: ${rootFile} }] }] }]
certificates:
  - name: client
    scope: CLIENT_AUTH
    selfManaged: { pemCertificateFile: ${client.certificate}, pemPrivateKeyFile: ${client.key} }
sallyport:
  admin: { address: 127.0.0.1, port: ${adminPort} }
  workers: 1
  accessLog: { destination: ${folder}/sallyport-access.log }
  limits: { requestsPerConnection: 1000000000 } # as nginx's keepalive_requests: h2load counts what it asks after GOAWAY as failed
`,
    );
    // as users start it: the launcher becomes the proxy (execve), its process id stays
    const command = [process.execPath, join(ROOT, 'bin', 'sallyport.mjs'), 'run', '--config', file];
    const child = await startChild(PROXY_CORE, command, join(folder, 'sallyport.out'), port);
    return { ...child, port: () => port };
  },
};

const ROOT = dirname(dirname(import.meta.dirname));
