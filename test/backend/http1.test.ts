import { once } from 'node:events';
import { createServer, type Server as HttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTcpServer, type Socket } from 'node:net';
import type { BackendService } from '#src/backend/contract.ts';
import { websocketAccept } from '#src/backend/websocket-accept.ts';
import { ProxyError } from '#src/base/errors.ts';
import { until } from '../harness/until.ts';
import {
  EventLog,
  type ExchangeOptions,
  exchange,
  headerOf,
  listen,
  makeService,
  type Outcome,
  Recorder,
  type ServiceOptions,
} from './support.ts';

const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup();
});

/** An HTTP/1.1 backend and a service with one endpoint: it. */
async function startHttp(
  onRequest: (request: IncomingMessage, response: ServerResponse) => void,
  options: Partial<ServiceOptions> = {},
): Promise<{ readonly service: BackendService; readonly server: HttpServer }> {
  const server = createServer(onRequest);
  const port = await listen(server);
  const service = makeService({ ports: [port], ...options });
  cleanups.push(() => {
    server.closeAllConnections();
    server.close();
  });
  cleanups.push(() => service.retire());
  return { service, server };
}

interface RawBackend {
  readonly service: BackendService;
  /** Everything each connection sent, as latin1. */
  readonly received: string[];
  readonly sockets: Socket[];
}

/** A backend of bare bytes: `answer` is called with what came in, once per read. */
async function startRaw(
  answer: (socket: Socket, received: string, connection: number) => void,
  options: Partial<ServiceOptions> = {},
): Promise<RawBackend> {
  const received: string[] = [];
  const sockets: Socket[] = [];
  const server = createTcpServer((socket) => {
    const connection = sockets.push(socket) - 1;
    received.push('');
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      received[connection] += chunk.toString('latin1');
      answer(socket, received[connection]!, connection);
    });
  });
  const port = await listen(server);
  const service = makeService({ ports: [port], ...options });
  cleanups.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  cleanups.push(() => service.retire());
  return { service, received, sockets };
}

