import { once } from 'node:events';
import {
  constants,
  createSecureServer,
  type Http2SecureServer,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
  type Settings,
} from 'node:http2';
import type { BackendService } from '#src/backend/contract.ts';
import { ProxyError } from '#src/base/errors.ts';
import { chainPem, type TestPki, testPki } from '../harness/pki.ts';
import {
  CLIENT_MAGIC,
  DATA,
  END_HEADERS,
  END_STREAM,
  frame,
  HEADERS,
  RawHttp2,
  RST_STREAM,
  SETTINGS,
} from '../harness/raw-http2.ts';
import { until } from '../harness/until.ts';
import {
  EventLog,
  exchange,
  h2cServiceOf,
  headerOf,
  listen,
  makeService,
  makeTls,
  type Outcome,
  Recorder,
  type ServiceOptions,
} from './support.ts';

let pki: TestPki;
const cleanups: (() => unknown)[] = [];

beforeAll(async () => {
  pki = await testPki();
});

afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup();
});

type OnStream = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, raw: readonly string[]) => void;

interface Http2Backend {
  readonly service: BackendService;
  readonly server: Http2SecureServer;
  readonly sessions: ServerHttp2Session[];
}

async function startHttp2(
  onStream: OnStream,
  options: Partial<ServiceOptions> & { readonly settings?: Settings } = {},
): Promise<Http2Backend> {
  const server = createSecureServer({
    cert: chainPem(pki.server, pki.issuing),
    key: pki.server.privateKeyPem,
    settings: options.settings ?? {},
    maxSendHeaderBlockLength: 1024 * 1024,
  });
  const sessions: ServerHttp2Session[] = [];
  server.on('session', (session) => sessions.push(session.on('error', () => {})));
  server.on('stream', (incoming, headers, _flags, raw) => {
    const stream = incoming as ServerHttp2Stream;
    stream.on('error', () => {});
    onStream(stream, headers, raw as unknown as readonly string[]);
  });
  const port = await listen(server);
  const service = makeService({
    protocol: 'HTTP2',
    ports: [port],
    tls: makeTls({ anchors: [pki.root], sni: 'backend.example' }),
    ...options,
  });
  cleanups.push(() => {
    for (const session of sessions) session.destroy();
    server.close();
  });
  cleanups.push(() => service.retire());
  return { service, server, sessions };
}

/** An H2C backend that answers each request's head with these frames, in one write. */
async function startFrames(answer: (streamId: number) => readonly Buffer[]): Promise<{ service: BackendService }> {
  const { service, close } = await h2cServiceOf((socket) => {
    const peer = new RawHttp2(socket, {
      preface: frame(SETTINGS, 0, 0, Buffer.alloc(0)),
      acknowledges: [],
      skipBytes: CLIENT_MAGIC.length,
    });
    peer.onHead((streamId) => socket.write(Buffer.concat(answer(streamId))));
  });
  cleanups.push(close);
  return { service };
}

/** Answers 200 with the body that came in. */
const echo: OnStream = (stream) => {
  stream.respond({ ':status': 200 });
  stream.pipe(stream);
};

