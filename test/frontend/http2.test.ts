import { once } from 'node:events';
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  type OutgoingHttpHeaders,
} from 'node:http2';
import type { TLSSocket } from 'node:tls';
import { ProxyError } from '#src/base/errors.ts';
import { DATA, GOAWAY, RawHttp2, RST_STREAM, SETTINGS } from '../harness/raw-http2.ts';
import { echo } from './_recorder.ts';
import { startTlsDoor, type TlsDoor, type TlsDoorOptions } from './_tls-door.ts';

describe('an HTTP/2 exchange', () => {
  test('carries head, body and trailers', async () => {
    const { recorder, session } = await start();
    const stream = session.request(
      { ':method': 'POST', ':path': '/a?b', ':authority': 'a.example:8443', 'x-one': '1', cookie: ['a=1', 'b=2'] },
      { waitForTrailers: true },
    );
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': '9' }));
    stream.end('hello');
    expect(await read(stream)).toMatchObject({ status: 200, body: 'POST /a?b hello' });
    await recorder.until(() => recorder.exchanges[0]!.finished);
    const { exchange, trailers } = recorder.exchanges[0]!;
    expect(exchange).toMatchObject({
      protocol: 'HTTP/2',
      scheme: 'https',
      authority: 'a.example:8443',
      contentLength: -1,
      requestBytes: 5,
      responseBytes: 15,
    });
    expect(exchange.headers).toEqual(['x-one', '1', 'cookie', 'a=1', 'cookie', 'b=2']);
    expect(trailers).toEqual(['x-sum', '9']);
    expect(exchange.connection.tls?.alpn).toBe('h2');
  });

  test('sends 103 and 100, a response of unknown length and its trailers', async () => {
    const { recorder, session } = await start();
    recorder.answer = (recorded) => {
      const { exchange } = recorded;
      exchange.interim(103, ['link', '</x>', 'link', '</y>']);
      exchange.sendContinue();
      exchange.respond(200, ['x-a', '1'], true);
      exchange.write(Buffer.from('abc'));
      exchange.end(['grpc-status', '0', 'x-bad', 'a\r\nb']);
    };
    const stream = session.request({ ':method': 'POST', ':path': '/', expect: '100-continue' });
    const interim: unknown[] = [];
    stream.on('headers', (headers) => interim.push(headers[':status']));
    const result = await read(stream);
    expect(interim).toEqual([103, 100]);
    expect(result).toMatchObject({ status: 200, body: 'abc', trailers: { 'grpc-status': '0', 'x-bad': '' } });
  });

  test('what is given before the turn of a response is said in that order', async () => {
    const { recorder, session } = await start();
    recorder.answer = ({ exchange }) => {
      exchange.respond(200, ['x-a', '1'], true);
      for (const chunk of ['one ', 'two ', 'three']) exchange.write(Buffer.from(chunk));
      exchange.end(['x-sum', '3']);
    };
    expect(await read(session.request({ ':path': '/' }))).toMatchObject({
      status: 200,
      body: 'one two three',
      trailers: { 'x-sum': '3' },
    });
    await recorder.until(() => recorder.exchanges[0]!.finished);
  });

  test('answers HEAD with a length and no body', async () => {
    const { recorder, session } = await start();
    const result = await read(session.request({ ':method': 'HEAD', ':path': '/x' }));
    expect(result).toMatchObject({ status: 200, body: '' });
    expect(result.headers['content-length']).toBe('8');
    await recorder.until(() => recorder.exchanges[0]!.finished);
  });

  test.each([204, 304])('answers %i without a body', async (status) => {
    const { recorder, session } = await start();
    recorder.answer = (recorded) => recorded.respond(status, '');
    expect(await read(session.request({ ':path': '/' }))).toMatchObject({ status, body: '' });
    await recorder.until(() => recorder.exchanges[0]!.finished);
  });

  test('a field that cannot be sent does not cost the stream', async () => {
    const { recorder, session } = await start();
    recorder.answer = (recorded) =>
      recorded.respond(200, 'ok', ['x-evil', 'a\r\nb: c', 'Bad', '1', 'bad name', '1', 'age', '1', 'age', '2']);
    const { headers, body } = await read(session.request({ ':path': '/' }));
    expect(body).toBe('ok');
    expect(headers).toMatchObject({ 'x-evil': '' });
    expect(headers['b']).toBeUndefined();
    expect(headers['bad']).toBeUndefined();
  });

  test('many streams at once are answered in any order', async () => {
    const { recorder, session } = await start({ limits: { concurrentStreams: 100 } });
    recorder.answer = (recorded) => {
      setTimeout(() => echo(recorded), Math.random() * 20);
    };
    const results = await Promise.all(
      Array.from({ length: 300 }, (_, i) => read(session.request({ ':path': `/${i}` }))),
    );
    results.forEach(({ body }, i) => {
      expect(body).toBe(`GET /${i} `);
    });
  });

  test('no more streams than the limit are in flight', async () => {
    const { recorder, session } = await start({ limits: { concurrentStreams: 3 } });
    recorder.answer = () => {};
    await settings(session);
    const streams = Array.from({ length: 6 }, (_, i) => session.request({ ':path': `/${i}` }));
    const results = streams.map(read);
    await recorder.until(() => recorder.exchanges.length === 3);
    await pause(50);
    expect(recorder.exchanges.length).toBe(3);
    recorder.answer = echo;
    for (const recorded of recorder.exchanges.slice(0, 3)) echo(recorded);
    await Promise.all(results);
  });
});

