import { once } from 'node:events';
import { createSecureServer, type Http2SecureServer, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import type { LinkedBackendService, LinkedBackendTls, LinkedTrustConfig } from '#src/config/linked.ts';
import { chainPem, testPki } from '../harness/pki.ts';
import { client, closeAll, startProxy } from './_proxy.ts';

/** HTTP/1.1 client, HTTP/2 backend over verified TLS. */

const servers: Http2SecureServer[] = [];
const sessions = new Set<{ destroy(): void }>();

afterEach(async () => {
  await closeAll();
  for (const session of sessions) session.destroy();
  for (const server of servers.splice(0)) {
    server.close();
    await once(server, 'close');
  }
});

async function http2Backend(
  onStream: (stream: ServerHttp2Stream, headers: readonly string[], count: number) => void,
): Promise<number> {
  const pki = await testPki();
  const server = createSecureServer({ cert: chainPem(pki.server, pki.issuing), key: pki.server.privateKeyPem });
  let count = 0;
  server.on('session', (session) => {
    sessions.add(session);
    session.on('close', () => sessions.delete(session));
  });
  server.on('stream', (incoming, _headers, _flags, raw) => {
    const stream = incoming as ServerHttp2Stream;
    stream.on('error', () => {});
    onStream(stream, raw as unknown as string[], ++count);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  servers.push(server);
  return (server.address() as AddressInfo).port;
}

async function trusting(anchor: 'root' | 'stranger'): Promise<Partial<LinkedBackendService>> {
  const pki = await testPki();
  const trustConfig: LinkedTrustConfig = {
    name: 'trust',
    digest: anchor as LinkedTrustConfig['digest'],
    anchors: [pki[anchor].der],
    intermediates: [],
    allowlist: [],
    revocation: null,
  };
  const tls: LinkedBackendTls = {
    digest: anchor as LinkedBackendTls['digest'],
    sni: 'backend.example',
    dnsNames: [],
    uris: [],
    authentication: { name: 'auth', trustConfig, publicRoots: false, clientCertificate: null, enforcement: 'ENFORCE' },
    minTlsVersion: 'TLSv1.2',
  };
  return { protocol: 'HTTP2', tls };
}

const GET = 'GET /a?b HTTP/1.1\r\nhost: a.example\r\n\r\n';

test('a request and its response, with the facts of the TLS connection in the record', async () => {
  const port = await http2Backend((stream, headers) => {
    stream.respond({ ':status': 200, 'content-type': 'application/json' });
    stream.end(JSON.stringify(headers));
  });
  const { port: proxy, records } = await startProxy([port], { service: await trusting('root') });
  const answer = await client(proxy).send(GET).response('0\r\n\r\n');
  const headers = JSON.parse(answer.slice(answer.indexOf('['), answer.lastIndexOf(']') + 1)) as string[];
  expect(headers.slice(0, 8)).toEqual([
    ':method',
    'GET',
    ':scheme',
    'https',
    ':authority',
    'a.example',
    ':path',
    '/a?b',
  ]);
  expect(headers).not.toContain('host');
  expect(await records.nth(1)).toMatchObject({
    status: 200,
    backendTls: { protocol: 'TLSv1.3', verdict: 'verified', rule: null, depth: -1, reason: null },
  });
});

test('a certificate of another CA: 502, nothing of the reason outside the record', async () => {
  let requests = 0;
  const port = await http2Backend(() => requests++);
  const { port: proxy, records } = await startProxy([port], { service: await trusting('stranger') });
  const answer = await client(proxy).send(GET).response('Bad Gateway\n');
  expect(answer).toMatch(/\r\n\r\n502 Bad Gateway\n$/);
  expect(answer).not.toMatch(/certificate|tls|Test Root/i);
  const record = await records.nth(1);
  expect(record).toMatchObject({
    status: 502,
    statusDetails: 'ssl_certificate_chain_verification_failed',
    proxyStatus: 'sallyport; error=tls_certificate_error',
    backendTls: { verdict: 'refused' },
  });
  expect(record.backendTls?.rule).not.toBeNull();
  expect(record.backendTls?.reason).not.toBeNull();
  expect(requests).toBe(0);
});

test('trailers pass both ways, and te: trailers with them', async () => {
  const port = await http2Backend((stream, headers) => {
    stream.respond({ ':status': 200 }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    stream.on('trailers', (trailers) => {
      const te = headers[headers.indexOf('te') + 1];
      stream.end(`te=${te} ${JSON.stringify(trailers)}`);
    });
    stream.resume();
  });
  const { port: proxy, records } = await startProxy([port], { service: await trusting('root') });
  const connection = client(proxy).send(
    'POST / HTTP/1.1\r\nhost: a\r\nte: trailers\r\nconnection: te\r\ntransfer-encoding: chunked\r\n\r\n' +
      '2\r\nhi\r\n0\r\ndigest: x\r\nx-forwarded-proto: https\r\n\r\n',
  );
  const answer = await connection.response('grpc-status: 0\r\n\r\n');
  expect(answer).toContain('te=trailers {"digest":"x"}');
  expect(answer).toContain('0\r\ngrpc-status: 0\r\n\r\n');
  expect((await records.nth(1)).droppedTrailers).toBe(0);
});

test('both directions flow at the same time', async () => {
  const port = await http2Backend((stream) => {
    stream.respond({ ':status': 200 });
    stream.on('data', (chunk: Buffer) => stream.write(`got ${chunk.toString()}.`));
    stream.on('end', () => stream.end('done'));
  });
  const { port: proxy } = await startProxy([port], { service: await trusting('root') });
  const connection = client(proxy).send('POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n');
  for (const word of ['one', 'two', 'three']) {
    connection.send(`${word.length.toString(16)}\r\n${word}\r\n`);
    await connection.response(`got ${word}.`);
  }
  expect(await connection.send('0\r\n\r\n').response('done\r\n0\r\n\r\n')).toContain('got three.');
});

test('a stream reset inside a response cuts the client off', async () => {
  const port = await http2Backend((stream) => {
    stream.respond({ ':status': 200 });
    stream.write('part');
    setTimeout(() => stream.destroy(new Error('broken')), 20);
  });
  const { port: proxy, records } = await startProxy([port], { service: await trusting('root') });
  const connection = client(proxy).send(GET);
  await connection.until((self) => self.closed);
  expect(connection.text).toContain('part');
  expect(connection.text).not.toMatch(/0\r\n\r\n$/);
  expect(await records.nth(1)).toMatchObject({
    status: 200,
    statusDetails: 'backend_connection_closed_after_partial_response_sent',
  });
});

test('a refused stream is sent once more, POST too: the server says that it did nothing with it', async () => {
  const port = await http2Backend((stream, _headers, count) => {
    if (count === 1) {
      stream.close(7); // REFUSED_STREAM
      return;
    }
    stream.respond({ ':status': 200 });
    stream.end(`attempt ${count}`);
  });
  const { port: proxy, records } = await startProxy([port], { service: await trusting('root') });
  const connection = client(proxy).send('POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n');
  expect(await connection.response('attempt 2')).toContain('attempt 2');
  expect(await records.nth(1)).toMatchObject({ status: 200, attempts: 2 });
});

test('a client that leaves resets its stream and no other', async () => {
  let wasReset: (code: number) => void;
  const reset = new Promise<number>((resolve) => {
    wasReset = resolve;
  });
  const port = await http2Backend((stream, headers) => {
    if (!headers.includes('/slow')) {
      stream.respond({ ':status': 200 });
      stream.end('fine');
      return;
    }
    stream.on('close', () => wasReset(stream.rstCode ?? -1));
    stream.respond({ ':status': 200 });
    stream.write('part');
  });
  const { port: proxy, records } = await startProxy([port], { service: await trusting('root') });
  const leaving = client(proxy).send('GET /slow HTTP/1.1\r\nhost: a\r\n\r\n');
  await leaving.response('part');
  leaving.socket.resetAndDestroy();
  expect(await reset).toBe(8); // CANCEL
  expect((await records.nth(1)).statusDetails).toBe('client_disconnected_after_partial_response');
  expect(await client(proxy).send(GET).response('fine')).toContain('fine');
  expect(sessions.size).toBe(1);
});
