// Security rule 32: a body that somebody holds up does not hold a backend connection for long.
import { once } from 'node:events';
import { connect as connectHttp2, createServer as createHttp2Server, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { jest } from '@jest/globals';
import { type BodyOwner, type Debtor, MeteredBody, RateFloor } from '#src/forward/rate-floor.ts';
import { answeringBackend, client, closeAll, rawBackend, startProxy } from './_proxy.ts';

const cleanups: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  await closeAll();
});

describe('the windows', () => {
  class Body extends MeteredBody {
    debtor: Debtor | null = 'client';
    movedBytes = 0;
  }

  const ended: string[] = [];
  const owner: BodyOwner = { onTooSlow: (debtor, detail) => ended.push(`${debtor}: ${detail}`) };

  function floor(): RateFloor {
    const clock = { monotonicMs: () => jest.now() as number, wallMs: () => 0 };
    return new RateFloor({ minBodyBytesPerSec: 240, minBodyRateWindowSec: 30 }, clock);
  }

  function pass(seconds: number, each: (second: number) => void = () => {}): void {
    for (let second = 1; second <= seconds; second++) {
      each(second);
      jest.advanceTimersByTime(1000);
    }
  }

  beforeEach(() => {
    jest.useFakeTimers();
    ended.length = 0;
  });

  afterEach(() => {
    jest.useRealTimers();
  });

  test('a body that does not move is cut between one window and two', () => {
    const rateFloor = floor();
    rateFloor.watch(new Body(owner));
    pass(30);
    expect(ended).toEqual([]);
    pass(30);
    expect(ended).toEqual(['client: a body moved less than 240 B/s for 30 s']);
    pass(120);
    expect(ended).toHaveLength(1);
  });

  test('at the floor it goes on, under it it does not', () => {
    const rateFloor = floor();
    const [enough, tooSlow] = [new Body(owner), new Body({ onTooSlow: () => ended.push('too slow') })];
    rateFloor.watch(enough);
    rateFloor.watch(tooSlow);
    pass(300, () => {
      enough.movedBytes += 280;
      tooSlow.movedBytes += 200;
    });
    expect(ended).toEqual(['too slow']);
    enough.unmeter();
  });

  test('silence is no debt, and a debt begins anew after it', () => {
    const rateFloor = floor();
    const body = new Body(owner);
    body.debtor = null;
    rateFloor.watch(body);
    pass(600);
    body.debtor = 'backend';
    pass(30);
    expect(ended).toEqual([]);
    body.debtor = null;
    pass(5);
    body.debtor = 'backend';
    pass(30);
    expect(ended).toEqual([]);
    pass(30);
    expect(ended).toEqual(['backend: a body moved less than 240 B/s for 30 s']);
  });

  test('who takes over a debt gets a window of its own', () => {
    const rateFloor = floor();
    const body = new Body(owner);
    rateFloor.watch(body);
    pass(25);
    body.debtor = 'backend';
    pass(30);
    expect(ended).toEqual([]);
    body.unmeter();
  });

  test('without bodies no timer runs', () => {
    const rateFloor = floor();
    const body = new Body(owner);
    rateFloor.watch(body);
    body.unmeter();
    pass(10);
    expect(jest.getTimerCount()).toBe(0);
  });
});

const FAST = { minBodyBytesPerSec: 1000, minBodyRateWindowSec: 0.5 };
const UPLOAD = 'POST /upload HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\n';

