import { once } from 'node:events';
import { request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import WebSocket from 'ws';
import { type ProxiedScenario, startProxiedScenario } from '../harness/proxied-scenario.ts';

const HEADER = 'PROXY TCP4 198.51.100.7 203.0.113.9 4321 443\r\n';
const GET = (path: string) => `GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`;

describe('a running proxy', () => {
  let doors: ProxiedScenario;
  beforeAll(async () => {
    doors = await startProxiedScenario();
  });
  afterAll(() => doors?.stop());

  test('serves plain HTTP and tells the backend that it is', async () => {
    const headers = await new Promise<Record<string, string>>((resolve, reject) => {
      request(
        { host: '127.0.0.1', port: doors.plainPort, path: '/plain', headers: { host: 'localhost' } },
        (response) => {
          let text = '';
          response.on('data', (chunk: Buffer) => (text += chunk.toString()));
          response.on('end', () => resolve(JSON.parse(text) as Record<string, string>));
        },
      )
        .on('error', reject)
        .end();
    });
    expect(headers).toMatchObject({ 'x-forwarded-proto': 'http', 'x-encrypted': 'false', 'x-tls': '' });
    expect(headers['x-forwarded-for']).toBe('127.0.0.1,127.0.0.1');
    const line = await doors.scenario.requestLine('/plain');
    expect(line).toMatchObject({ targetProxy: 'plain', forwardingRule: 'plain' });
    expect(line['tls']).toBeUndefined();
    expect((line['httpRequest'] as { requestUrl: string }).requestUrl).toMatch(/^http:/);
  });

  test('closes a TLS client at the plain door, and counts it', async () => {
    const client = connectTls({ port: doors.plainPort, host: '127.0.0.1', rejectUnauthorized: false });
    await new Promise((resolve) => client.on('error', () => {}).on('close', resolve));
    await doors.scenario.proxy.waitForLog((line) => line['reason'] === 'tls_on_plain_port');
    const labels = { proxy: 'plain', reason: 'tls_on_plain_port', side: 'client' };
    expect(await doors.scenario.metric('sallyport_handshake_failures_total', labels)).toBe(1);
  });

  test('takes the client of a balancer from the PROXY protocol: log, X-Forwarded-For, variables', async () => {
    const socket = connect(doors.proxiedPort, '127.0.0.1');
    const { headers } = await answer(socket, `${HEADER}${GET('/proxied')}`);
    expect(headers).toMatchObject({ 'x-forwarded-for': '198.51.100.7,203.0.113.9', 'x-client': '198.51.100.7 4321' });
    const line = await doors.scenario.requestLine('/proxied');
    expect(line['httpRequest']).toMatchObject({ remoteIp: '198.51.100.7' });
  });

  test('the same in front of TLS', async () => {
    const socket = connect(doors.proxiedTlsPort, '127.0.0.1');
    await once(socket, 'connect');
    socket.write(HEADER);
    const client = connectTls({ socket, servername: 'localhost', rejectUnauthorized: false });
    const { headers } = await answer(client, GET('/proxied-tls'));
    expect(headers).toMatchObject({
      'x-client': '198.51.100.7 4321',
      'x-forwarded-proto': 'https',
      'x-tls': 'TLSv1.3',
    });
  });

  test('without its header nothing is served there', async () => {
    const socket = connect(doors.proxiedPort, '127.0.0.1');
    expect((await answer(socket, GET('/bare'))).text).toBe('');
    await doors.scenario.proxy.waitForLog((line) => line['reason'] === 'proxy_protocol_malformed');
    expect(doors.scenario.proxy.log.filter((line) => JSON.stringify(line).includes('/bare'))).toEqual([]);
  });
});

test('SIGTERM: a WebSocket is told 1001 when the time to drain is over, and the exit code is 0', async () => {
  const doors = await startProxiedScenario({ drain: { delaySec: 0, timeoutSec: 1 } });
  try {
    const client = new WebSocket(`wss://127.0.0.1:${doors.scenario.port}/chat`, { rejectUnauthorized: false });
    await once(client, 'open');
    client.send('x');
    await once(client, 'message');
    const closed = once(client, 'close') as Promise<[number]>;
    doors.scenario.proxy.signal('SIGTERM');
    const [code] = await closed;
    expect(code).toBe(1001);
    expect(await doors.scenario.proxy.ended).toMatchObject({ code: 0 });
    const line = await doors.scenario.requestLine('/chat');
    expect(line).toMatchObject({ statusDetails: 'websocket_closed', httpRequest: { status: 101 } });
  } finally {
    await doors.stop();
  }
});

/** What comes until the end, and of it the fields that the backend saw. */
async function answer(socket: Socket, text: string): Promise<{ text: string; headers: Record<string, string> }> {
  let received = '';
  socket.on('data', (chunk: Buffer) => {
    received += chunk.toString('latin1');
  });
  socket.on('error', () => {});
  socket.write(text);
  await new Promise((resolve) => socket.on('close', resolve));
  const json = /\{.*\}/.exec(received)?.[0] ?? '{}';
  return { text: received, headers: JSON.parse(json) as Record<string, string> };
}
