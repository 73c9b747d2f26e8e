import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from 'node:http2';
import { setTimeout as sleep } from 'node:timers/promises';
import { answeringBackend, closeAll, closedPort, listen, rawBackend, startProxy } from './_proxy.ts';

/** HTTP/2 client, HTTP/1.1 backend. */

const sessions: ClientHttp2Session[] = [];

afterEach(async () => {
  for (const session of sessions.splice(0)) session.destroy();
  await closeAll();
});

function session(port: number): ClientHttp2Session {
  const opened = connect(`http://127.0.0.1:${port}`);
  opened.on('error', () => {});
  sessions.push(opened);
  return opened;
}

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly trailers: Readonly<Record<string, unknown>>;
  readonly body: string;
  /** 'end' came: the client takes the response for complete. */
  readonly ended: boolean;
  readonly rstCode: number;
}

async function answerOf(stream: ClientHttp2Stream): Promise<Answer> {
  let headers: Record<string, unknown> = {};
  let trailers: Record<string, unknown> = {};
  let body = '';
  let ended = false;
  stream.on('response', (received) => {
    headers = received;
  });
  stream.on('trailers', (received) => {
    trailers = received;
  });
  stream.on('data', (chunk: Buffer) => {
    body += chunk.toString('latin1');
  });
  stream.on('end', () => {
    ended = true;
  });
  stream.on('error', () => {});
  await new Promise((resolve) => stream.on('close', resolve)); // once() would reject with the error
  return { status: Number(headers[':status']), headers, trailers, body, ended, rstCode: stream.rstCode ?? -1 };
}

test('a request and its response: cookies joined, te dropped, Host from :authority', async () => {
  const backend = await rawBackend(async (connection) => {
    await connection.head();
    connection.socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\nx-a: 1\r\n\r\nok');
  });
  const { port, records } = await startProxy([backend.port], { clients: 'http2' });
  const pseudo = ':method GET :scheme http :authority a.example :path /x?y'.split(' ');
  const head = [...pseudo, 'cookie', 'a=1', 'te', 'trailers', 'cookie', 'b=2'];
  const stream = session(port).request(head as unknown as Record<string, string>);
  const answer = await answerOf(stream);
  expect(answer).toMatchObject({ status: 200, body: 'ok', ended: true, headers: { 'x-a': '1', via: '1.1 sallyport' } });
  const sent = backend.connections[0]!.text;
  expect(sent).toMatch(/^GET \/x\?y HTTP\/1.1\r\nhost: a.example\r\n/);
  expect(sent).toContain('cookie: a=1; b=2\r\n');
  expect(sent).not.toMatch(/^te:/m);
  expect(await records.nth(1)).toMatchObject({ status: 200, statusDetails: 'response_sent_by_backend' });
});

test('a body without a length goes on in chunks, and trailers come back', async () => {
  const backend = await rawBackend(async (connection) => {
    await connection.until((self) => self.text.endsWith('0\r\n\r\n'));
    connection.socket.write(
      'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\ngrpc-status: 0\r\n\r\n',
    );
  });
  const { port } = await startProxy([backend.port], { clients: 'http2' });
  const stream = session(port).request({ ':method': 'POST', ':path': '/' });
  stream.write('hello ');
  stream.end('world');
  const answer = await answerOf(stream);
  expect(answer).toMatchObject({ status: 200, body: 'ok', trailers: { 'grpc-status': '0' } });
  expect(backend.connections[0]!.text).toMatch(/transfer-encoding: chunked\r\n/i);
});

test('large bodies on several streams at once, byte-exact', async () => {
  const echo = createServer((incoming, outgoing) => incoming.pipe(outgoing));
  const { port, records } = await startProxy([await listen(echo)], { clients: 'http2' });
  const client = session(port);
  await Promise.all(
    Array.from({ length: 6 }, async () => {
      const body = randomBytes(1_500_000);
      const stream = client.request({ ':method': 'POST', ':path': '/' });
      const chunks: Buffer[] = [];
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.end(body);
      await once(stream, 'close');
      expect(Buffer.concat(chunks).equals(body)).toBe(true);
    }),
  );
  await records.nth(6);
  expect(records.all.every((record) => record.status === 200 && record.responseBytes === 1_500_000)).toBe(true);
  echo.closeAllConnections();
  echo.close();
});

