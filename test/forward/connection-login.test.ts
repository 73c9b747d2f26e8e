// Security rule 34: NTLM and Negotiate log in a connection, not a request (RFC 4559).
import { once } from 'node:events';
import { createSecureServer, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { isConnectionLogin } from '#src/backend/connection-login.ts';
import type { LinkedBackendTls } from '#src/config/linked.ts';
import { chainPem, testPki } from '../harness/pki.ts';
import { client, closeAll, rawBackend, startProxy } from './_proxy.ts';

const cleanups: (() => Promise<void>)[] = [];

afterEach(async () => {
  await closeAll();
  for (const cleanup of cleanups.splice(0)) await cleanup();
});

describe('isConnectionLogin()', () => {
  test.each([
    ['authorization', 'NTLM TlRMTVNTUAABAAAA'],
    ['authorization', 'ntlm x'],
    ['authorization', ' Negotiate YII='],
    ['www-authenticate', 'Negotiate'],
    ['www-authenticate', 'Basic realm="a", NTLM'],
    ['www-authenticate', 'Nego2, Negotiate'],
  ])('%s: %s', (name, value) => {
    expect(isConnectionLogin(['x-a', '1', name, value])).toBe(true);
  });

  test.each([
    ['authorization', 'Bearer ntlm'],
    ['authorization', 'Basic bnRsbQ=='],
    ['www-authenticate', 'Basic realm="a", Bearer'],
    ['x-authorization', 'NTLM x'],
    ['x-name', 'www-authenticate'],
  ])('not %s: %s', (name, value) => {
    expect(isConnectionLogin(['ntlm', 'negotiate', name, value])).toBe(false);
  });
});

/** How many backend connections served the two requests that two clients sent one after the other. */
async function connectionsOf(requestField: string, answer: (index: number) => string): Promise<number> {
  let served = 0;
  const backend = await rawBackend(async (connection) => {
    for (;;) {
      await connection.head();
      connection.text = connection.text.slice(connection.text.indexOf('\r\n\r\n') + 4);
      connection.socket.write(answer(served++));
    }
  });
  const { port, records } = await startProxy([backend.port]);
  const first = client(port).send(`GET /1 HTTP/1.1\r\nhost: a\r\n${requestField}\r\n`);
  await first.response('\r\n\r\n');
  await records.nth(1);
  const second = client(port).send('GET /2 HTTP/1.1\r\nhost: a\r\n\r\n');
  await second.response('\r\n\r\n');
  await records.nth(2);
  return backend.connections.length;
}

const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n';
const challenge = (field: string) => `HTTP/1.1 401 Unauthorized\r\n${field}\r\ncontent-length: 0\r\n\r\n`;

describe('towards HTTP/1.1', () => {
  test('a connection without a login is used again', async () => {
    expect(await connectionsOf('authorization: Bearer x\r\n', () => OK)).toBe(1);
  });

  test.each(['authorization: NTLM TlRM\r\n', 'authorization: Negotiate YII=\r\n'])(
    'after "%s" the next client gets another connection',
    async (field) => {
      expect(await connectionsOf(field, () => OK)).toBe(2);
    },
  );

  test.each(['WWW-Authenticate: NTLM', 'www-authenticate: Basic realm="x", Negotiate'])(
    'after a response with "%s" too',
    async (field) => {
      expect(await connectionsOf('', (index) => (index === 0 ? challenge(field) : OK))).toBe(2);
    },
  );
});

test('an HTTP/2 session takes no new stream after a login', async () => {
  const pki = await testPki();
  const server = createSecureServer({ cert: chainPem(pki.server, pki.issuing), key: pki.server.privateKeyPem });
  let sessions = 0;
  server.on('session', () => sessions++);
  server.on('stream', (incoming) => {
    const stream = incoming as ServerHttp2Stream;
    stream.on('error', () => {});
    stream.respond({ ':status': 200 }, { endStream: true });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanups.push(async () => {
    server.close();
    await once(server, 'close');
  });
  const tls: LinkedBackendTls = {
    digest: 'any' as LinkedBackendTls['digest'],
    sni: null,
    dnsNames: [],
    uris: [],
    authentication: null,
    minTlsVersion: 'TLSv1.2',
  };
  const backendPort = (server.address() as AddressInfo).port;
  const { port, records } = await startProxy([backendPort], { service: { protocol: 'HTTP2', tls } });
  for (const [count, field] of [
    [1, ''],
    [2, 'authorization: Negotiate YII=\r\n'],
    [3, ''],
    [4, ''],
  ] as const) {
    await client(port).send(`GET / HTTP/1.1\r\nhost: a\r\n${field}\r\n`).response('\r\n\r\n');
    await records.nth(count);
  }
  expect(sessions).toBe(2);
});