describe('requests and responses', () => {
  test('pseudo fields, order, duplicates and bytes over 127 arrive as they were', async () => {
    let seen: readonly string[] = [];
    const { service } = await startHttp2((stream, _headers, raw) => {
      seen = raw;
      stream.respond([':status', '200', 'x-one', '\xfc', 'set-cookie', 'a=1', 'set-cookie', 'b=2'] as never);
      stream.end('ok');
    });
    const outcome = await exchange(service, {
      target: '/a%2fb//c?d=%20',
      authority: 'Shop.example:8443',
      headers: ['x-name', 'J\xf6rg', 'te', 'trailers', 'accept', 'a', 'accept', 'b'],
    });
    expect(seen.slice(0, 16)).toEqual(
      [
        [':method', 'GET', ':scheme', 'https', ':authority', 'Shop.example:8443', ':path', '/a%2fb//c?d=%20'],
        ['x-name', 'J\xf6rg', 'te', 'trailers', 'accept', 'a', 'accept', 'b'],
      ].flat(),
    );
    expect(outcome.headers.slice(0, 6)).toEqual(['x-one', '\xfc', 'set-cookie', 'a=1', 'set-cookie', 'b=2']);
    expect(outcome).toMatchObject({ status: 200, body: 'ok', error: null });
    expect(outcome.order).toEqual(['onConnection', 'onResponse', 'onData', 'onEnd']);
    expect(outcome.connection).toMatchObject({ reused: false, tls: { verdict: 'verified', protocol: 'TLSv1.3' } });
  });

  test('a repeated field that should be single goes on as it came', async () => {
    let seen: readonly string[] = [];
    const { service } = await startHttp2((stream, _headers, raw) => {
      seen = raw;
      stream.respond({ ':status': 200 });
      stream.end();
    });
    const outcome = await exchange(service, { headers: ['user-agent', 'a', 'user-agent', 'b'] });
    expect(outcome.error).toBeNull();
    expect(seen.slice(8, 12)).toEqual(['user-agent', 'a', 'user-agent', 'b']);
  });

  test('trailers go both ways', async () => {
    let seen: IncomingHttpHeaders = {};
    const { service } = await startHttp2((stream) => {
      stream.resume().on('trailers', (trailers) => {
        seen = trailers;
      });
      stream.on('end', () => {
        stream.respond({ ':status': 200 }, { waitForTrailers: true });
        stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0', 'grpc-message': '' }));
        stream.end('message');
      });
    });
    const outcome = await exchange(service, { body: 'message', requestTrailers: ['x-checksum', '1'] });
    expect(seen).toMatchObject({ 'x-checksum': '1' });
    expect(outcome.trailers).toEqual(['grpc-status', '0', 'grpc-message', '']);
    expect(outcome.order).toEqual(['onConnection', 'onBodyWanted', 'onResponse', 'onData', 'onEnd']);
  });

  test('trailers without a body are trailers, not a second head', async () => {
    const { service } = await startHttp2((stream) => {
      stream.respond({ ':status': 200 }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '5' }));
      stream.end();
    });
    expect(await exchange(service)).toMatchObject({ status: 200, body: '', trailers: ['grpc-status', '5'] });
  });

  test('103 passes, an unasked 100 is refused', async () => {
    const { service } = await startHttp2((stream, headers) => {
      stream.additionalHeaders({ ':status': headers[':path'] === '/100' ? 100 : 103, link: '</a>' });
      stream.respond({ ':status': 200 });
      stream.end();
    });
    expect((await exchange(service)).interims).toEqual([{ status: 103, headers: ['link', '</a>'] }]);
    const refused = await exchange(service, { target: '/100' });
    expect(refused.error?.code).toBe('backend_interim_response_not_supported');
    expect(await exchange(service)).toMatchObject({ status: 200, connection: { reused: true } }); // its stream's trouble only
  });

  test('full duplex: the answer to each message comes before the next is sent', async () => {
    const { service } = await startHttp2(echo);
    const { promise, resolve } = Promise.withResolvers<Outcome>();
    const recorder = new Recorder(resolve);
    let messages = 0;
    recorder.onFirstBodyWanted = () => recorder.call!.writeBody(Buffer.from('0'));
    recorder.onData = (chunk) => {
      recorder.chunks.push(chunk);
      if (++messages < 5) recorder.call!.writeBody(Buffer.from(String(messages)));
      else recorder.call!.endBody(null);
    };
    recorder.start(service, { contentLength: -1 });
    expect(await promise).toMatchObject({ status: 200, body: '01234', error: null });
  });

  test('a head that node:http2 refuses is internal_error and costs no other stream anything', async () => {
    const { service } = await startHttp2((stream) => setTimeout(() => echo(stream, {}, []), 20));
    const other = exchange(service, { body: 'other' });
    expect((await exchange(service, { headers: ['connection', 'x'] })).error?.code).toBe('internal_error');
    expect((await other).body).toBe('other');
  });

  // nghttp2 takes no single field over 64 KiB: that is a session error (NGHTTP2_HD_MAX_NV).
  test('a response head of 96 KiB passes, one of 208 KiB is refused', async () => {
    const { service } = await startHttp2((stream, headers) => {
      const head: Record<string, string | number> = { ':status': 200 };
      for (let i = 0; i < (headers[':path'] === '/long' ? 13 : 6); i++) head[`x-${i}`] = 'v'.repeat(16 * 1024);
      stream.respond(head);
      stream.end();
    });
    const passed = await exchange(service);
    expect(passed.error).toBeNull();
    expect(headerOf(passed.headers, 'x-5')).toHaveLength(16 * 1024);
    const { error, status } = await exchange(service, { target: '/long' });
    expect({ status, code: error?.code }).toEqual({ status: 0, code: 'backend_response_headers_too_long' });
  });
});