describe('requests that are refused', () => {
  test.each<[string, OutgoingHttpHeaders, number, string]>([
    ['host that differs', { ':authority': 'a', host: 'b' }, 400, 'invalid_request_headers'],
    ['a bad authority', { ':authority': 'a:99999' }, 400, 'invalid_request_headers'],
    ['a fragment', { ':path': '/a#b' }, 400, 'invalid_http2_client_request_path'],
    ['an unregistered method', { ':method': 'FOO' }, 400, 'unsupported_method'],
    ['another expect', { expect: 'tea' }, 400, 'unsupported_100_continue'],
    ['a head over 60 KiB', { a: 'v'.repeat(61_500) }, 413, 'headers_too_long'],
  ])('%s', async (_what, headers, status, code) => {
    const { recorder, session } = await start();
    expect((await read(session.request({ ':path': '/', ...headers }))).status).toBe(status);
    expect(recorder.exchanges[0]!.exchange.rejection?.code).toBe(code);
    expect((await read(session.request({ ':path': '/next' }))).status).toBe(200);
  });

  test('CONNECT', async () => {
    const { recorder, session } = await start();
    expect((await read(session.request({ ':method': 'CONNECT', ':authority': 'a:1' }))).status).toBe(400);
    expect(recorder.exchanges[0]!.exchange.rejection?.code).toBe('unsupported_method');
  });

  test('a body that is longer than its content-length is never complete', async () => {
    const { recorder, session } = await start();
    const stream = session.request({ ':method': 'POST', ':path': '/', 'content-length': '2' });
    stream.on('error', () => {});
    await recorder.until(() => recorder.exchanges.length === 1);
    stream.end('four');
    await recorder.until(() => recorder.exchanges[0]!.aborted !== null);
    expect(recorder.exchanges[0]!.trailers).toBeNull();
  });
});