test.each(['content-length: 100\r\n\r\npart', 'transfer-encoding: chunked\r\n\r\n4\r\npart\r\n'])(
  'a response that ends early (%j) is a reset stream, never a complete message',
  async (rest) => {
    const backend = await rawBackend(async (connection) => {
      await connection.head();
      connection.socket.end(`HTTP/1.1 200 OK\r\n${rest}`);
    });
    const { port, records } = await startProxy([backend.port], { clients: 'http2' });
    const answer = await answerOf(session(port).request({ ':path': '/' }));
    expect(answer.ended && answer.rstCode === 0).toBe(false);
    expect(answer.rstCode).toBe(constants.NGHTTP2_INTERNAL_ERROR);
    expect((await records.nth(1)).statusDetails).toBe('backend_connection_closed_after_partial_response_sent');
  },
);

test('a stream that its client resets closes the backend connection, and leaves the others alone', async () => {
  const backend = await rawBackend(async (connection) => {
    const head = await connection.head();
    if (head.includes('/fine')) connection.socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
  });
  const { port, records } = await startProxy([backend.port], { clients: 'http2' });
  const client = session(port);
  const leaving = client.request({ ':path': '/' });
  leaving.on('error', () => {});
  while (!backend.connections[0]?.text.includes('\r\n\r\n')) await sleep(2);
  leaving.close(constants.NGHTTP2_CANCEL);
  expect(await records.nth(1)).toMatchObject({ status: 499, statusDetails: 'client_disconnected_before_any_response' });
  await backend.connections[0]!.until((self) => self.closed);
  expect((await answerOf(client.request({ ':path': '/fine' }))).body).toBe('ok');
});

test('an early error: the whole answer, then the rest of the upload is refused without an error', async () => {
  const backend = await rawBackend(async (connection) => {
    await connection.head();
    connection.socket.write('HTTP/1.1 413 Too Large\r\ncontent-length: 4\r\n\r\nbig!');
  });
  const { port, records } = await startProxy([backend.port], { clients: 'http2' });
  const stream = session(port).request({ ':method': 'POST', ':path': '/' });
  stream.write(Buffer.alloc(1000));
  const answer = await answerOf(stream);
  expect(answer).toMatchObject({ status: 413, body: 'big!', rstCode: constants.NGHTTP2_NO_ERROR });
  expect(await records.nth(1)).toMatchObject({
    status: 413,
    statusDetails: 'aborted_request_due_to_backend_early_response',
  });
});

test('Expect: 100-continue is answered when there is a backend', async () => {
  const backend = await rawBackend(async (connection) => {
    await connection.until((self) => self.text.endsWith('hello'));
    connection.socket.write('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n');
  });
  const { port } = await startProxy([backend.port], { clients: 'http2' });
  const stream = session(port).request({
    ':method': 'POST',
    ':path': '/',
    'content-length': '5',
    expect: '100-continue',
  });
  stream.on('continue', () => stream.end('hello'));
  expect((await answerOf(stream)).status).toBe(200);
  expect(backend.connections[0]!.text).not.toMatch(/expect/i);
});

test('HEAD, 204 and 304 have no body', async () => {
  for (const [method, response, status] of [
    ['HEAD', 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n', 200],
    ['GET', 'HTTP/1.1 204 No Content\r\n\r\n', 204],
    ['GET', 'HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n', 304],
  ] as const) {
    const backend = await answeringBackend(response);
    const { port, records } = await startProxy([backend.port], { clients: 'http2' });
    const answer = await answerOf(session(port).request({ ':method': method, ':path': '/' }));
    expect(answer).toMatchObject({ status, body: '', rstCode: 0 });
    expect((await records.nth(1)).status).toBe(status);
  }
});

test.each([
  ['GET', '502 Bad Gateway\n'],
  ['HEAD', ''],
])('a failure answers %s', async (method, body) => {
  const { port, records } = await startProxy([await closedPort()], { clients: 'http2' });
  const answer = await answerOf(session(port).request({ ':method': method, ':path': '/' }));
  expect(answer).toMatchObject({ status: 502, body });
  expect((await records.nth(1)).statusDetails).toBe('failed_to_connect_to_backend');
});

test('a bad escape is 400 with the code for HTTP/2 paths', async () => {
  const { port, records } = await startProxy([await closedPort()], { clients: 'http2' });
  expect((await answerOf(session(port).request({ ':path': '/%zz' }))).status).toBe(400);
  expect((await records.nth(1)).statusDetails).toBe('invalid_http2_client_request_path');
});

test('the deadline inside a response resets the stream', async () => {
  const backend = await answeringBackend('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\npart');
  const { port, records } = await startProxy([backend.port], { clients: 'http2', timeoutSec: 0.1 });
  const answer = await answerOf(session(port).request({ ':path': '/' }));
  expect(answer.rstCode).toBe(constants.NGHTTP2_INTERNAL_ERROR);
  expect(await records.nth(1)).toMatchObject({ status: 200, statusDetails: 'backend_timeout' });
});