describe('responses that stop short', () => {
  const cases: readonly (readonly [string, OnStream, string])[] = [
    [
      'RST_STREAM(INTERNAL_ERROR) before the head',
      (stream) => stream.close(constants.NGHTTP2_INTERNAL_ERROR),
      'backend_connection_closed_before_data_sent_to_client',
    ],
    [
      'RST_STREAM(INTERNAL_ERROR) in the body',
      (stream) => {
        stream.respond({ ':status': 200 });
        stream.write('half', () => setTimeout(() => stream.destroy(new Error('broken')), 10));
      },
      'backend_connection_closed_after_partial_response_sent',
    ],
    [
      'RST_STREAM(NO_ERROR) in a body of unknown length',
      (stream) => {
        stream.respond({ ':status': 200 });
        stream.write('half', () => setTimeout(() => stream.destroy(), 10));
      },
      'backend_connection_closed_after_partial_response_sent',
    ],
    [
      'RST_STREAM(NO_ERROR) before the declared length',
      (stream) => {
        stream.respond({ ':status': 200, 'content-length': '8' });
        stream.write('half', () => setTimeout(() => stream.destroy(), 10));
      },
      'backend_connection_closed_after_partial_response_sent',
    ],
    [
      'the connection before the head',
      (stream) => stream.session!.socket.destroy(),
      'backend_connection_closed_before_data_sent_to_client',
    ],
    [
      'the connection in the body',
      (stream) => {
        stream.respond({ ':status': 200 });
        stream.write('half', () => setTimeout(() => stream.session!.destroy(), 10));
      },
      'backend_connection_closed_after_partial_response_sent',
    ],
  ];

  test.each(cases)('%s', async (_name, onStream, code) => {
    const { service } = await startHttp2(onStream);
    const { error, order } = await exchange(service);
    expect(error?.code).toBe(code);
    expect(order.at(-1)).toBe('onError');
  });

  test.each<[string, OnStream]>([
    ['the stream', (stream) => stream.destroy()],
    ['the session, which resets its streams in the same way', (stream) => stream.session?.destroy()],
  ])('RST_STREAM(NO_ERROR) while the upload is open is no end: %s', async (_name, cut) => {
    const { service } = await startHttp2((stream) => {
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
      stream.once('data', (chunk: Buffer) => stream.write(chunk, () => setTimeout(() => cut(stream, {}, []), 10)));
    });
    // node:http2 says CANCEL to the youngest stream of a session that it destroys, and NO_ERROR to the others
    const outcomes = [1, 2, 3].map(() => {
      const { promise, resolve } = Promise.withResolvers<Outcome>();
      const recorder = new Recorder(resolve);
      recorder.onFirstBodyWanted = () => recorder.call!.writeBody(Buffer.from('half'));
      recorder.start(service, { contentLength: -1 });
      return promise;
    });
    for (const { error, body } of await Promise.all(outcomes)) {
      expect(error?.code).toMatch(/^backend_connection_closed_/);
      expect(['', 'half']).toContain(body);
    }
  });

  test('END_STREAM with RST_STREAM(NO_ERROR) right behind it is an end, the upload open or not (RFC 9113 section 8.1)', async () => {
    const { service } = await startFrames((streamId) => [
      frame(HEADERS, END_HEADERS, streamId, Buffer.from([0x88])), // :status 200
      frame(DATA, END_STREAM, streamId, Buffer.from('all of it')),
      frame(RST_STREAM, 0, streamId, Buffer.alloc(4)),
    ]);
    const { promise, resolve } = Promise.withResolvers<Outcome>();
    const recorder = new Recorder(resolve);
    recorder.onFirstBodyWanted = () => recorder.call!.writeBody(Buffer.from('half'));
    recorder.start(service, { contentLength: -1 });
    expect(await promise).toMatchObject({ status: 200, body: 'all of it', error: null });
  });

  test('REFUSED_STREAM may be retried whatever the method', async () => {
    const { service } = await startHttp2((stream) => stream.close(constants.NGHTTP2_REFUSED_STREAM));
    expect((await exchange(service, { body: 'x' })).error).toMatchObject({
      code: 'backend_connection_closed_before_data_sent_to_client',
      retry: 'yes',
    });
  });

  test('a paused body of known length is whole although its stream was closed meanwhile', async () => {
    const total = 100 * 1024;
    const { service } = await startHttp2((stream) => {
      stream.respond({ ':status': 200, 'content-length': String(total) });
      stream.end(Buffer.alloc(total));
    });
    const { promise, resolve } = Promise.withResolvers<Outcome>();
    const recorder = new Recorder(resolve);
    recorder.onResponse = () => {
      recorder.call!.pause();
      setTimeout(() => recorder.call!.resume(), 50);
    };
    recorder.start(service);
    const { error, body } = await promise;
    expect({ error, length: body.length }).toEqual({ error: null, length: total });
  });
});

