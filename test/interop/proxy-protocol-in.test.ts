// Real balancers in front: HAProxy with both versions of the PROXY protocol, and curl, which speaks version 1 itself.

import { curl } from '../harness/curl.ts';
import { type Haproxy, startHaproxy } from '../harness/haproxy.ts';
import { type ProxiedScenario, startProxiedScenario } from '../harness/proxied-scenario.ts';

let doors: ProxiedScenario;
const balancers: Haproxy[] = [];
beforeAll(async () => {
  doors = await startProxiedScenario();
});
afterAll(async () => {
  await Promise.all(balancers.map((balancer) => balancer.stop()));
  await doors?.stop();
});

test.each(['send-proxy', 'send-proxy-v2', 'send-proxy-v2-ssl-cn'])('HAProxy with %s, plain and TLS', async (extra) => {
  const plain = await startHaproxy([{ port: doors.proxiedPort, extra }]);
  balancers.push(plain);
  const tls = await startHaproxy([{ port: doors.proxiedTlsPort, extra }]);
  balancers.push(tls);
  // the client comes from another address than the balancer, which comes from 127.0.0.1
  const path = `/haproxy-${extra}`;
  const overPlain = await curl('--interface', '127.0.0.2', `http://127.0.0.1:${plain.port}${path}`);
  expect(JSON.parse(overPlain.body)).toMatchObject({
    'x-forwarded-for': '127.0.0.2,127.0.0.1',
    'x-client': expect.stringMatching(/^127\.0\.0\.2 \d+$/),
    'x-encrypted': 'false',
  });
  const line = await doors.scenario.requestLine(path);
  expect(line['httpRequest']).toMatchObject({ remoteIp: '127.0.0.2' });
  const overTls = await curl('-k', '--interface', '127.0.0.3', `https://localhost:${tls.port}${path}-tls`);
  expect(JSON.parse(overTls.body)).toMatchObject({
    'x-client': expect.stringMatching(/^127\.0\.0\.3 \d+$/),
    'x-encrypted': 'true',
  });
});

test('curl --haproxy-protocol, over TLS and HTTP/2 as well', async () => {
  const plain = await curl('--haproxy-protocol', `http://127.0.0.1:${doors.proxiedPort}/curl`);
  expect(JSON.parse(plain.body)).toMatchObject({ 'x-client': expect.stringMatching(/^127\.0\.0\.1 \d+$/) });
  const tls = await curl('-k', '--http2', '--haproxy-protocol', `https://127.0.0.1:${doors.proxiedTlsPort}/curl-tls`);
  expect(JSON.parse(tls.body)).toMatchObject({ 'x-encrypted': 'true' });
  const line = await doors.scenario.requestLine('/curl-tls');
  expect(line['httpRequest']).toMatchObject({ protocol: 'HTTP/2' });
});

test('curl without the header is closed', async () => {
  const { exitCode, body } = await curl(`http://127.0.0.1:${doors.proxiedPort}/bare`);
  expect(exitCode).not.toBe(0);
  expect(body).toBe('');
  await doors.scenario.proxy.waitForLog((line) => line['reason'] === 'proxy_protocol_malformed');
});

test('curl --http2-prior-knowledge at a plain door', async () => {
  const { body } = await curl('--http2-prior-knowledge', `http://127.0.0.1:${doors.plainPort}/h2c`);
  expect(JSON.parse(body)).toMatchObject({ 'x-forwarded-proto': 'http' });
  const line = await doors.scenario.requestLine('/h2c');
  expect(line['httpRequest']).toMatchObject({ protocol: 'HTTP/2' });
});