/** The outcome of one GET to a backend that answers with these bytes. */
async function answered(bytes: string, options: ExchangeOptions & { readonly end?: boolean } = {}): Promise<Outcome> {
  const { service } = await startRaw((socket, received) => {
    if (!received.includes('\r\n\r\n')) return;
    socket.write(bytes, 'latin1');
    if (options.end) socket.end();
  });
  return exchange(service, options);
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

describe('the request on the wire', () => {
  test('head and body arrive byte for byte', async () => {
    const { service, received } = await startRaw((socket, text) => {
      if (text.endsWith('caf\xe9')) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
    });
    await exchange(service, {
      method: 'PUT',
      target: '/a%2fb//c?d=%20&e',
      authority: 'Shop.example:8443',
      headers: ['x-name', 'J\xf6rg', 'accept', 'a', 'accept', 'b'],
      contentLength: 4,
      body: 'caf\xe9',
    });
    expect(received[0]).toBe(
      'PUT /a%2fb//c?d=%20&e HTTP/1.1\r\nhost: Shop.example:8443\r\nconnection: keep-alive\r\n' +
        'x-name: J\xf6rg\r\naccept: a\r\naccept: b\r\ncontent-length: 4\r\n\r\ncaf\xe9',
    );
  });

  test('a body of unknown length is chunked, and request trailers stay behind', async () => {
    const { service, received } = await startRaw((socket, text) => {
      if (text.endsWith('0\r\n\r\n')) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
    });
    await exchange(service, { body: 'hello', requestTrailers: ['x-checksum', '1'] });
    expect(received[0]).toContain('transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n');
    expect(received[0]).not.toContain('x-checksum');
  });

  test('OPTIONS * reaches the server as the absolute-form that means the same', async () => {
    const { service } = await startHttp((request, response) => response.end(`${request.method} ${request.url}`));
    const { body } = await exchange(service, { method: 'OPTIONS', target: '*', scheme: 'http' });
    expect(body).toBe('OPTIONS http://shop.example');
  });

  test('a head that undici refuses is internal_error, and the connection lives on', async () => {
    const { service } = await startHttp((_request, response) => response.end());
    await exchange(service);
    expect((await exchange(service, { headers: ['x', 'a\nb'] })).error).toMatchObject({
      code: 'internal_error',
      retry: 'no',
    });
    expect(await exchange(service)).toMatchObject({ status: 200, connection: { reused: true } });
  });
});

describe('the response', () => {
  test('fields that are named like what every object has are fields like others', async () => {
    const names = ['__proto__', 'constructor', 'toString', 'hasOwnProperty', '7', 'x'];
    const lines = names.map((name) => `${name}: 1\r\n${name}: 2\r\n`).join('');
    const { headers } = await answered(`HTTP/1.1 200 OK\r\n${lines}Content-Length: 2\r\n\r\nok`);
    const fields: string[] = [];
    for (let i = 0; i < headers.length; i += 2) fields.push(`${headers[i]}: ${headers[i + 1]}`);
    const expected = names.flatMap((name) => [`${name.toLowerCase()}: 1`, `${name.toLowerCase()}: 2`]);
    expect(fields.sort()).toEqual([...expected, 'content-length: 2'].sort());
  });

  test('names are lower-cased, values are latin1, duplicates and order are kept', async () => {
    const { headers, body, order } = await answered(
      'HTTP/1.1 200 OK\r\nX-One: \xfc\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\nContent-Length: 2\r\n\r\nok',
    );
    expect(headers).toEqual(['x-one', '\xfc', 'set-cookie', 'a=1', 'set-cookie', 'b=2', 'content-length', '2']);
    expect(body).toBe('ok');
    expect(order).toEqual(['onConnection', 'onResponse', 'onData', 'onEnd']);
  });

  test('trailers arrive with the end', async () => {
    const { trailers, body } = await answered(
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Checksum: 1\r\n\r\n',
    );
    expect(body).toBe('ok');
    expect(trailers).toEqual(['x-checksum', '1']);
  });

  test('without length and chunks it ends with the connection', async () => {
    expect(await answered('HTTP/1.1 200 OK\r\n\r\nuntil the end', { end: true })).toMatchObject({
      body: 'until the end',
      error: null,
    });
  });

  test.each([
    ['HEAD', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n'],
    ['GET', 'HTTP/1.1 204 No Content\r\n\r\n'],
    ['GET', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n'],
  ])('%s answered with %j has no body', async (method, bytes) => {
    expect(await answered(bytes, { method })).toMatchObject({ body: '', error: null });
  });

  test('102 and 103 are handed on as they come', async () => {
    const { interims, status } = await answered(
      'HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n',
    );
    expect(interims).toEqual([
      { status: 102, headers: [] },
      { status: 103, headers: ['link', '</a>'] },
    ]);
    expect(status).toBe(200);
  });

  test('a head of 100 KiB passes', async () => {
    const value = 'v'.repeat(100 * 1024);
    const { headers } = await answered(`HTTP/1.1 200 OK\r\nX-Long: ${value}\r\nContent-Length: 0\r\n\r\n`);
    expect(headerOf(headers, 'x-long')).toBe(value);
  });
});

describe('broken responses', () => {
  const early: readonly (readonly [string, string, string])[] = [
    ['an unasked 100', 'HTTP/1.1 100 Continue\r\n\r\n', 'backend_interim_response_not_supported'],
    ['a 101 without Upgrade', 'HTTP/1.1 101 Switching Protocols\r\n\r\n', 'backend_interim_response_not_supported'],
    [
      'an unasked 101',
      'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n',
      'backend_interim_response_not_supported',
    ],
    ['17 interim responses', 'HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(17), 'backend_interim_response_not_supported'],
    [
      'a head over 128 KiB',
      `HTTP/1.1 200 OK\r\nX: ${'v'.repeat(129 * 1024)}\r\n\r\n`,
      'backend_response_headers_too_long',
    ],
    ['no HTTP', 'SSH-2.0-OpenSSH_9.9\r\n', 'backend_response_corrupted'],
    [
      'two different lengths',
      'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok',
      'backend_response_corrupted',
    ],
    [
      'a length and chunks',
      'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n',
      'backend_response_corrupted',
    ],
    [
      'a Transfer-Encoding other than chunked',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n',
      'backend_response_corrupted',
    ],
    ['a folded header', 'HTTP/1.1 200 OK\r\nX-One: a\r\n b\r\nContent-Length: 0\r\n\r\n', 'backend_response_corrupted'],
    ['a bare line feed', 'HTTP/1.1 200 OK\nContent-Length: 0\n\n', 'backend_response_corrupted'],
  ];

  test.each(early)('%s is refused before the head is passed on', async (_name, bytes, code) => {
    const { error, order } = await answered(bytes);
    expect(order.filter((word) => word !== 'onInterim')).toEqual(['onConnection', 'onError']);
    expect(error).toMatchObject({ code, retry: 'no' });
    expect(error?.spec.status).toBe(502);
  });

  test.each([
    [
      'a bad chunk size',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\nzz\r\n',
      false,
      'backend_response_corrupted',
    ],
    [
      'a length that the body does not reach',
      'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nok',
      true,
      'backend_connection_closed_after_partial_response_sent',
    ],
    [
      'the same with Connection: close',
      'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nok',
      true,
      'backend_connection_closed_after_partial_response_sent',
    ],
    [
      'chunks that stop short',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n',
      true,
      'backend_connection_closed_after_partial_response_sent',
    ],
    [
      'the same with Connection: close',
      'HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n',
      true,
      'backend_connection_closed_after_partial_response_sent',
    ],
  ])('%s is an error after the head (%#)', async (_name, bytes, end, code) => {
    const { error, order, body } = await answered(bytes, { end });
    expect(body).toBe('ok');
    expect(order).toEqual(['onConnection', 'onResponse', 'onData', 'onError']);
    expect(error).toMatchObject({ code, retry: 'no', phase: 'relay' });
  });

  test('a connection that closes before a response is retryable only when it was reused', async () => {
    const { service } = await startRaw((socket, text) => {
      if (text.split('\r\n\r\n').length === 3) socket.destroy();
      else socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
    });
    expect((await exchange(service)).status).toBe(200);
    const recorder = new Recorder();
    const { promise, resolve } = Promise.withResolvers<ProxyError>();
    recorder.onError = resolve;
    recorder.start(service);
    expect(await promise).toMatchObject({
      code: 'backend_connection_closed_before_data_sent_to_client',
      retry: 'if-reused',
    });
    expect(recorder.connection?.reused).toBe(true);
    expect(recorder.call?.sent).toBe(true);
  });
});

describe('connections', () => {
  test('are used again', async () => {
    const events = new EventLog();
    const { service } = await startHttp((request, response) => request.resume().on('end', () => response.end('ok')), {
      events,
    });
    for (let i = 0; i < 3; i++) expect((await exchange(service, { body: 'x' })).connection?.reused).toBe(i > 0);
    expect(events.connects).toHaveLength(1);
  });

  test('many uploads on one connection leave no listeners behind', async () => {
    const { service, server } = await startHttp((request, response) =>
      request.resume().on('end', () => response.end()),
    );
    const sockets: Socket[] = [];
    server.on('connection', (socket) => sockets.push(socket));
    const warnings: Error[] = [];
    const note = (warning: Error) => warnings.push(warning);
    process.on('warning', note);
    for (let i = 0; i < 30; i++) await exchange(service, { body: 'x' });
    await turn();
    process.off('warning', note);
    expect(warnings).toEqual([]);
    expect(sockets).toHaveLength(1);
  });

  test('one that the backend closed while idle is replaced unnoticed', async () => {
    const events = new EventLog();
    const { service, sockets } = await startRaw(
      (socket) => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'),
      { events },
    );
    await exchange(service);
    sockets[0]!.destroy();
    await once(sockets[0]!, 'close');
    // The end is in the kernel, and this process has not read it yet: undici finds it before it writes.
    expect(await exchange(service)).toMatchObject({ status: 200, connection: { reused: false } });
    sockets[1]!.destroy();
    await until(() => events.closes.length === 2);
    expect(await exchange(service)).toMatchObject({ status: 200, connection: { reused: false } });
    expect(events.connects).toHaveLength(3);
  });

  test('bytes that nobody asked for end an idle connection and reach no client', async () => {
    const events = new EventLog();
    const { service, sockets } = await startRaw(
      (socket, text) => {
        const answer = text.includes('GET /second') ? 'second' : 'first';
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${answer.length}\r\n\r\n${answer}`);
      },
      { events },
    );
    expect((await exchange(service, { target: '/first' })).body).toBe('first');
    sockets[0]!.write('HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison');
    await until(() => events.closes.length === 1);
    expect((await exchange(service, { target: '/second' })).body).toBe('second');
    expect(sockets).toHaveLength(2);
  });

  test('a response that comes before anything of the request was sent does not answer it (security rule 2)', async () => {
    const { service, sockets } = await startRaw((socket) =>
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'),
    );
    await exchange(service);
    const { promise, resolve } = Promise.withResolvers<ProxyError>();
    const recorder = new Recorder();
    recorder.onError = resolve;
    // the head waits for the first bytes of the body
    recorder.onFirstBodyWanted = () => sockets[0]!.write('HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison');
    recorder.start(service, { method: 'PUT', contentLength: 4 });
    expect(await promise).toMatchObject({ code: 'backend_connection_closed_before_data_sent_to_client' });
    expect([recorder.status, recorder.call?.sent]).toEqual([0, false]);
  });

  // RFC 9110 §9.3.1, security rule 2. The backend sends a body to HEAD, or takes an ignored body for a second request: either way
  // bytes that a stranger may have chosen come late, when the next request is on its way. With undici's `reset: false` they answer it.
  test.each([
    ['HEAD', undefined],
    ['GET', 'GET /smuggled HTTP/1.1\r\n\r\n'],
    ['DELETE', 'GET /smuggled HTTP/1.1\r\n\r\n'],
  ])('a backend that sends more than the answer to %s never answers the next request with it', async (method, body) => {
    const { service, sockets } = await startRaw((socket, text) => {
      if (text.startsWith('GET /next')) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnext');
      else if (socket.bytesWritten === 0) {
        socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
        setTimeout(() => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison'), 10);
      }
    });
    for (let i = 0; i < 5; i++) {
      await exchange(service, { method, ...(body === undefined ? {} : { body, contentLength: body.length }) });
      expect((await exchange(service, { target: '/next' })).body).toBe('next');
    }
    expect(sockets.length).toBeGreaterThanOrEqual(6);
  });

  test('no more than the limit are opened; the rest waits, and what exceeds the queue is backend_queue_full', async () => {
    const events = new EventLog();
    const held: ServerResponse[] = [];
    const { service } = await startHttp((_request, response) => void held.push(response), {
      maxConnections: 2,
      maxPending: 1,
      events,
    });
    const running = [exchange(service), exchange(service)];
    await until(() => held.length >= 2);
    const waiting = exchange(service);
    expect((await exchange(service)).error).toMatchObject({ code: 'backend_queue_full', retry: 'no' });
    held[0]!.end();
    await until(() => held.length >= 3);
    for (const response of held) response.end();
    for (const { status } of await Promise.all([...running, waiting])) expect(status).toBe(200);
    expect(events.connects).toHaveLength(2);
  });

  test('abort() of one that waits takes it out of the queue, and no callback follows', async () => {
    const held: ServerResponse[] = [];
    const { service } = await startHttp((_request, response) => void held.push(response), { maxConnections: 1 });
    const running = exchange(service);
    await until(() => held.length >= 1);
    const recorder = new Recorder();
    recorder.start(service).abort(new ProxyError('client_disconnected_before_any_response'));
    held[0]!.end();
    await running;
    for (let i = 0; i < 5; i++) await turn();
    expect(recorder.order).toEqual([]);
    expect(held).toHaveLength(1);
  });

  test('one whose exchange left before it was up waits for the next, and goes when the backend closes it', async () => {
    const events = new EventLog();
    const { service, server } = await startHttp((_request, response) => response.end('ok'), { events });
    const abandon = async () => {
      const recorder = new Recorder();
      recorder.start(service).abort(new ProxyError('client_disconnected_before_any_response'));
      const before = events.connects.length;
      await until(() => events.connects.length > before);
      expect(recorder.order).toEqual([]);
    };
    await abandon();
    expect(await exchange(service)).toMatchObject({ body: 'ok', connection: { reused: false } });
    expect(await exchange(service)).toMatchObject({ body: 'ok', connection: { reused: true } });
    expect(events.connects).toHaveLength(1);

    server.closeAllConnections();
    await until(() => events.closes.length === 1);
    await abandon();
    await turn(); // the server has accepted it
    server.closeAllConnections();
    await until(() => events.closes.length === 2);
    expect(await exchange(service)).toMatchObject({ body: 'ok', connection: { reused: false } });
  });

  test('abort() of a running exchange closes its connection, and no callback follows', async () => {
    const events = new EventLog();
    let aborted = 0;
    const { service } = await startHttp(
      (request, response) => {
        request.on('close', () => aborted++);
        response.write('a');
      },
      { events },
    );
    const recorder = new Recorder();
    recorder.start(service);
    await until(() => recorder.chunks.length > 0);
    recorder.call!.abort(new ProxyError('client_disconnected_after_partial_response'));
    await until(() => aborted > 0 && events.closes.length > 0);
    expect(recorder.order).toEqual(['onConnection', 'onResponse', 'onData']);
    expect(events.closes).toEqual(['aborted']);
  });
});

describe('back-pressure', () => {
  test('an upload stops while the backend does not read, and arrives whole', async () => {
    const total = 32 * 1024 * 1024;
    let release = () => {};
    let bytes = 0;
    const { service } = await startHttp((request, response) => {
      request.pause();
      release = () => {
        request.on('data', (chunk: Buffer) => {
          bytes += chunk.length;
        });
        request.on('end', () => response.end('done')).resume();
      };
    });
    const { promise, resolve } = Promise.withResolvers<Outcome>();
    const recorder = new Recorder(resolve);
    const chunk = Buffer.alloc(64 * 1024);
    let written = 0;
    recorder.onBodyWanted = () => {
      while (written < total) {
        written += chunk.length;
        if (!recorder.call!.writeBody(chunk)) return;
      }
      recorder.call!.endBody(null);
    };
    recorder.start(service, { method: 'PUT', contentLength: total });
    await until(() => written > 0);
    let before = -1;
    while (before !== written) {
      before = written;
      await new Promise((resolved) => setTimeout(resolved, 50));
    }
    expect(written).toBeLessThan(total / 2); // kernel buffers only
    release();
    expect((await promise).body).toBe('done');
    expect(bytes).toBe(total);
  });

  test('a paused response stops the backend, and arrives whole after resume()', async () => {
    const total = 32 * 1024 * 1024;
    let written = 0;
    const { service } = await startHttp((_request, response) => {
      response.setHeader('Content-Length', total);
      const chunk = Buffer.alloc(64 * 1024);
      const fill = () => {
        while (written < total) {
          written += chunk.length;
          if (!response.write(chunk)) return;
        }
        response.off('drain', fill).end();
      };
      response.on('drain', fill);
      fill();
    });
    let bytes = 0;
    const { promise, resolve } = Promise.withResolvers<Outcome>();
    const recorder = new Recorder(resolve);
    recorder.onData = (chunk) => {
      bytes += chunk.length;
    };
    recorder.onResponse = () => recorder.call!.pause();
    recorder.start(service);
    let before = -1;
    while (before !== written || written === 0) {
      before = written;
      await new Promise((resolved) => setTimeout(resolved, 50));
    }
    expect(bytes).toBe(0);
    expect(written).toBeLessThan(total / 2);
    recorder.call!.resume();
    expect((await promise).error).toBeNull();
    expect(bytes).toBe(total);
  });

  test('pause() and resume() on each chunk, from within the callback and later, lose nothing', async () => {
    const total = 4 * 1024 * 1024;
    const { service } = await startHttp((_request, response) => response.end(Buffer.alloc(total)));
    const transfers = Array.from({ length: 4 }, async (_, index) => {
      let bytes = 0;
      const { promise, resolve } = Promise.withResolvers<Outcome>();
      const recorder = new Recorder(resolve);
      recorder.onData = (chunk) => {
        bytes += chunk.length;
        recorder.call!.pause();
        if (index % 2 === 0) recorder.call!.resume();
        else setImmediate(() => recorder.call!.resume());
      };
      recorder.start(service);
      expect((await promise).error).toBeNull();
      return bytes;
    });
    expect(await Promise.all(transfers)).toEqual([total, total, total, total]);
  });
});

describe('early responses and uploads that end early', () => {
  test('an early error response is delivered at once; what is written afterwards is dropped', async () => {
    const { service } = await startHttp((_request, response) => response.writeHead(413).end('too much'));
    const { promise, resolve } = Promise.withResolvers<Outcome>();
    const recorder = new Recorder(resolve);
    recorder.onFirstBodyWanted = () => recorder.call!.writeBody(Buffer.from('first'));
    recorder.start(service, { contentLength: 1000 });
    expect(await promise).toMatchObject({ status: 413, body: 'too much', error: null });
    expect(recorder.call!.writeBody(Buffer.from('second'))).toBe(true);
    recorder.call!.endBody(null);
    await turn();
    expect(recorder.ended).toBe(1);
  });

  test.each([
    ['with a body', '7', 'thanks!'],
    ['without one', '0', ''],
  ])('after an early 200 %s the upload goes on, and the end waits for it', async (_name, length, body) => {
    let uploaded = '';
    const { service } = await startHttp((request, response) => {
      response.writeHead(200, { 'Content-Length': length }).end(body);
      request.on('data', (chunk: Buffer) => {
        uploaded += chunk.toString();
      });
    });
    const { promise, resolve } = Promise.withResolvers<Outcome>();
    const recorder = new Recorder(resolve);
    recorder.onFirstBodyWanted = () => recorder.call!.writeBody(Buffer.from('first '));
    recorder.start(service, { contentLength: 12 });
    await until(() => recorder.status !== 0 && Buffer.concat(recorder.chunks).length === body.length);
    for (let i = 0; i < 5; i++) await turn();
    expect(recorder.ended).toBe(0);
    recorder.call!.writeBody(Buffer.from('second'));
    recorder.call!.endBody(null);
    expect(await promise).toMatchObject({ status: 200, body, error: null });
    await until(() => uploaded.length === 12);
    expect(uploaded).toBe('first second');
    expect((await exchange(service)).connection?.reused).toBe(true);
  });

  test('an upload that is aborted never looks complete', async () => {
    const { promise: cut, resolve: onCut } = Promise.withResolvers<boolean>();
    const { service } = await startHttp((request) => {
      request.resume().on('close', () => onCut(request.complete));
    });
    const recorder = new Recorder();
    recorder.onFirstBodyWanted = () => {
      recorder.call!.writeBody(Buffer.from('half'));
      setImmediate(() => recorder.call!.abort(new ProxyError('client_disconnected_before_any_response')));
    };
    recorder.start(service, { contentLength: -1 });
    expect(await cut).toBe(false);
    expect(recorder.order).toEqual(['onConnection', 'onBodyWanted']);
  });

  test('`sent` is false until the first byte of a request with a body is written', async () => {
    const { service } = await startHttp((request, response) => request.resume().on('end', () => response.end()));
    const { promise, resolve } = Promise.withResolvers<Outcome>();
    const recorder = new Recorder(resolve);
    const seen: boolean[] = [];
    recorder.onFirstBodyWanted = () => {
      seen.push(recorder.call!.sent);
      recorder.call!.writeBody(Buffer.from('x'));
      seen.push(recorder.call!.sent);
      recorder.call!.endBody(null);
    };
    recorder.start(service, { contentLength: -1 });
    await promise;
    expect(seen).toEqual([false, true]);
  });
});

describe('WebSocket', () => {
  const key = 'dGhlIHNhbXBsZSBub25jZQ==';
  const upgrade = { isWebSocket: true, headers: ['sec-websocket-key', key, 'sec-websocket-version', '13'] };

  test('101 with the right Sec-WebSocket-Accept opens the tunnel, bytes after the head included', async () => {
    const { service, received } = await startRaw((socket, text) => {
      if (text.endsWith('\r\n\r\n')) {
        socket.write(
          `HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Accept: ${websocketAccept(key)}\r\n\r\nearly`,
        );
      } else if (text.endsWith('ping')) socket.write('pong');
    });
    const { status, upgraded, headers, order } = await exchange(service, upgrade);
    expect({ status, order }).toEqual({ status: 101, order: ['onConnection', 'onUpgrade'] });
    expect(headerOf(headers, 'sec-websocket-accept')).toBe(websocketAccept(key));
    expect(received[0]).toContain('connection: upgrade\r\nupgrade: websocket\r\n');
    let text = '';
    upgraded!.on('data', (chunk: Buffer) => {
      text += chunk.toString();
    });
    upgraded!.write('ping');
    await until(() => text === 'earlypong');
    upgraded!.destroy();
  });

  test.each([
    [
      'a wrong Sec-WebSocket-Accept',
      `Upgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Accept: ${websocketAccept('other')}`,
    ],
    ['no Sec-WebSocket-Accept', 'Upgrade: websocket\r\nConnection: upgrade'],
    ['another protocol', `Upgrade: h2c\r\nConnection: upgrade\r\nSec-WebSocket-Accept: ${websocketAccept(key)}`],
    ['no Upgrade', `Sec-WebSocket-Accept: ${websocketAccept(key)}`],
  ])('101 with %s is websocket_handshake_failed', async (_name, lines) => {
    const { error, upgraded } = await answered(`HTTP/1.1 101 Switching Protocols\r\n${lines}\r\n\r\n`, upgrade);
    expect(error?.code).toBe('websocket_handshake_failed');
    expect(upgraded).toBeNull();
  });

  test('any other answer is an ordinary response', async () => {
    const outcome = await answered('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno', upgrade);
    expect(outcome).toMatchObject({ status: 403, body: 'no', error: null });
  });
});
