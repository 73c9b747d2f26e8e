// A new client certificate towards SSL backends in a running process: streams that run keep theirs, the next one shows the new one.
import { once } from 'node:events';
import { connect, createServer, type TLSSocket } from 'node:tls';
import { issue } from '#src/pki/issue/issue.ts';
import { listen } from '../backend/support.ts';
import { freePort } from '../harness/free-port.ts';
import { chainPem, testPki } from '../harness/pki.ts';
import { type RunningSallyport, runSallyport } from '../harness/run-sallyport.ts';
import { makeTempFolder } from '../harness/temp-folder.ts';

const folder = makeTempFolder();
const sockets = new Set<TLSSocket>();
let running: RunningSallyport | null = null;
let closeBackend = () => {};

afterAll(async () => {
  for (const socket of sockets) socket.destroy();
  await running?.stop();
  closeBackend();
  folder.remove();
});

test('streams that run go on with the certificate they have, the next one shows the new one', async () => {
  const pki = await testPki();
  const next = await issue({ subject: 'CN=next client', issuer: pki.issuing, extendedKeyUsage: ['clientAuth'] });
  const backend = createServer(
    {
      cert: chainPem(pki.server, pki.issuing),
      key: pki.server.privateKeyPem,
      ca: pki.root.certificatePem,
      requestCert: true,
    },
    (socket) => {
      sockets.add(socket);
      socket.on('error', () => {});
      // asked for again with each line: what this connection shows, not what the last one did
      socket.on('data', () => socket.write(`${String(socket.getPeerX509Certificate()?.subject)}\n`));
    },
  );
  const backendPort = await listen(backend);
  closeBackend = () => backend.close();
  const port = await freePort();
  folder.write('site.crt', chainPem(pki.server, pki.issuing));
  folder.write('site.key', pki.server.privateKeyPem);
  folder.write('root.crt', pki.root.certificatePem);
  folder.write('client.crt', chainPem(pki.client, pki.issuing));
  folder.write('client.key', pki.client.privateKeyPem);
  const config = folder.write('sallyport.yaml', configuration(port, backendPort));
  running = await runSallyport({ config });

  const before = client(port);
  expect(await ask(before)).toBe('CN=test client\n');
  folder.write('client.crt', chainPem(next, pki.issuing));
  folder.write('client.key', next.privateKeyPem);
  running.signal('SIGHUP');
  await running.waitForLog(({ msg }) => msg === 'reloaded');
  expect(await ask(client(port))).toBe('CN=next client\n');
  expect(await ask(before)).toBe('CN=test client\n');
});

function client(port: number): TLSSocket {
  const socket = connect({ port, host: '127.0.0.1', servername: 'localhost', rejectUnauthorized: false });
  sockets.add(socket);
  return socket;
}

async function ask(socket: TLSSocket): Promise<string> {
  let text = '';
  socket.write('who?\n');
  while (!text.endsWith('\n')) text += String((await once(socket, 'data'))[0]);
  return text;
}

function configuration(port: number, backend: number): string {
  return `
forwardingRules:
  - { name: ssl, IPAddress: 127.0.0.1, portRange: "${port}", target: targetSslProxies/secure }
targetSslProxies:
  - { name: secure, service: who, sslCertificates: [site], sslPolicy: modern }
sslPolicies: [{ name: modern, profile: MODERN, minTlsVersion: TLS_1_2 }]
sslCertificates: [{ name: site, selfManaged: { certificateFile: site.crt, privateKeyFile: site.key } }]
backendServices:
  - name: who
    protocol: SSL
    backends: [{ group: who }]
    tlsSettings: { sni: backend.example, authenticationConfig: internal }
networkEndpointGroups:
  - { name: who, networkEndpointType: NON_GCP_PRIVATE_IP_PORT, endpoints: [{ ipAddress: 127.0.0.1, port: ${backend} }] }
backendAuthenticationConfigs:
  - { name: internal, trustConfig: ours, wellKnownRoots: NONE, clientCertificate: to-backends }
trustConfigs: [{ name: ours, trustStores: [{ trustAnchors: [{ pemCertificateFile: root.crt }] }] }]
certificates:
  - { name: to-backends, scope: CLIENT_AUTH, selfManaged: { pemCertificateFile: client.crt, pemPrivateKeyFile: client.key } }
sallyport: { admin: { address: 127.0.0.1, port: 0 }, workers: 1 }
`;
}