describe('streams that end early', () => {
  test('a reset by the client aborts the exchange', async () => {
    const { recorder, session } = await start();
    recorder.answer = () => {};
    const stream = session.request({ ':path': '/' });
    stream.on('error', () => {});
    await recorder.until(() => recorder.exchanges.length === 1);
    stream.close(constants.NGHTTP2_CANCEL);
    await recorder.until(() => recorder.exchanges[0]!.aborted === 'client_disconnected_before_any_response');
  });

  test('a reset inside an upload is not the end of the body', async () => {
    const { recorder, session } = await start();
    const stream = session.request({ ':method': 'POST', ':path': '/' });
    stream.on('error', () => {});
    stream.write('part');
    await recorder.until(() => recorder.exchanges[0]?.body === 'part');
    stream.destroy(new Error('gone'));
    await recorder.until(() => recorder.exchanges[0]!.aborted !== null);
    expect(recorder.exchanges[0]!).toMatchObject({
      trailers: null,
      aborted: 'client_disconnected_before_any_response',
    });
  });

  test('a client that leaves inside a response', async () => {
    const { recorder, session } = await start();
    recorder.answer = ({ exchange }) => {
      exchange.respond(200, [], true);
      exchange.write(Buffer.from('part'));
    };
    const stream = session.request({ ':path': '/' });
    stream.on('error', () => {});
    await once(stream, 'response');
    session.destroy();
    await recorder.until(() => recorder.exchanges[0]!.aborted === 'client_disconnected_after_partial_response');
  });

  test('abort() is seen as a reset, never as the end of the body', async () => {
    const { recorder, session } = await start();
    recorder.answer = ({ exchange }) => {
      exchange.respond(200, [], true);
      exchange.write(Buffer.from('part'));
      setTimeout(() => exchange.abort(new ProxyError('internal_error')), 20);
    };
    const stream = session.request({ ':path': '/' });
    const result = read(stream);
    await expect(result).rejects.toMatchObject({ code: 'ERR_HTTP2_STREAM_ERROR' });
    expect(stream.rstCode).toBe(constants.NGHTTP2_INTERNAL_ERROR);
    expect((await read(session.request({ ':path': '/next', ':method': 'HEAD' }))).status).toBe(200);
  });

  test('abort() before the turn of a response: its head, then a reset', async () => {
    const { recorder, session } = await start();
    recorder.answer = ({ exchange }) => {
      exchange.respond(203, ['content-length', '8'], true);
      exchange.write(Buffer.from('part'));
      exchange.abort(new ProxyError('internal_error'));
    };
    const stream = session.request({ ':path': '/' });
    let status: unknown = null;
    stream.on('response', (headers) => {
      status = headers[':status'];
    });
    await expect(read(stream)).rejects.toMatchObject({ code: 'ERR_HTTP2_STREAM_ERROR' });
    expect(stream.rstCode).toBe(constants.NGHTTP2_INTERNAL_ERROR);
    expect(status).toBe(203);
  });

  test('a whole response whose connection is cut before its turn was not given', async () => {
    const { recorder, session, listener } = await start();
    recorder.answer = (recorded) => {
      recorded.respond(200, 'never seen');
      void listener.closeNow();
    };
    const stream = session.request({ ':path': '/' });
    stream.on('error', () => {});
    const statuses: unknown[] = [];
    stream.on('response', (headers) => statuses.push(headers[':status']));
    await recorder.until(() => recorder.exchanges[0]?.aborted != null || recorder.exchanges[0]?.finished === true);
    expect(recorder.exchanges[0]).toMatchObject({
      finished: false,
      aborted: 'client_disconnected_after_partial_response',
    });
    expect(statuses).toEqual([]);
  });

  test('a complete response before the end of the body asks the client to stop with NO_ERROR', async () => {
    const { recorder, session } = await start();
    recorder.answer = (recorded) => {
      recorded.respond(413, 'too much');
      recorded.exchange.discardBody();
    };
    const stream = session.request({ ':method': 'POST', ':path': '/' });
    stream.write('x'.repeat(1000));
    const { status, body } = await read(stream);
    expect({ status, body }).toEqual({ status: 413, body: 'too much' });
    await recorder.until(() => stream.closed);
    expect(stream.rstCode).toBe(constants.NGHTTP2_NO_ERROR);
    await recorder.until(() => recorder.exchanges[0]!.finished);
  });

  test('the same with trailers', async () => {
    const { recorder, session } = await start();
    recorder.answer = ({ exchange }) => {
      exchange.respond(200, [], true);
      exchange.write(Buffer.from('abc'));
      exchange.end(['x-t', '1']);
    };
    const stream = session.request({ ':method': 'POST', ':path': '/' });
    stream.write('x');
    expect(await read(stream)).toMatchObject({ body: 'abc', trailers: { 'x-t': '1' } });
    await recorder.until(() => stream.closed);
    expect(stream.rstCode).toBe(constants.NGHTTP2_NO_ERROR);
  });
});

describe('back-pressure', () => {
  test('an upload that is not read stops at its window', async () => {
    const { recorder, session } = await start();
    recorder.answer = ({ exchange }) => {
      exchange.readBody();
      exchange.pauseBody();
    };
    const stream = session.request({ ':method': 'POST', ':path': '/' });
    stream.end(Buffer.alloc(3_000_000, 'x'));
    await recorder.until(() => recorder.exchanges.length === 1);
    await pause(100);
    const recorded = recorder.exchanges[0]!;
    expect(recorded.exchange.requestBytes).toBe(0);
    recorded.exchange.resumeBody();
    await recorder.until(() => recorded.trailers !== null);
    expect(recorded.exchange.requestBytes).toBe(3_000_000);
    recorded.respond(200, 'ok');
    expect((await read(stream)).body).toBe('ok');
  });

  test('a client that does not read stops the response, and onDrain starts it again', async () => {
    const { recorder, session } = await start();
    const total = 8_000_000;
    const chunk = Buffer.alloc(50_000, 'y');
    let written = 0;
    recorder.answer = (recorded) => {
      const { exchange } = recorded;
      const fill = () => {
        while (written < total) {
          written += chunk.length;
          if (!exchange.write(chunk)) return;
        }
        exchange.end(null);
      };
      exchange.respond(200, ['content-length', String(total)], true);
      recorded.onDrain = fill;
      fill();
    };
    const stream = session.request({ ':path': '/' });
    stream.pause();
    await once(stream, 'response');
    await pause(100);
    expect(written).toBeLessThan(2_000_000);
    const { body } = await read(stream);
    expect(body.length).toBe(total);
    await recorder.until(() => recorder.exchanges[0]!.finished);
  });
});