describe('over sockets', () => {
  test('an upload that trickles is 408, and the backend connection is free', async () => {
    const backend = await rawBackend(() => {});
    const { port, records } = await startProxy([backend.port], { bodyRate: FAST });
    const connection = client(port).send(`${UPLOAD}some`);
    const trickle = setInterval(() => connection.socket.writable && connection.socket.write('x'), 50);
    cleanups.push(async () => clearInterval(trickle));
    const record = await records.nth(1);
    clearInterval(trickle);
    expect(record).toMatchObject({ status: 408, statusDetails: 'client_timed_out' });
    expect(record.error?.detail).toBe('a body moved less than 1000 B/s for 0.5 s');
    await backend.connections[0]!.until((self) => self.closed);
  });

  test('a client that does not read its response is cut off, and the backend connection is free', async () => {
    const backend = await rawBackend(async (connection) => {
      await connection.head();
      connection.socket.write('HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\n');
      const more = () => {
        while (!connection.closed && connection.socket.write(Buffer.alloc(65_536)));
      };
      connection.socket.on('drain', more);
      more();
    }, 'text');
    const { port, records } = await startProxy([backend.port], { bodyRate: FAST });
    const connection = client(port, 'count').send('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
    await connection.until((self) => self.bytes > 0);
    connection.socket.pause();
    expect(await records.nth(1)).toMatchObject({ status: 200, statusDetails: 'client_timed_out' });
    await backend.connections[0]!.until((self) => self.closed);
  });

  test('a backend that does not take the upload is 504', async () => {
    const backend = await rawBackend(async (connection) => {
      await connection.head();
      connection.socket.pause();
    });
    const { port, records } = await startProxy([backend.port], { bodyRate: FAST });
    const connection = client(port).send('POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 100000000\r\n\r\n');
    const more = () => {
      while (connection.socket.writable && connection.socket.write(Buffer.alloc(65_536)));
    };
    connection.socket.on('drain', more);
    more();
    expect(await records.nth(1)).toMatchObject({ status: 504, statusDetails: 'backend_timeout' });
  });

  test('a server that is silent on an open stream is not cut, whatever happens to others', async () => {
    const backend = await rawBackend(async (connection) => {
      const head = await connection.head();
      if (head.startsWith('POST')) return;
      connection.socket.write(
        'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n',
      );
      await connection.until((self) => self.text.includes('never'));
    });
    const { port, records } = await startProxy([backend.port], { bodyRate: FAST });
    const stream = client(port).send('GET /events HTTP/1.1\r\nhost: a\r\n\r\n');
    await stream.response('\r\n\r\n');
    client(port).send(`${UPLOAD}some`);
    await records.nth(1); // which took longer than a window
    const [events] = backend.connections;
    events!.socket.write('8\r\ndata: 1\n\r\n');
    expect(await stream.response('data: 1')).toContain('data: 1');
    expect(stream.closed).toBe(false);
    expect(records.all).toHaveLength(1);
  });

  test('a gRPC client that is silent is not cut; another upload of unknown length to the same backend is', async () => {
    const server = createHttp2Server();
    const sessions: { destroy(): void }[] = [];
    server.on('session', (session) => sessions.push(session));
    server.on('stream', (incoming) => {
      const stream = incoming as ServerHttp2Stream;
      stream.on('error', () => {});
      stream.on('data', () => {});
      stream.on('end', () => {
        if (!stream.destroyed) stream.respond({ ':status': 200 }, { endStream: true });
      });
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    cleanups.push(async () => {
      for (const session of sessions) session.destroy();
      server.close();
      await once(server, 'close');
    });
    const backendPort = (server.address() as AddressInfo).port;
    const { port, records } = await startProxy([backendPort], {
      bodyRate: FAST,
      clients: 'http2',
      service: { protocol: 'H2C' },
    });
    const session = connectHttp2(`http://127.0.0.1:${port}`);
    cleanups.push(async () => {
      session.destroy();
      await once(session, 'close');
    });
    const grpc = session.request({ ':method': 'POST', 'content-type': 'application/grpc' }, { endStream: false });
    grpc.write('message');
    const upload = session.request({ ':method': 'POST', 'content-type': 'text/plain' }, { endStream: false });
    upload.on('error', () => {});
    upload.write('some');
    expect(await records.nth(1)).toMatchObject({ status: 408, statusDetails: 'client_timed_out' });
    grpc.end();
    const [headers] = await once(grpc, 'response');
    expect(headers[':status']).toBe(200);
    grpc.resume();
    expect(await records.nth(2)).toMatchObject({ status: 200, error: null });
  });

  test('exchanges without slow bodies are not watched', async () => {
    const backend = await answeringBackend('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
    const watch = jest.spyOn(RateFloor.prototype, 'watch');
    const { port, records } = await startProxy([backend.port], { bodyRate: FAST });
    await client(port).send('GET / HTTP/1.1\r\nhost: a\r\n\r\n').response('ok');
    await records.nth(1);
    expect(watch).not.toHaveBeenCalled();
    watch.mockRestore();
  });
});