describe('cancelling and early responses', () => {
  test('abort() sends RST_STREAM(CANCEL), so that a cut upload never looks complete', async () => {
    const { promise: cut, resolve: onCut } = Promise.withResolvers<{
      readonly end: number | null;
      readonly close: number;
    }>();
    const { service, sessions } = await startHttp2((stream) => {
      let end: number | null = null;
      stream.resume().on('end', () => {
        end = stream.aborted ? stream.rstCode : null;
      });
      stream.on('close', () => onCut({ end, close: stream.rstCode }));
    });
    const recorder = new Recorder();
    recorder.onFirstBodyWanted = () => {
      recorder.call!.writeBody(Buffer.from('half'));
      setTimeout(() => recorder.call!.abort(new ProxyError('client_disconnected_before_any_response')), 20);
    };
    recorder.start(service, { contentLength: -1 });
    // An END_STREAM before the reset would end the body with nothing amiss.
    expect(await cut).toEqual({ end: constants.NGHTTP2_CANCEL, close: constants.NGHTTP2_CANCEL });
    expect(recorder.order).toEqual(['onConnection', 'onBodyWanted']);
    expect(sessions).toHaveLength(1);
  });

  test('abort() before the stream exists leaves nothing behind', async () => {
    const { service } = await startHttp2(echo, { settings: { maxConcurrentStreams: 1 } });
    await exchange(service);
    const recorder = new Recorder();
    recorder.start(service).abort(new ProxyError('client_disconnected_before_any_response'));
    expect(await exchange(service)).toMatchObject({ status: 200, connection: { reused: true } });
    expect(recorder.order).toEqual([]);
  });

  test('an early error response is delivered at once and the upload is cancelled', async () => {
    const { promise: cut, resolve: onCut } = Promise.withResolvers<number>();
    const { service } = await startHttp2((stream) => {
      stream.respond({ ':status': 413 });
      stream.end('too much');
      stream.on('close', () => onCut(stream.rstCode));
    });
    const { promise, resolve } = Promise.withResolvers<Outcome>();
    const recorder = new Recorder(resolve);
    recorder.onFirstBodyWanted = () => recorder.call!.writeBody(Buffer.from('half'));
    recorder.start(service, { contentLength: -1 });
    expect(await promise).toMatchObject({ status: 413, body: 'too much', error: null });
    expect(recorder.call!.writeBody(Buffer.from('more'))).toBe(true);
    expect([constants.NGHTTP2_CANCEL, constants.NGHTTP2_NO_ERROR]).toContain(await cut);
  });

  test('after an early 200 the upload goes on, and the end waits for it', async () => {
    let uploaded = '';
    const { service } = await startHttp2((stream) => {
      stream.respond({ ':status': 200 });
      stream.end('thanks');
      stream.on('data', (chunk: Buffer) => {
        uploaded += chunk.toString();
      });
    });
    const { promise, resolve } = Promise.withResolvers<Outcome>();
    const recorder = new Recorder(resolve);
    recorder.onFirstBodyWanted = () => recorder.call!.writeBody(Buffer.from('first '));
    recorder.start(service, { contentLength: -1 });
    await until(() => recorder.chunks.length > 0 && uploaded !== '');
    await new Promise((resolved) => setTimeout(resolved, 20));
    expect(recorder.ended).toBe(0);
    recorder.call!.writeBody(Buffer.from('second'));
    recorder.call!.endBody(null);
    expect(await promise).toMatchObject({ status: 200, body: 'thanks', error: null });
    await until(() => uploaded === 'first second');
  });
});

