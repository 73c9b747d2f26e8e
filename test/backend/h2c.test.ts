// HTTP/2 with prior knowledge over plain TCP (RFC 9113 section 3.3): the same pool and exchange as over TLS.
import { createServer, type IncomingHttpHeaders, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import { exchange, h2cServiceOf, headerOf, listen, makeService } from './support.ts';

const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

test('a request, its body and trailers both ways, several on one connection', async () => {
  const seen: IncomingHttpHeaders[] = [];
  const sessions: ServerHttp2Session[] = [];
  const server = createServer();
  server.on('session', (session: ServerHttp2Session) => sessions.push(session));
  server.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
    seen.push(headers);
    let trailers: IncomingHttpHeaders = {};
    stream.on('trailers', (fields: IncomingHttpHeaders) => {
      trailers = fields;
    });
    stream.respond({ ':status': 200 }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-echo': trailers['x-sum'] ?? 'none' }));
    stream.pipe(stream);
  });
  const port = await listen(server);
  const service = makeService({ protocol: 'H2C', ports: [port] });
  cleanups.push(() => server.close());
  cleanups.push(() => service.retire());
  const bodies = await Promise.all(
    ['one', 'two'].map((body) => exchange(service, { body, scheme: 'http', requestTrailers: ['x-sum', body] })),
  );
  for (const [index, body] of ['one', 'two'].entries()) {
    expect(bodies[index]).toMatchObject({ status: 200, body, error: null });
    expect(headerOf(bodies[index]!.trailers, 'x-echo')).toBe(body);
    expect(bodies[index]!.connection).toMatchObject({ endpoint: `127.0.0.1:${port}`, tls: null });
  }
  expect(seen[0]).toMatchObject({ ':scheme': 'http', ':authority': 'shop.example', ':method': 'POST' });
  expect(sessions).toHaveLength(1);
  expect(service).toMatchObject({ protocol: 'H2C', httpVersion: 'http2' });
});

test('a backend that speaks HTTP/1.1 only is a failed exchange, not a hang', async () => {
  const { service, close } = await h2cServiceOf((socket) => {
    socket.once('data', () => socket.write('HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n'));
  });
  cleanups.push(close);
  const { error } = await exchange(service, { scheme: 'http' });
  expect(error?.spec.status).toBe(502);
  expect(error?.detail).toContain('Protocol error');
});
