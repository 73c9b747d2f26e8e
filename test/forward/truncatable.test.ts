// Security rule 30: TLS does not tell an end from a cut when the end of the connection is the end of the response.
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer, type Server } from 'node:tls';
import type { LinkedBackendService, LinkedBackendTls } from '#src/config/linked.ts';
import { chainPem, testPki } from '../harness/pki.ts';
import { client, closeAll, startProxy } from './_proxy.ts';

const servers: Server[] = [];

afterEach(async () => {
  await closeAll();
  for (const server of servers.splice(0)) server.close();
});

/** A TLS backend that answers each request with these bytes and closes, with a close_notify or without. */
async function backend(response: string, end: 'close_notify' | 'raw FIN'): Promise<number> {
  const pki = await testPki();
  const server = createServer({ cert: chainPem(pki.server, pki.issuing), key: pki.server.privateKeyPem }, (socket) => {
    socket.on('error', () => {});
    socket.once('data', () => {
      if (end === 'close_notify') socket.end(response);
      // the TCP socket below, so that no alert is written
      else
        socket.write(
          response,
          () => (socket as unknown as { _parent: { end(): void } })._parent?.end() ?? socket.destroy(),
        );
    });
  });
  server.on('tlsClientError', () => {});
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  servers.push(server);
  return (server.address() as AddressInfo).port;
}

function overTls(): Partial<LinkedBackendService> {
  const tls: LinkedBackendTls = {
    digest: 'any' as LinkedBackendTls['digest'],
    sni: null,
    dnsNames: [],
    uris: [],
    authentication: null,
    minTlsVersion: 'TLSv1.2',
  };
  return { protocol: 'HTTPS', tls };
}

const GET = 'GET / HTTP/1.1\r\nhost: a.example\r\n\r\n';
const UNTIL_CLOSE = 'HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\nhello';

test.each(['close_notify', 'raw FIN'] as const)(
  'a close-delimited response over TLS (%s) is passed on close-delimited and flagged',
  async (end) => {
    const { port, records } = await startProxy([await backend(UNTIL_CLOSE, end)], { service: overTls() });
    const { text, ended } = await untilEnd(port);
    expect(text.toLowerCase()).toContain('connection: close\r\n');
    expect(text.toLowerCase()).not.toContain('transfer-encoding');
    expect(text.endsWith('\r\n\r\nhello')).toBe(true);
    expect(ended).toBe(true);
    expect((await records.nth(1)).truncatable).toBe(true);
  },
);

test.each([
  ['Content-Length', 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello'],
  ['chunks', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n'],
  ['no body', 'HTTP/1.1 204 No Content\r\n\r\n'],
])('a response framed by %s is not', async (_name, bytes) => {
  const { port, records } = await startProxy([await backend(bytes, 'close_notify')], { service: overTls() });
  const connection = client(port);
  connection.send(GET);
  expect((await records.nth(1)).truncatable).toBe(false);
});

async function untilEnd(port: number): Promise<{ readonly text: string; readonly ended: boolean }> {
  const { connect } = await import('node:net');
  const socket = connect(port, '127.0.0.1');
  socket.end(GET);
  let text = '';
  socket.setEncoding('latin1').on('data', (chunk: string) => (text += chunk));
  await once(socket, 'end');
  return { text, ended: true };
}