describe('back-pressure', () => {
  const total = 16 * 1024 * 1024;

  test('an upload stops while the backend does not read, and arrives whole', async () => {
    let held: ServerHttp2Stream | null = null;
    const { service } = await startHttp2((stream) => {
      held = stream.pause();
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
    recorder.start(service, { contentLength: total });
    let before = -1;
    while (before !== written || written === 0) {
      before = written;
      await new Promise((resolved) => setTimeout(resolved, 50));
    }
    expect(written).toBeLessThan(total / 4);
    let bytes = 0;
    held!.on('data', (data: Buffer) => {
      bytes += data.length;
    });
    held!.on('end', () => {
      held!.respond({ ':status': 200 });
      held!.end();
    });
    held!.resume();
    expect((await promise).status).toBe(200);
    expect(bytes).toBe(total);
  });

  test('a paused response stops its stream and no other, and arrives whole after resume()', async () => {
    let written = 0;
    const { service } = await startHttp2((stream, headers) => {
      stream.respond({ ':status': 200 });
      if (headers[':path'] === '/small') {
        stream.end('small');
        return;
      }
      const chunk = Buffer.alloc(64 * 1024);
      const fill = () => {
        while (written < total) {
          written += chunk.length;
          if (!stream.write(chunk)) return;
        }
        stream.off('drain', fill).end();
      };
      stream.on('drain', fill);
      fill();
    });
    let bytes = 0;
    const { promise, resolve } = Promise.withResolvers<Outcome>();
    const recorder = new Recorder(resolve);
    recorder.onResponse = () => recorder.call!.pause();
    recorder.onData = (chunk) => {
      bytes += chunk.length;
    };
    recorder.start(service);
    let before = -1;
    while (before !== written || written === 0) {
      before = written;
      await new Promise((resolved) => setTimeout(resolved, 50));
    }
    expect({ bytes, stopped: written < total / 4 }).toEqual({ bytes: 0, stopped: true });
    expect(await exchange(service, { target: '/small' })).toMatchObject({
      body: 'small',
      connection: { reused: true },
    });
    recorder.call!.resume();
    expect((await promise).error).toBeNull();
    expect(bytes).toBe(total);
  });
});

describe('sessions', () => {
  test('one carries many exchanges; those that came while it was being opened share it', async () => {
    const events = new EventLog();
    const { service } = await startHttp2(echo, { events });
    const outcomes = await Promise.all(Array.from({ length: 50 }, (_, i) => exchange(service, { body: `${i}` })));
    expect(outcomes.map(({ body }) => body)).toEqual(Array.from({ length: 50 }, (_, i) => `${i}`));
    expect(events.connects).toHaveLength(1);
  });

  test("another is opened when the backend's stream limit is reached, up to the limit of connections", async () => {
    const events = new EventLog();
    const held: ServerHttp2Stream[] = [];
    const { service } = await startHttp2(
      (stream, headers) => {
        if (headers[':path'] === '/first') echo(stream, headers, []);
        else held.push(stream);
      },
      { events, settings: { maxConcurrentStreams: 2 }, maxConnections: 2, maxPending: 1 },
    );
    await exchange(service, { target: '/first' }); // the limit is known once SETTINGS came
    const running = Array.from({ length: 4 }, () => exchange(service));
    await until(() => held.length === 4);
    // who answers a PING has read the SETTINGS before it
    await Promise.all(held.map(({ session }) => new Promise((resolve) => session!.ping(resolve))));
    expect(events.connects).toHaveLength(2);
    const waiting = exchange(service);
    expect((await exchange(service)).error?.code).toBe('backend_queue_full');
    for (const stream of held) {
      stream.respond({ ':status': 200 });
      stream.end();
    }
    await Promise.all(running);
    await until(() => held.length === 5);
    held[4]!.respond({ ':status': 200 });
    held[4]!.end();
    expect((await waiting).status).toBe(200);
  });

  test('after GOAWAY running exchanges finish and new ones go to a new session', async () => {
    const held: ServerHttp2Stream[] = [];
    const { service, sessions } = await startHttp2((stream, headers) => {
      if (headers[':path'] === '/hold') held.push(stream);
      else echo(stream, headers, []);
    });
    const running = exchange(service, { target: '/hold' });
    await until(() => held.length === 1);
    sessions[0]!.close();
    await new Promise((resolved) => setTimeout(resolved, 20));
    expect((await exchange(service)).connection?.reused).toBe(false);
    held[0]!.respond({ ':status': 200 });
    held[0]!.end('done');
    expect(await running).toMatchObject({ status: 200, body: 'done' });
    expect(sessions).toHaveLength(2);
  });

  test('retire() lets running exchanges finish and resolves when the last connection is closed', async () => {
    const events = new EventLog();
    const held: ServerHttp2Stream[] = [];
    const { service, sessions } = await startHttp2((stream) => void held.push(stream), { events });
    const running = exchange(service);
    await until(() => held.length === 1);
    const closed = once(sessions[0]!, 'close');
    const retired = service.retire();
    held[0]!.respond({ ':status': 200 });
    held[0]!.end('done');
    expect((await running).body).toBe('done');
    await retired;
    await closed;
    expect(events.closes).toEqual(['retired']);
  });
});