describe('deadlines', () => {
  test('an upload that stalls is reset', async () => {
    const { recorder, session } = await start({ timeouts: { stalledMs: 100 } });
    const stream = session.request({ ':method': 'POST', ':path': '/' });
    stream.write('part');
    await expect(read(stream)).rejects.toThrow();
    expect(recorder.exchanges[0]!.aborted).toBe('client_timed_out');
  });

  test('each upload that stalls is reset, whatever ended between them', async () => {
    const { recorder, session } = await start({ timeouts: { stalledMs: 100 } });
    const stalled: Promise<unknown>[] = [];
    const answered: Promise<unknown>[] = [];
    for (let i = 0; i < 6; i++) {
      const stream = session.request({ ':method': 'POST', ':path': '/stalled' });
      stream.write('part');
      stalled.push(read(stream));
      answered.push(read(session.request({ ':path': '/answered' })));
    }
    const results = await Promise.allSettled(stalled);
    expect(results.map(({ status }) => status)).toEqual(Array(6).fill('rejected'));
    await Promise.all(answered);
    const aborted = recorder.exchanges.map(({ aborted: code }) => code).filter((code) => code !== null);
    expect(aborted).toEqual(Array(6).fill('client_timed_out'));
  });

  test('a response that is not taken is reset', async () => {
    const { recorder, session } = await start({ timeouts: { stalledMs: 100 } });
    recorder.answer = ({ exchange }) => {
      exchange.respond(200, [], true);
      exchange.write(Buffer.alloc(5_000_000));
    };
    const stream = session.request({ ':path': '/' });
    stream.on('error', () => {});
    stream.pause();
    await recorder.until(() => recorder.exchanges[0]?.aborted === 'client_timed_out');
  });

  test('an idle session is closed after the keep-alive timeout', async () => {
    const { session } = await start({ keepAliveTimeoutMs: 100 });
    await read(session.request({ ':path': '/' }));
    await once(session, 'close');
  });

  test('a client that never sends its preface is closed (security rule 31)', async () => {
    const {
      connect: connectTls,
      recorder,
      listener,
      session,
    } = await start({ timeouts: { headMs: 100, discardMs: 50 } });
    await read(session.request({ ':path': '/' }));
    const before = listener.connections;
    const client = connectTls({ ALPNProtocols: ['h2'] });
    await once(client, 'secureConnect');
    client.resume();
    await recorder.until(() => listener.connections === before + 1);
    await recorder.until(() => listener.connections === before);
  });
});

describe('drain()', () => {
  test('names the last stream that is served and finishes what is open', async () => {
    const { recorder, listener, connect: connectTls } = await startTls();
    recorder.answer = () => {};
    const client = new RawHttp2(connectTls({ ALPNProtocols: ['h2'] }));
    client.get(1, '/1');
    await recorder.until(() => recorder.exchanges.length === 1);
    const drained = listener.drain();
    await recorder.until(() => client.of(GOAWAY).length > 0);
    expect(client.of(GOAWAY)[0]!.payload.toString('hex')).toBe('0000000100000000');
    client.get(3, '/2');
    echo(recorder.exchanges[0]!);
    await recorder.until(() => client.ended);
    expect(client.of(DATA).map(({ payload }) => payload.toString())).toEqual(['GET /1 ']);
    await drained;
    expect(recorder.exchanges.length).toBe(1);
    expect(recorder.exchanges[0]!.finished).toBe(true);
  });

  test('an idle session ends', async () => {
    const { recorder, session, listener } = await start({ timeouts: { discardMs: 50 } });
    await read(session.request({ ':path': '/' }));
    await recorder.until(() => recorder.exchanges[0]!.finished);
    await Promise.all([once(session, 'close'), listener.drain()]);
  });

  test('a session that has carried requestsPerConnection requests is drained', async () => {
    const { session } = await start({ limits: { requestsPerConnection: 2 }, timeouts: { discardMs: 50 } });
    const closed = once(session, 'close');
    await read(session.request({ ':path': '/1' }));
    await read(session.request({ ':path': '/2' }));
    await closed;
  });
});

