// Target SSL and TCP proxies behind a balancer that speaks the PROXY protocol, and with endpoints by name: client, backend, log line.
import { writeFileSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { listen } from '../backend/support.ts';
import { DnsServer } from '../harness/dns-server.ts';
import { freePort } from '../harness/free-port.ts';
import { chainPem, testPki } from '../harness/pki.ts';
import { type LogLine, type RunningSallyport, runSallyport } from '../harness/run-sallyport.ts';
import { makeTempFolder } from '../harness/temp-folder.ts';
import { until } from '../harness/until.ts';
import { textHeader as proxyV1, tcp4 as proxyV2 } from '../http/_proxy-header.ts';

const folder = makeTempFolder();
const sockets = new Set<Socket>();
let backend: Server;
let dns: DnsServer;
let running: RunningSallyport;
const ports = { ssl: 0, tcp: 0, 'missing-ssl': 0, 'missing-tcp': 0, 'loopback-ssl': 0, 'loopback-tcp': 0 };

beforeAll(async () => {
  const { server: leaf, issuing } = await testPki();
  writeFileSync(join(folder.path, 'site.crt'), chainPem(leaf, issuing));
  writeFileSync(join(folder.path, 'site.key'), leaf.privateKeyPem, { mode: 0o600 });
  backend = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('data', (data) => socket.write(String(data).toUpperCase()));
    socket.on('end', () => socket.end());
  });
  const backendPort = await listen(backend);
  dns = await DnsServer.start({ 'loopback.test-backend.example': { addresses: ['127.0.0.1'], ttlSec: 60 } });
  dns.zone.set('missing.test-backend.example', 'NXDOMAIN');
  for (const name of Object.keys(ports) as (keyof typeof ports)[]) ports[name] = await freePort();
  const config = join(folder.path, 'sallyport.yaml');
  writeFileSync(config, configuration(backendPort));
  running = await runSallyport({ config });
});

afterAll(async () => {
  await running?.stop();
  for (const socket of sockets) socket.destroy();
  backend?.close();
  await dns?.stop();
  folder.remove();
});

describe('behind a balancer', () => {
  test.each([
    ['tcp', 'version 1', proxyV1('198.51.100.7', 4321)],
    ['tcp', 'version 2', proxyV2('198.51.100.7', 4322)],
    ['ssl', 'version 1', proxyV1('198.51.100.7', 4323)],
    ['ssl', 'version 2', proxyV2('198.51.100.7', 4324)],
  ] as const)(
    '%s: the client that %s conveys is the one in the log and in our own header',
    async (kind, _name, header) => {
      const before = lines(kind).length;
      const raw = connect(ports[kind], '127.0.0.1');
      raw.write(header);
      const stream =
        kind === 'tcp' ? raw : connectTls({ socket: raw, servername: 'localhost', rejectUnauthorized: false });
      stream.end('hello');
      const clientPort = /^PROXY TCP4 198\.51\.100\.7 203\.0\.113\.9 (\d+) 443\r\nHELLO$/.exec(
        await everything(stream),
      )?.[1];
      const line = await nthLine(kind, before + 1);
      expect(line).toMatchObject({
        backendService: 'upper',
        bytesReceived: 5,
        statusDetails: 'connection_closed',
        connection: {
          clientIp: '198.51.100.7',
          clientPort: Number(clientPort),
          serverIp: '203.0.113.9',
          serverPort: 443,
        },
      });
      if (kind === 'ssl') expect(line).toMatchObject({ tls: { protocol: 'TLSv1.3', sni: 'localhost' } });
    },
  );

  test.each(['tcp', 'ssl'] as const)('%s: without a header no byte goes to the backend', async (kind) => {
    const [accepted, logged] = [sockets.size, lines(kind).length];
    const client = connect(ports[kind], '127.0.0.1');
    client.write('hello, but no header\r\n');
    expect(await everything(client)).toBe('');
    const failure = await running.waitForLog(
      (line) => line['forwardingRule'] === kind && line['reason'] === 'proxy_protocol_malformed',
    );
    expect(failure).toMatchObject({ reason: 'proxy_protocol_malformed' });
    expect(sockets.size).toBe(accepted);
    expect(lines(kind)).toHaveLength(logged);
  });
});

