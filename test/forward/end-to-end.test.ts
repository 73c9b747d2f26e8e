import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { answeringBackend, client, closeAll, closedPort, listen, rawBackend, startProxy } from './_proxy.ts';

/** The table of src/forward/exchange-forward.ts with real sockets and backends that misbehave. */

afterEach(closeAll);

const GET = 'GET / HTTP/1.1\r\nhost: a.example\r\n\r\n';
const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');

describe('one exchange', () => {
  test('what the backend gets, and what the client gets', async () => {
    const backend = await answeringBackend(
      'HTTP/1.1 200 OK\r\ncontent-length: 2\r\nConnection: x-hop\r\nX-Hop: 1\r\nX-Kept: Two\r\nProxy-Authenticate: Basic\r\n\r\nok',
    );
    const { port, records } = await startProxy([backend.port]);
    const connection = client(port);
    connection.send(
      'GET /a//b?c HTTP/1.1\r\nHost: A.example\r\nConnection: X-Hop, keep-alive\r\nX-Hop: 1\r\nTE: trailers\r\n' +
        'Proxy-Authorization: Basic eDp5\r\nX-Forwarded-For: 10.9.8.7\r\nX-Forwarded-Proto: https\r\nX-Kept: One\r\n\r\n',
    );
    let received = '';
    backend.connections[0]?.socket.on('data', () => {});
    const answer = await connection.response('\r\n\r\nok');
    received = answer.toLowerCase();
    expect(received).toContain('x-kept: two\r\n');
    expect(received).toContain('via: 1.1 sallyport\r\n');
    expect(received).not.toMatch(/x-hop|proxy-authenticate/);
    const record = await records.nth(1);
    expect(record).toMatchObject({
      status: 200,
      statusDetails: 'response_sent_by_backend',
      backend: `127.0.0.1:${backend.port}`,
      attempts: 1,
      responseBytes: 2,
      backendTls: null,
    });
  });

  test('the request head on the wire, field by field', async () => {
    const backend = await rawBackend(() => {});
    const { port } = await startProxy([backend.port]);
    client(port).send(
      'GET /a//b?c HTTP/1.1\r\nHost: A.example\r\nConnection: X-Hop, keep-alive\r\nX-Hop: 1\r\nTE: trailers\r\n' +
        'X-Forwarded-For: 10.9.8.7\r\nX-Cloud-Trace-Context: 1/2;o=1\r\nX-Kept: One\r\n\r\n',
    );
    while (backend.connections.length === 0) await sleep(2);
    const head = await backend.connections[0]!.head();
    expect(head.split('\r\n').map((line) => line.toLowerCase())).toEqual([
      'get /a//b?c http/1.1',
      'host: a.example',
      'connection: keep-alive',
      'x-cloud-trace-context: 1/2;o=1',
      'x-kept: one',
      'x-forwarded-for: 10.9.8.7,127.0.0.1,127.0.0.1',
      'x-forwarded-proto: http',
      'via: 1.1 sallyport',
      '',
    ]);
  });

  test.each(['content-length', 'chunked'])(
    'large bodies both ways at once, byte-exact, framed by %s',
    async (framing) => {
      const echo = createServer((incoming, outgoing) => {
        const length = incoming.headers['content-length'];
        if (length !== undefined) outgoing.setHeader('content-length', length);
        incoming.pipe(outgoing);
      });
      const backendPort = await listen(echo);
      const { port, records } = await startProxy([backendPort]);
      const body = randomBytes(8_000_000);
      const headers: Record<string, string> = framing === 'chunked' ? {} : { 'content-length': String(body.length) };
      const outgoing = request({ port, method: 'POST', headers, agent: false });
      outgoing.end(body);
      const [incoming] = await once(outgoing, 'response');
      const chunks: Buffer[] = [];
      for await (const chunk of incoming) chunks.push(chunk as Buffer);
      expect(sha256(Buffer.concat(chunks))).toBe(sha256(body));
      expect(await records.nth(1)).toMatchObject({
        status: 200,
        requestBytes: body.length,
        responseBytes: body.length,
        statusDetails: 'response_sent_by_backend',
      });
      echo.closeAllConnections();
      echo.close();
    },
  );

  test('response trailers pass', async () => {
    const backend = await answeringBackend(
      'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: digest\r\n\r\n2\r\nok\r\n0\r\ndigest: x\r\nvia: 1.1 inner\r\nhost: b\r\n\r\n',
    );
    const { port } = await startProxy([backend.port]);
    const answer = await client(port).send(GET).response('digest: x\r\n\r\n');
    expect(answer).toMatch(/\r\n2\r\nok\r\n0\r\ndigest: x\r\n\r\n$/);
  });

  test.each([
    ['HEAD', 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n', /content-length: 5\r\n/],
    ['GET', 'HTTP/1.1 204 No Content\r\n\r\n', /^HTTP\/1.1 204/],
    ['GET', 'HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\netag: "a"\r\n\r\n', /etag: "a"/],
  ])('%s answered without a body: the next exchange begins where it should', async (method, response, expected) => {
    const backend = await answeringBackend(response);
    const { port, records } = await startProxy([backend.port]);
    const connection = client(port);
    for (let count = 1; count <= 2; count++) {
      connection.text = '';
      connection.send(`${method} / HTTP/1.1\r\nhost: a\r\n\r\n`);
      await records.nth(count);
      const answer = await connection.response('\r\n\r\n');
      expect(answer).toMatch(expected);
      expect(answer).toMatch(/\r\n\r\n$/);
      expect(answer).not.toMatch(/transfer-encoding/i);
    }
  });

  test('103 passes to HTTP/1.1 clients and not to HTTP/1.0 ones', async () => {
    const backend = await answeringBackend(
      'HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok',
    );
    const { port } = await startProxy([backend.port]);
    const newer = await client(port).send(GET).response('\r\n\r\nok');
    expect(newer).toMatch(/^HTTP\/1.1 103 Early Hints\r\nlink: <\/a>\r\n/);
    const older = await client(port).send('GET / HTTP/1.0\r\nhost: a\r\n\r\n').response('\r\n\r\nok');
    expect(older).not.toContain('103');
    expect(older).toMatch(/^HTTP\/1.1 200/);
  });

  test('Expect: 100-continue is answered by the proxy, and the backend never hears of it', async () => {
    const backend = await rawBackend(async (connection) => {
      await connection.until((self) => self.text.endsWith('hello'));
      connection.socket.write('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n');
    });
    const { port } = await startProxy([backend.port]);
    const connection = client(port);
    connection.send('POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\nexpect: 100-continue\r\n\r\n');
    await connection.response('100 Continue\r\n\r\n');
    connection.send('hello');
    expect(await connection.response('200 OK')).toContain('200 OK');
    expect(backend.connections[0]!.text).not.toMatch(/expect/i);
  });

  test('Expect: 100-continue is not answered while there is no backend', async () => {
    const { port } = await startProxy([await closedPort()]);
    const connection = client(port);
    connection.send('POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\nexpect: 100-continue\r\n\r\n');
    const answer = await connection.response('\r\n\r\n');
    expect(answer).toMatch(/^HTTP\/1.1 502 Bad Gateway\r\n/);
  });

  test('a redirect for dot segments leaves the connection usable', async () => {
    const backend = await answeringBackend('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
    const { port } = await startProxy([backend.port]);
    const connection = client(port);
    connection.send('GET /a/../b?c HTTP/1.1\r\nhost: a.example\r\n\r\n');
    const redirect = await connection.response('302 Found\n');
    expect(redirect).toContain('location: http://a.example/b?c\r\n');
    expect(backend.connections).toHaveLength(0);
    expect(await connection.send(GET).response('\r\n\r\nok')).toContain('200 OK');
  });
});

describe('the client', () => {
  test('leaves before any response: the backend connection is closed, 499', async () => {
    const backend = await rawBackend(() => {});
    const { port, records } = await startProxy([backend.port]);
    const connection = client(port).send(GET);
    while (backend.connections.length === 0) await sleep(2);
    await backend.connections[0]!.head();
    connection.socket.resetAndDestroy();
    expect(await records.nth(1)).toMatchObject({
      status: 499,
      statusDetails: 'client_disconnected_before_any_response',
    });
    await backend.connections[0]!.until((self) => self.closed);
  });

  test('leaves in its upload: the backend does not get a complete message', async () => {
    const backend = await rawBackend(() => {});
    const { port, records } = await startProxy([backend.port]);
    const connection = client(port).send(
      'POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n',
    );
    while (!backend.connections[0]?.text.includes('hello')) await sleep(2);
    connection.socket.resetAndDestroy();
    expect((await records.nth(1)).status).toBe(499);
    const received = backend.connections[0]!;
    await received.until((self) => self.closed);
    expect(received.text).not.toContain('0\r\n\r\n');
  });

  test('breaks chunk framing in its upload: 400, and the backend does not get a complete message', async () => {
    const backend = await rawBackend(() => {});
    const { port, records } = await startProxy([backend.port]);
    const connection = client(port).send(
      'POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n',
    );
    while (!backend.connections[0]?.text.includes('hello')) await sleep(2);
    connection.send('zz\r\n');
    expect(await connection.response('400')).toMatch(/^HTTP\/1.1 400/);
    expect(await records.nth(1)).toMatchObject({ status: 400, statusDetails: 'invalid_chunk_framing' });
    const received = backend.connections[0]!;
    await received.until((self) => self.closed);
    expect(received.text).not.toContain('0\r\n\r\n');
  });

  test('leaves in a download: the backend connection is closed, the status stays', async () => {
    const backend = await rawBackend(async (connection) => {
      await connection.head();
      connection.socket.write('HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\npart');
    });
    const { port, records } = await startProxy([backend.port]);
    const connection = client(port).send(GET);
    await connection.response('part');
    connection.socket.resetAndDestroy();
    expect(await records.nth(1)).toMatchObject({
      status: 200,
      statusDetails: 'client_disconnected_after_partial_response',
    });
    await backend.connections[0]!.until((self) => self.closed);
  });

  test('reads slowly: the backend is held back, and nothing is lost', async () => {
    const total = 48 * 1024 * 1024;
    const backend = await rawBackend(async (connection) => {
      await connection.head();
      connection.socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${total}\r\n\r\n`);
      connection.socket.write(Buffer.alloc(total, 'x'));
    });
    const { port, records } = await startProxy([backend.port]);
    const connection = client(port, 'count');
    connection.socket.pause();
    connection.send(GET);
    while (backend.connections.length === 0 || backend.connections[0]!.socket.writableLength === 0) await sleep(5);
    let left = -1;
    while (left !== backend.connections[0]!.socket.writableLength) {
      left = backend.connections[0]!.socket.writableLength;
      await sleep(50);
    }
    expect(left).toBeGreaterThan(total / 2);
    connection.socket.resume();
    expect(await records.nth(1)).toMatchObject({ status: 200, responseBytes: total });
    await connection.until((self) => self.bytes >= total);
  });

  test('half-closes after its request and still gets the response', async () => {
    const backend = await answeringBackend('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
    const { port } = await startProxy([backend.port]);
    const connection = client(port);
    connection.socket.end(GET);
    expect(await connection.response('\r\n\r\nok')).toContain('200 OK');
  });
});

describe('the backend', () => {
  test('refuses: the next endpoint is tried', async () => {
    const backend = await answeringBackend('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
    const { port, records } = await startProxy([await closedPort(), await closedPort(), backend.port]);
    await client(port).send(GET).response('\r\n\r\nok');
    expect(await records.nth(1)).toMatchObject({ status: 200, attempts: 3, error: null });
  });

  test('refuses everywhere: 502, and the answer does not say why', async () => {
    const dead = await closedPort();
    const { port, records } = await startProxy([dead]);
    const answer = await client(port).send(GET).response('Bad Gateway\n');
    expect(answer).toMatch(/\r\n\r\n502 Bad Gateway\n$/);
    expect(answer).not.toMatch(new RegExp(`ECONNREFUSED|${dead}|proxy-status|failed_to_connect`, 'i'));
    expect(await records.nth(1)).toMatchObject({
      status: 502,
      statusDetails: 'failed_to_connect_to_backend',
      proxyStatus: 'sallyport; error=connection_refused',
    });
  });

  test('resets a fresh connection: 502, one attempt', async () => {
    const backend = await rawBackend(async (connection) => {
      await connection.head();
      connection.socket.resetAndDestroy();
    });
    const { port, records } = await startProxy([backend.port]);
    expect(await client(port).send(GET).response('Bad Gateway\n')).toMatch(/^HTTP\/1.1 502/);
    expect(await records.nth(1)).toMatchObject({
      statusDetails: 'backend_connection_closed_before_data_sent_to_client',
      proxyStatus: 'sallyport; error=connection_terminated',
      attempts: 1,
    });
    expect(backend.connections).toHaveLength(1);
  });

  /** Answers once, then resets when a second request comes on the same connection. */
  const answersOnce = () =>
    rawBackend(async (connection) => {
      await connection.head();
      connection.text = '';
      connection.socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
      await connection.until((self) => self.text !== '');
      connection.socket.resetAndDestroy();
    });

  test('resets a reused connection: GET is sent once more on a fresh one', async () => {
    const backend = await answersOnce();
    const { port, records } = await startProxy([backend.port]);
    const connection = client(port);
    await connection.send(GET).response('\r\n\r\nok');
    await records.nth(1);
    connection.text = '';
    await connection.send(GET).response('\r\n\r\nok');
    expect(connection.text).toContain('200 OK');
    expect(await records.nth(2)).toMatchObject({ status: 200, attempts: 2, error: null });
    expect(backend.connections).toHaveLength(2);
  });

  test('resets a reused connection: POST is not sent again', async () => {
    const backend = await answersOnce();
    const { port, records } = await startProxy([backend.port]);
    const connection = client(port);
    await connection.send(GET).response('\r\n\r\nok');
    await records.nth(1);
    connection.send('POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nhi');
    expect(await connection.response('Bad Gateway\n')).toContain('502 Bad Gateway');
    expect(await records.nth(2)).toMatchObject({ status: 502, attempts: 1 });
    expect(backend.connections).toHaveLength(1);
  });

  test.each([
    ['content-length: 100\r\n\r\npart'],
    ['transfer-encoding: chunked\r\n\r\n4\r\npart\r\n'],
    ['transfer-encoding: chunked\r\n\r\n64\r\npart'],
  ])('ends early after %j: the client cannot take a part for the whole', async (rest) => {
    const backend = await rawBackend(async (connection) => {
      await connection.head();
      connection.socket.end(`HTTP/1.1 200 OK\r\n${rest}`);
    });
    const { port, records } = await startProxy([backend.port]);
    const connection = client(port).send(GET);
    await connection.until((self) => self.closed);
    expect(connection.text).not.toMatch(/0\r\n\r\n$/);
    expect(connection.text.length).toBeLessThan(300);
    expect(await records.nth(1)).toMatchObject({
      status: 200,
      statusDetails: 'backend_connection_closed_after_partial_response_sent',
      proxyStatus: 'sallyport; error=http_response_incomplete',
    });
  });

  test.each([
    ['garbage', 'garbage\r\n\r\n', 'backend_response_corrupted'],
    [
      'two lengths',
      'HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nok',
      'backend_response_corrupted',
    ],
    [
      'a length and chunks',
      'HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n',
      'backend_response_corrupted',
    ],
    ['obs-fold', 'HTTP/1.1 200 OK\r\na: b\r\n c\r\ncontent-length: 2\r\n\r\nok', 'backend_response_corrupted'],
    ['an unasked 100', 'HTTP/1.1 100 Continue\r\n\r\n', 'backend_interim_response_not_supported'],
    [
      'an unasked 101',
      'HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n',
      'backend_interim_response_not_supported',
    ],
    ['endless 103s', 'HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(17), 'backend_interim_response_not_supported'],
    ['too long a head', `HTTP/1.1 200 OK\r\na: ${'b'.repeat(200_000)}\r\n\r\n`, 'backend_response_headers_too_long'],
  ])('answers with %s: 502 with its code', async (_what, response, code) => {
    const backend = await answeringBackend(response);
    const { port, records } = await startProxy([backend.port]);
    expect(await client(port).send(GET).response('Bad Gateway\n')).toContain('HTTP/1.1 502 Bad Gateway\r\n');
    expect(await records.nth(1)).toMatchObject({ status: 502, statusDetails: code });
  });

  test('never answers: 504 after timeoutSec, its connection is closed', async () => {
    const backend = await rawBackend(() => {});
    const { port, records } = await startProxy([backend.port], { timeoutSec: 0.1 });
    expect(await client(port).send(GET).response('Timeout\n')).toMatch(/^HTTP\/1.1 504 Gateway Timeout\r\n/);
    expect(await records.nth(1)).toMatchObject({
      status: 504,
      statusDetails: 'backend_timeout',
      proxyStatus: 'sallyport; error=http_response_timeout',
    });
    await backend.connections[0]!.until((self) => self.closed);
  });

  test('stops in its response: the client is cut off after timeoutSec', async () => {
    const backend = await answeringBackend('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\npart');
    const { port, records } = await startProxy([backend.port], { timeoutSec: 0.1 });
    const connection = client(port).send(GET);
    await connection.until((self) => self.closed);
    expect(connection.text).toMatch(/\r\n\r\npart$/);
    expect(await records.nth(1)).toMatchObject({ status: 200, statusDetails: 'backend_timeout' });
  });

  test('does not take an upload: 504 after timeoutSec, the client is not left hanging', async () => {
    const backend = await rawBackend((connection) => {
      connection.socket.pause();
    });
    const { port, records } = await startProxy([backend.port], { timeoutSec: 0.2 });
    const connection = client(port);
    connection.send('POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 50000000\r\n\r\n').send(Buffer.alloc(50_000_000));
    expect(await connection.response('504')).toMatch(/^HTTP\/1.1 504/);
    expect((await records.nth(1)).statusDetails).toBe('backend_timeout');
    await connection.until((self) => self.closed);
  });

  test('answers 413 before the upload ends: the client gets it, the rest is discarded, the connection closes', async () => {
    const backend = await rawBackend(async (connection) => {
      await connection.head();
      connection.socket.write('HTTP/1.1 413 Too Large\r\ncontent-length: 4\r\n\r\nbig!');
    });
    const { port, records } = await startProxy([backend.port]);
    const connection = client(port);
    connection.send('POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\n').send(Buffer.alloc(1000));
    const answer = await connection.response('big!');
    expect(answer).toMatch(/^HTTP\/1.1 413/);
    expect(answer.toLowerCase()).toContain('connection: close\r\n');
    await connection.until((self) => self.closed);
    expect(await records.nth(1)).toMatchObject({
      status: 413,
      statusDetails: 'aborted_request_due_to_backend_early_response',
    });
  });

  test('answers 200 before the upload ends: the upload goes on', async () => {
    const backend = await rawBackend(async (connection) => {
      await connection.head();
      connection.socket.write('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nearly');
      await connection.until((self) => self.text.endsWith('world'));
      connection.socket.write('late');
    });
    const { port, records } = await startProxy([backend.port]);
    const connection = client(port);
    connection.send('POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nhello');
    await connection.response('early');
    connection.send('world');
    expect(await connection.response('earlylate')).toContain('earlylate');
    expect(await records.nth(1)).toMatchObject({
      status: 200,
      statusDetails: 'response_sent_by_backend',
      requestBytes: 10,
    });
  });

  test('sends a body to HEAD: the next client does not get it', async () => {
    const backend = await answeringBackend('HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nEVIL!');
    const { port, records } = await startProxy([backend.port]);
    const connection = client(port);
    connection.send('HEAD / HTTP/1.1\r\nhost: a\r\n\r\n');
    await records.nth(1);
    connection.text = '';
    connection.send(GET);
    await records.nth(2);
    const answer = await connection.response('EVIL!');
    expect(answer).toMatch(/^HTTP\/1.1 200/);
    expect(answer.match(/EVIL!/g)).toHaveLength(1);
  });
});

describe('WebSocket', () => {
  const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';
  const UPGRADE = `GET /chat HTTP/1.1\r\nhost: a\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: ${KEY}\r\n\r\n`;
  const ACCEPT =
    'HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n';

  test('opens a tunnel that carries bytes both ways, and half-closes', async () => {
    const backend = await rawBackend(async (connection) => {
      const head = await connection.head();
      expect(head.toLowerCase()).toContain('upgrade: websocket\r\n');
      connection.socket.write(`${ACCEPT}hello from backend`);
      await connection.until((self) => self.text.endsWith('hello from client'));
      await connection.until((self) => self.closed);
      connection.socket.end('bye');
    });
    const { port, records } = await startProxy([backend.port]);
    const connection = client(port).send(UPGRADE);
    const answer = await connection.response('hello from backend');
    expect(answer).toMatch(/^HTTP\/1.1 101 Switching Protocols\r\n/);
    expect(answer.toLowerCase()).toContain('upgrade: websocket\r\n');
    expect(answer.toLowerCase()).toContain('connection: upgrade\r\n');
    connection.socket.end('hello from client');
    await connection.response('bye');
    expect(await records.nth(1)).toMatchObject({
      status: 101,
      statusDetails: 'websocket_closed',
      requestBytes: 17,
      responseBytes: 21,
    });
  });

  test('client bytes that come before the 101 are not lost', async () => {
    const backend = await rawBackend(async (connection) => {
      await connection.head();
      await sleep(20);
      connection.socket.write(ACCEPT);
    });
    const { port } = await startProxy([backend.port]);
    client(port).send(`${UPGRADE}early bytes`);
    while (!backend.connections[0]?.text.endsWith('early bytes')) await sleep(2);
  });

  test('a 101 with another key is 502, and no byte is tunnelled', async () => {
    const backend = await answeringBackend(ACCEPT.replace('s3pP', 's3pQ'));
    const { port, records } = await startProxy([backend.port]);
    const connection = client(port).send(`${UPGRADE}secret`);
    expect(await connection.response('Bad Gateway\n')).toMatch(/^HTTP\/1.1 502/);
    expect(await records.nth(1)).toMatchObject({ status: 502, statusDetails: 'websocket_handshake_failed' });
    expect(backend.connections[0]!.text).not.toContain('secret');
  });

  test('an answer other than 101 passes', async () => {
    const backend = await answeringBackend('HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno');
    const { port, records } = await startProxy([backend.port]);
    expect(await client(port).send(UPGRADE).response('\r\n\r\nno')).toMatch(/^HTTP\/1.1 403/);
    expect(await records.nth(1)).toMatchObject({ status: 403, statusDetails: 'websocket_handshake_failed' });
  });

  test('a request without Sec-WebSocket-Key is 400', async () => {
    const { port } = await startProxy([await closedPort()]);
    const answer = client(port).send(UPGRADE.replace(/sec-websocket-key.*\r\n/, ''));
    expect(await answer.response('400')).toMatch(/^HTTP\/1.1 400/);
  });

  test('is idle-timed, not cut off at timeoutSec', async () => {
    const backend = await rawBackend(async (connection) => {
      await connection.head();
      connection.socket.write(ACCEPT);
      for (let i = 0; i < 8; i++) {
        await sleep(50);
        connection.socket.write(`tick ${i} `);
      }
    });
    const { port, records } = await startProxy([backend.port], { timeoutSec: 0.3 });
    const connection = client(port).send(UPGRADE);
    await connection.response('tick 7');
    expect(connection.text).toContain('tick 7');
    expect(await records.nth(1)).toMatchObject({ status: 101, statusDetails: 'backend_timeout' });
    await connection.until((self) => self.closed);
  });
});

describe('drain and retirement', () => {
  test('a retired service finishes what runs', async () => {
    const backend = await rawBackend(async (connection) => {
      await connection.head();
      await connection.until((self) => self.text.endsWith('go'));
      connection.socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
    });
    const { port, service, records } = await startProxy([backend.port]);
    const connection = client(port).send('POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n');
    while (backend.connections.length === 0) await sleep(2);
    const retired = service.retire();
    connection.send('go');
    expect(await connection.response('\r\n\r\nok')).toContain('200 OK');
    expect((await records.nth(1)).status).toBe(200);
    await retired;
  });

  test('a draining door finishes the exchange and closes the connection after it', async () => {
    const backend = await rawBackend(async (connection) => {
      await connection.head();
      await sleep(30);
      connection.socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
    });
    const { port, door } = await startProxy([backend.port]);
    const connection = client(port).send(GET);
    while (backend.connections.length === 0) await sleep(2);
    door.drain();
    const answer = await connection.response('\r\n\r\nok');
    expect(answer.toLowerCase()).toContain('connection: close\r\n');
    await connection.until((self) => self.closed);
  });
});

test('many exchanges at once leave nothing behind', async () => {
  const backend = await answeringBackend('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
  const { port, records, accepted } = await startProxy([backend.port]);
  const clients = Array.from({ length: 50 }, () => client(port));
  for (let round = 1; round <= 10; round++) {
    for (const each of clients) {
      each.text = '';
      each.send(GET);
    }
    for (const each of clients) expect(await each.response('\r\n\r\nok')).toContain('200 OK');
  }
  await records.nth(500);
  expect(records.all.every((record) => record.status === 200 && record.error === null)).toBe(true);
  for (const each of clients) each.socket.destroy();
  while (accepted.size > 0) await sleep(5);
});