describe('what only a hand-made client does', () => {
  test('rapid reset: streams that are taken back in the read that brings them are not even delivered', async () => {
    const { recorder, connect: connectTls } = await startTls({ limits: { concurrentStreams: 200 } });
    recorder.answer = () => {};
    const client = new RawHttp2(connectTls({ ALPNProtocols: ['h2'] }));
    await recorder.until(() => client.of(SETTINGS).length > 0);
    client.socket.cork(); // one write: bytes that were unread when the server closed would take its GOAWAY with them (RST)
    for (let id = 1; id < 300; id += 2) {
      client.get(id, '/');
      client.send(RST_STREAM, 0, id, CANCEL);
    }
    client.socket.uncork();
    await recorder.until(() => client.ended);
    expect(client.of(GOAWAY).at(-1)!.payload.readUInt32BE(4)).toBe(constants.NGHTTP2_ENHANCE_YOUR_CALM);
    expect(recorder.sessionEnds).toMatchObject([{ reason: 'resets' }]);
    expect(recorder.exchanges.length).toBeLessThan(150);
    await recorder.until(() => recorder.exchanges.every(({ aborted }) => aborted !== null));
  });

  test('a flood of resets ends the session, also when each stream was delivered first', async () => {
    const { recorder, connect: connectTls } = await startTls({ limits: { concurrentStreams: 100 } });
    recorder.answer = () => {};
    const client = new RawHttp2(connectTls({ ALPNProtocols: ['h2'] }));
    await recorder.until(() => client.of(SETTINGS).length > 0);
    for (let first = 1; first <= 201; first += 200) {
      for (let id = first; id < first + 200; id += 2) client.get(id, '/');
      await recorder.until(() => recorder.exchanges.length === (first + 199) / 2);
      client.socket.cork();
      for (let id = first; id < first + 200; id += 2) client.send(RST_STREAM, 0, id, CANCEL);
      client.socket.uncork();
      await recorder.until(() => recorder.exchanges.every(({ aborted }) => aborted !== null));
    }
    await recorder.until(() => client.ended);
    expect(client.of(GOAWAY).at(-1)!.payload.readUInt32BE(4)).toBe(constants.NGHTTP2_ENHANCE_YOUR_CALM);
  });

  test('a head over what is advertised is reset, and the session goes on', async () => {
    const { recorder, connect: connectTls } = await startTls();
    const client = new RawHttp2(connectTls({ ALPNProtocols: ['h2'] }));
    await recorder.until(() => client.of(SETTINGS).length > 1);
    client.request(1, {
      ':method': 'GET',
      ':scheme': 'https',
      ':path': '/',
      a: 'v'.repeat(60_000),
      b: 'v'.repeat(60_000),
    });
    await recorder.until(() => client.of(RST_STREAM).length + client.of(GOAWAY).length > 0);
    expect(recorder.exchanges).toEqual([]);
    expect(client.of(RST_STREAM).length).toBe(1);
    client.get(3, '/next');
    await recorder.until(() => client.of(DATA).length > 0);
  });
});

interface Result {
  readonly status: number;
  readonly headers: Record<string, unknown>;
  readonly body: string;
  readonly trailers: Record<string, unknown> | null;
}

type Started = TlsDoor & { session: ClientHttp2Session };

const started: Started[] = [];
const doors: TlsDoor[] = [];
afterEach(async () => {
  for (const { close } of doors.splice(0)) await close();
  for (const { session, close } of started.splice(0)) {
    session.destroy();
    await close();
  }
});

async function startTls(options: TlsDoorOptions = {}): Promise<TlsDoor> {
  const door = await startTlsDoor(options);
  doors.push(door);
  return door;
}

async function start(options: TlsDoorOptions = {}): Promise<Started> {
  const door = await startTlsDoor(options);
  const socket: TLSSocket = door.connect({ ALPNProtocols: ['h2'] });
  const session = connect('https://localhost', { createConnection: () => socket });
  session.on('error', () => {});
  const result = Object.assign(door, { session });
  started.push(result);
  return result;
}

function read(stream: ClientHttp2Stream): Promise<Result> {
  return new Promise((resolve, reject) => {
    let headers: Record<string, unknown> = {};
    let trailers: Record<string, unknown> | null = null;
    const chunks: Buffer[] = [];
    stream.on('response', (received) => {
      headers = received;
    });
    stream.on('trailers', (received) => {
      trailers = received;
    });
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('error', reject);
    stream.on('end', () =>
      setImmediate(() =>
        resolve({
          status: Number(headers[':status'] ?? 0),
          headers,
          body: Buffer.concat(chunks).toString('latin1'),
          trailers,
        }),
      ),
    );
    stream.resume();
  });
}

function settings(session: ClientHttp2Session): Promise<unknown> {
  return once(session, 'remoteSettings');
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

const CANCEL = Buffer.from([0, 0, 0, 8]); // RFC 9113 section 7