describe('an endpoint by name', () => {
  test.each([
    ['missing-tcp', 'a name without address', 'dns_error'],
    ['missing-ssl', 'a name without address', 'dns_error'],
    ['loopback-tcp', 'a name that leads to loopback', 'destination_ip_prohibited'],
    ['loopback-ssl', 'a name that leads to loopback', 'destination_ip_prohibited'],
  ] as const)('%s: %s resets the client, and the line says %s', async (rule, _what, token) => {
    const accepted = sockets.size;
    const raw = connect(ports[rule], '127.0.0.1').on('error', () => {});
    const stream = rule.endsWith('ssl')
      ? connectTls({ socket: raw, servername: 'localhost', rejectUnauthorized: false })
      : raw;
    expect(await everything(stream)).toBe('');
    expect(await nthLine(rule, 1)).toMatchObject({
      statusDetails: 'failed_to_connect_to_backend',
      proxyStatus: `sallyport; error=${token}`,
      attempts: 1,
      bytesSent: 0,
    });
    expect(sockets.size).toBe(accepted);
  });
});

function configuration(port: number): string {
  const rules = Object.entries(ports).map(([name, at]) => {
    const kind = name.endsWith('ssl') ? 'targetSslProxies' : 'targetTcpProxies';
    return `  - { name: ${name}, IPAddress: 127.0.0.1, portRange: "${at}", target: ${kind}/${name} }`;
  });
  const tls = 'sslCertificates: [site]';
  return `
forwardingRules:
${rules.join('\n')}
targetSslProxies:
  - { name: ssl, service: upper, proxyHeader: PROXY_V1, ${tls} }
  - { name: missing-ssl, service: missing, ${tls} }
  - { name: loopback-ssl, service: loopback, ${tls} }
targetTcpProxies:
  - { name: tcp, service: upper, proxyHeader: PROXY_V1 }
  - { name: missing-tcp, service: missing }
  - { name: loopback-tcp, service: loopback }
sslCertificates: [{ name: site, selfManaged: { certificateFile: site.crt, privateKeyFile: site.key } }]
backendServices:
  - { name: upper, protocol: TCP, backends: [{ group: upper }] }
  - { name: missing, protocol: TCP, backends: [{ group: missing }] }
  - { name: loopback, protocol: TCP, backends: [{ group: loopback }] }
networkEndpointGroups:
  - { name: upper, networkEndpointType: NON_GCP_PRIVATE_IP_PORT, endpoints: [{ ipAddress: 127.0.0.1, port: ${port} }] }
  - { name: missing, networkEndpointType: INTERNET_FQDN_PORT, endpoints: [{ fqdn: missing.test-backend.example, port: ${port} }] }
  - { name: loopback, networkEndpointType: INTERNET_FQDN_PORT, endpoints: [{ fqdn: loopback.test-backend.example, port: ${port} }] }
sallyport:
  workers: 1
  drain: { delaySec: 0, timeoutSec: 1 }
  dns: { servers: ["${dns.address}"], timeoutSec: 1 }
  proxyProtocol:
    - { forwardingRule: ssl, trustedSources: [127.0.0.1] }
    - { forwardingRule: tcp, trustedSources: [127.0.0.1] }
`;
}

function lines(rule: string): LogLine[] {
  return running.log.filter((line) => line.msg === 'connection' && line['forwardingRule'] === rule);
}

async function nthLine(rule: string, count: number): Promise<LogLine> {
  await until(() => lines(rule).length >= count);
  return lines(rule)[count - 1]!;
}

async function everything(stream: Socket): Promise<string> {
  let text = '';
  stream.on('error', () => {}); // a reset is an end here
  stream.on('data', (data) => (text += String(data)));
  await new Promise((resolve) => stream.once('close', resolve));
  return text;
}
