import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { Listener } from '#src/frontend/listener.ts';
import { addressKey } from '#src/http/client-network.ts';
import { everything, startListeningDoor } from './_listening-door.ts';
import { echo, httpTraffic } from './_recorder.ts';
import { secondHelloWithOtherSni } from './_second-hello.ts';
import { certificateEntry, startTlsDoor, type TlsDoor, type TlsDoorOptions, tlsProxy } from './_tls-door.ts';

describe('the TLS door', () => {
  test('ends TLS and answers HTTP/1.1, and knows what was agreed on', async () => {
    const { recorder, connect: connectTls } = await start();
    const client = connectTls({ ALPNProtocols: ['http/1.1'] });
    expect(await request(client, '/x')).toMatch(/^HTTP\/1.1 200 OK\r\n[\s\S]*GET \/x $/);
    const { exchange } = recorder.exchanges[0]!;
    expect(exchange).toMatchObject({ protocol: 'HTTP/1.1', scheme: 'https', authority: 'localhost' });
    expect(exchange.connection).toMatchObject({
      remoteAddress: '127.0.0.1',
      remotePort: client.localPort,
      localPort: client.remotePort,
      targetProxy: 'test-proxy',
      forwardingRule: 'test-rule',
    });
    const { tls } = exchange.connection;
    expect(tls).toMatchObject({
      protocol: 'TLSv1.3',
      cipher: 'TLS_AES_128_GCM_SHA256',
      cipherCode: '1301',
      group: 'X25519MLKEM768',
      sni: 'localhost',
      alpn: 'http/1.1',
      resumed: false,
      certificate: 'localhost-ecdsa',
      sslPolicy: null,
    });
    expect(tls!.ja4).toMatch(/^t13d\d{4}h1_[0-9a-f]{12}_[0-9a-f]{12}$/);
    expect(tls!.ja3).toMatch(/^[0-9a-f]{32}$/);
    expect(recorder.handshakes.length).toBe(1);
    expect(recorder.handshakes[0]!.durationMs).toBeGreaterThan(0);
  });

  test.each<[string, 'TLSv1.2' | 'TLSv1.3']>([
    ['TLS 1.2', 'TLSv1.2'],
    ['TLS 1.3', 'TLSv1.3'],
  ])('resumes a %s session under the same SNI', async (_name, maxVersion) => {
    const { recorder, connect: connectTls } = await start();
    const first = connectTls({ maxVersion });
    const session = new Promise<Buffer>((resolve) => first.once('session', resolve));
    await request(first, '/1');
    const second = connectTls({ maxVersion, session: await session });
    await request(second, '/2');
    expect(second.isSessionReused()).toBe(true);
    expect(recorder.handshakes.map(({ tls }) => tls.resumed)).toEqual([false, true]);
    expect(recorder.handshakes[1]!.tls.group).toBeNull();
    expect(recorder.handshakeFailures).toEqual([]);
  });

  test('chooses the certificate by SNI and key type', async () => {
    const ecdsa = await certificateEntry('a-ecdsa', ['a.example']);
    const rsa = await certificateEntry('a-rsa', ['a.example'], 'rsa-2048');
    const { recorder, connect: connectTls } = await start({ certificates: [rsa, ecdsa] });
    await request(connectTls({ servername: 'a.example' }), '/');
    await request(
      connectTls({ servername: 'a.example', maxVersion: 'TLSv1.2', ciphers: 'ECDHE-RSA-AES128-GCM-SHA256' }),
      '/',
    );
    expect(recorder.handshakes.map(({ tls }) => tls.certificate)).toEqual(['a-ecdsa', 'a-rsa']);
  });

  test('new connections get the newest proxy, established ones the newest onExchange of theirs', async () => {
    const door = await start();
    const { recorder } = door;
    const old = door.connect();
    await request(old, '/1');
    const seen: string[] = [];
    const certificate = await certificateEntry('renewed', ['localhost']);
    door.proxy = {
      ...tlsProxy(recorder, {}, [certificate]),
      traffic: {
        ...httpTraffic(recorder),
        onExchange: (exchange) => {
          seen.push(exchange.target);
          recorder.onExchange(exchange);
        },
      },
    };
    await request(old, '/2');
    await request(door.connect(), '/3');
    expect(seen).toEqual(['/2', '/3']);
    expect(recorder.handshakes.map(({ tls }) => tls.certificate)).toEqual(['localhost-ecdsa', 'renewed']);
  });

  test('a throw in onExchange costs that connection only', async () => {
    const { recorder, connect: connectTls } = await start();
    recorder.answer = () => {
      throw new Error('a defect');
    };
    const client = connectTls();
    client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await once(client, 'close');
    expect(recorder.badRequests).toEqual(['internal_error']);
    recorder.answer = echo;
    expect(await request(connectTls(), '/')).toMatch(/^HTTP\/1.1 200/);
  });
});

describe('ALPN', () => {
  test('takes h2 before http/1.1, and http/1.1 when the client has no ALPN', async () => {
    const { recorder, connect: connectTls } = await start();
    const both = connectTls({ ALPNProtocols: ['http/1.1', 'h2'] });
    await once(both, 'secureConnect');
    expect(both.alpnProtocol).toBe('h2');
    expect(await request(connectTls(), '/')).toMatch(/^HTTP\/1.1 200/);
    expect(recorder.handshakes.map(({ tls }) => tls.alpn)).toEqual(['h2', null]);
  });

  test('a disjoint offer is refused with no_application_protocol', async () => {
    const { recorder, connect: connectTls } = await start();
    const error = await failure(connectTls({ ALPNProtocols: ['spdy/1'] }));
    expect(error.code).toBe('ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL');
    await recorder.until(() => recorder.handshakeFailures.length === 1);
    expect(recorder.handshakeFailures[0]).toMatchObject({
      reason: 'alpn_mismatch',
      side: 'proxy',
      alpn: ['spdy/1'],
      sni: 'localhost',
    });
  });

  test.each<[string, object]>([
    ['TLS 1.1', { minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'ALL:@SECLEVEL=0' }],
    ['a CBC suite', { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-SHA' }],
  ])('HTTP/2 is not offered on %s (RFC 9113 appendix A)', async (_what, options) => {
    const { recorder, connect: connectTls } = await start();
    const client = connectTls({ ALPNProtocols: ['h2', 'http/1.1'], ...options });
    expect(await request(client, '/')).toMatch(/^HTTP\/1.1 200/);
    expect(recorder.handshakes[0]!.tls.alpn).toBe('http/1.1');
    await failure(connectTls({ ALPNProtocols: ['h2'], ...options }));
    await recorder.until(() => recorder.handshakeFailures.length === 1);
    expect(recorder.handshakeFailures[0]!.reason).toBe('alpn_mismatch');
  });

  test('HTTP/2 is offered on TLS 1.2 with an AEAD suite', async () => {
    const { recorder, connect: connectTls } = await start();
    const client = connectTls({ ALPNProtocols: ['h2'], maxVersion: 'TLSv1.2' });
    await once(client, 'secureConnect');
    await recorder.until(() => recorder.handshakes.length === 1);
    expect(recorder.handshakes[0]!.tls).toMatchObject({ alpn: 'h2', protocol: 'TLSv1.2' });
  });
});

describe('handshakes that fail', () => {
  test('plain HTTP is told so', async () => {
    const { recorder, port } = await start();
    const { text, closed } = raw(port, 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
    await closed;
    expect(text()).toMatch(/^HTTP\/1.1 400 Bad Request\r\n[\s\S]*This is a TLS port/);
    expect(recorder.handshakeFailures[0]).toMatchObject({
      reason: 'plain_http',
      side: 'client',
      forwardingRule: 'test-rule',
    });
  });

  test.each<[string, Buffer, string, string]>([
    ['garbage', Buffer.from('\x00\x01garbage'), 'not_tls', ''],
    ['an SSLv2 hello', Buffer.from([0x80, 0x2e, 0x01, 0x03, 0x01, 0, 0, 0]), 'not_tls', ''],
    ['a ServerHello', Buffer.from([22, 3, 1, 0, 4, 2, 0, 0, 0]), 'malformed_hello', '15030100020232'],
    ['an oversized hello', Buffer.from([22, 3, 1, 0x40, 0, 1, 0x01, 0, 0]), 'hello_too_large', '15030100020232'],
    [
      'a hello cut to pieces that make no sense',
      Buffer.from([22, 3, 1, 0, 6, 1, 0, 0, 2, 3, 3]),
      'malformed_hello',
      '15030100020232',
    ],
  ])('%s is closed at once', async (_what, bytes, reason, answer) => {
    const { recorder, port } = await start();
    const { text, closed } = raw(port, bytes);
    await closed;
    expect(Buffer.from(text(), 'latin1').toString('hex')).toBe(answer);
    expect(recorder.handshakeFailures.map((failed) => failed.reason)).toEqual([reason]);
  });

  test('a hello that ends early is closed', async () => {
    const { recorder, port } = await start();
    const socket = connect(port, '127.0.0.1');
    socket.end(Buffer.from([22, 3, 1, 2, 0, 1]));
    await once(socket, 'close');
    expect(recorder.handshakeFailures[0]).toMatchObject({ reason: 'peer_closed', side: 'network' });
  });

  test.each<[string, (socket: Socket) => void]>([
    ['resets', (socket) => socket.resetAndDestroy()],
    ['ends', (socket) => socket.end()],
    ['closes', (socket) => socket.destroySoon()],
  ])('a client that %s its connection right behind its hello is told of as one that closed', async (_name, leave) => {
    const { recorder, port, connect: connectTls } = await start();
    const hello = await recordedHello();
    for (let i = 0; i < LEAVERS; i++) {
      const socket = connect(port, '127.0.0.1', () => socket.write(hello, () => leave(socket)));
      socket.on('error', () => {});
      socket.resume();
    }
    await recorder.until(() => recorder.handshakeFailures.length === LEAVERS);
    for (const failed of recorder.handshakeFailures)
      expect(failed).toMatchObject({ reason: 'peer_closed', side: 'network' });
    expect(await request(connectTls(), '/')).toMatch(/200/);
  });

  test('a connection that is cut between its hello and its turn is told of once, with what it offered', async () => {
    const { recorder, port } = await start();
    const hello = await recordedHello();
    const cut = (message: unknown): void => {
      const { socket } = message as { readonly socket: Socket };
      socket.once('data', () => process.nextTick(() => socket.destroy()));
    };
    subscribe('net.server.socket', cut);
    try {
      await raw(port, hello).closed;
    } finally {
      unsubscribe('net.server.socket', cut);
    }
    await recorder.until(() => recorder.handshakeFailures.length === 1);
    expect(recorder.handshakeFailures[0]).toMatchObject({ reason: 'peer_closed', sni: 'localhost' });
  });

  test('a hello that does not come is closed at the deadline', async () => {
    const { recorder, port } = await start({ timeouts: { handshakeMs: 100 } });
    const { closed } = raw(port, Buffer.from([22, 3, 1]));
    await closed;
    await recorder.until(() => recorder.handshakeFailures.length > 0);
    expect(recorder.handshakeFailures[0]).toMatchObject({ reason: 'hello_timeout', side: 'network' });
    expect(recorder.handshakeFailures[0]!.durationMs).toBeGreaterThan(50); // not at once; timers may fire a little early
  });

  test('a hello of single bytes, one segment each, is read and answered', async () => {
    const { recorder, port, connect: connectTls } = await start();
    const hello = await recordedHello();
    const socket = connect(port, '127.0.0.1');
    socket.setNoDelay(true);
    for (const byte of hello) {
      socket.write(Buffer.from([byte]));
      await new Promise((resolve) => setImmediate(resolve));
    }
    const [answer] = (await once(socket, 'data')) as [Buffer];
    expect(answer.subarray(0, 3)).toEqual(Buffer.from([22, 3, 3]));
    socket.destroy();
    await recorder.until(() => recorder.handshakeFailures.length === 1);
    expect(recorder.handshakeFailures[0]).toMatchObject({ reason: 'peer_closed', sni: 'localhost' });
    expect(await request(connectTls(), '/')).toMatch(/200/);
  });

  test('a trickle of bytes does not move the deadline', async () => {
    const { recorder, port } = await start({ timeouts: { handshakeMs: 200 } });
    const hello = await recordedHello();
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => {});
    let sent = 0;
    const drip = setInterval(() => socket.write(hello.subarray(sent, ++sent)), 5);
    await new Promise((resolve) => socket.on('close', resolve)); // a reset on the way is no failure, as it would be for once()
    clearInterval(drip);
    await recorder.until(() => recorder.handshakeFailures.length > 0);
    expect(recorder.handshakeFailures[0]!.reason).toBe('hello_timeout');
  });

  test('a client that stops after its hello is closed at the deadline', async () => {
    const { recorder, port } = await start({ timeouts: { handshakeMs: 150 } });
    const { closed } = raw(port, await recordedHello());
    await closed;
    await recorder.until(() => recorder.handshakeFailures.length > 0);
    expect(recorder.handshakeFailures.map(({ reason }) => reason)).toEqual(['handshake_timeout']);
  });

  test('a version that the policy refuses', async () => {
    const policy = {
      profile: 'MODERN',
      minTlsVersion: 'TLS_1_2',
      customFeatures: [],
      postQuantumKeyExchange: 'DEFAULT',
    } as const;
    const { recorder, connect: connectTls } = await start({ policy });
    const error = await failure(
      connectTls({ minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'ALL:@SECLEVEL=0' }),
    );
    expect(error.code).toBe('ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION');
    await recorder.until(() => recorder.handshakeFailures.length === 1);
    expect(recorder.handshakeFailures[0]).toMatchObject({
      reason: 'unsupported_version',
      side: 'proxy',
      offeredVersions: ['TLSv1.1'],
    });
  });

  test('matching certificates that the client cannot use: refused before OpenSSL sees a byte', async () => {
    const certificates = [await certificateEntry('a', ['a.example']), await certificateEntry('b', ['b.example'])];
    const { recorder, connect: connectTls } = await start({ certificates });
    const error = await failure(
      connectTls({ servername: 'a.example', maxVersion: 'TLSv1.2', ciphers: 'ECDHE-RSA-AES128-GCM-SHA256' }),
    );
    expect(error.code).toMatch(/HANDSHAKE_FAILURE/);
    expect(recorder.handshakeFailures[0]).toMatchObject({ side: 'proxy', sni: 'a.example' });
    expect(recorder.handshakeFailures[0]!.reason).toMatch(/certificate_key_type_mismatch|no_shared_cipher/);
  });

  test('a client that rejects the certificate is reported with its alert', async () => {
    const { recorder, connect: connectTls } = await start();
    await failure(connectTls({ rejectUnauthorized: true, maxVersion: 'TLSv1.2' }));
    await recorder.until(() => recorder.handshakeFailures.length + recorder.handshakes.length > 0);
    expect(recorder.handshakeFailures.map(({ side }) => side)).not.toContain('proxy');
  });

  test('an SNI that changes in the second hello is refused', async () => {
    const { recorder, port } = await start();
    await secondHelloWithOtherSni(port, 'localhost', 'evil.example');
    await recorder.until(() => recorder.handshakeFailures.length === 1);
    expect(recorder.handshakeFailures[0]).toMatchObject({ reason: 'malformed_hello', sni: 'localhost' });
    expect(recorder.handshakes).toEqual([]);
  });

  test('the same client with one SNI is served', async () => {
    const { recorder, port } = await start();
    const over = secondHelloWithOtherSni(port, 'localhost', 'localhost');
    await recorder.until(() => recorder.handshakes.length === 1);
    await over;
    expect(recorder.handshakes[0]!.tls).toMatchObject({ sni: 'localhost', group: 'X25519' });
    expect(recorder.handshakeFailures).toEqual([]);
  });

  test('there is no renegotiation', async () => {
    const { connect: connectTls } = await start();
    const client = connectTls({ maxVersion: 'TLSv1.2' });
    await request(client, '/');
    const refused = await new Promise<boolean>((resolve) => {
      client.on('error', () => resolve(true));
      client.on('close', () => resolve(true));
      client.renegotiate({}, (error) => resolve(error !== null));
    });
    expect(refused).toBe(true);
  });
});

describe('limits (security rule 10)', () => {
  test('connections beyond the limit are closed, and that is told once for a period', async () => {
    const { recorder, port, listener } = await start({ limits: { connections: 2 } });
    const held = [idle(port), idle(port)];
    await recorder.until(() => listener.connections === 2);
    for (let i = 0; i < 3; i++) await once(idle(port), 'close');
    expect(recorder.handshakeFailures.map(({ reason }) => reason)).toEqual(Array(3).fill('connection_limit'));
    expect(recorder.paused).toEqual(['connection_limit']);
    held[0]!.destroy();
    await recorder.until(() => listener.connections === 1);
    expect(recorder.paused).toEqual(['connection_limit', 'resumed']);
    held[1]!.destroy();
  });

  test('what RLIMIT_NOFILE allows comes before limits.connections', async () => {
    const { recorder, port, listener } = await start({ fileLimit: 68, limits: { connections: 1000 } });
    const held = [idle(port), idle(port)];
    await recorder.until(() => listener.connections === 2);
    await once(idle(port), 'close');
    expect(recorder.handshakeFailures.map(({ reason }) => reason)).toEqual(['connection_limit']);
    for (const socket of held) socket.destroy();
  });

  test('connections of one address', async () => {
    const { recorder, port, listener } = await start({ limits: { connectionsPerAddress: 1 } });
    const held = idle(port);
    await recorder.until(() => listener.connections === 1);
    await once(idle(port), 'close');
    expect(recorder.handshakeFailures.map(({ reason }) => reason)).toEqual(['address_limit']);
    held.destroy();
    await recorder.until(() => listener.connections === 0);
    const next = idle(port);
    await recorder.until(() => listener.connections === 1);
    next.destroy();
  });

  test('unfinished handshakes have a limit of their own', async () => {
    const { recorder, connect: connectTls, port, listener } = await start({ limits: { unfinishedHandshakes: 1 } });
    await request(connectTls(), '/');
    const held = idle(port);
    await recorder.until(() => listener.connections === 2);
    await once(idle(port), 'close');
    expect(recorder.handshakeFailures.map(({ reason }) => reason)).toEqual(['handshake_limit']);
    held.destroy();
  });

  test('addressKey() takes the /64 of an IPv6 address', () => {
    expect(addressKey('192.0.2.1')).toBe('192.0.2.1');
    expect(addressKey('2001:db8:1:2:3:4:5:6')).toBe('2001:db8:1:2::/64');
    expect(addressKey('2001:db8:1:2::6')).toBe('2001:db8:1:2::/64');
    expect(addressKey('2001:db8::1')).toBe('2001:db8:0:0::/64');
    expect(addressKey('2001:db8::1:2:3:4:5')).toBe('2001:db8:0:1::/64');
    expect(addressKey('::1')).toBe('0:0:0:0::/64');
  });
});

describe('listen()', () => {
  test.each(['127.0.0.1', '0.0.0.0'])(
    'connections to a listener at %s know what they were sent to',
    async (address) => {
      const { recorder, port, connect: connectPlain, close } = await startListeningDoor({ address });
      const client = connectPlain();
      const text = everything(client);
      client.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
      expect(await text).toMatch(/^HTTP\/1.1 200 OK\r\n/);
      expect(recorder.exchanges[0]!.exchange.connection).toMatchObject({ localAddress: '127.0.0.1', localPort: port });
      await close();
    },
  );

  test('rejects when the address is taken', async () => {
    const { port, recorder } = await start();
    const second = new Listener({
      address: '127.0.0.1',
      port,
      forwardingRule: () => 'rule',
      current: () => {
        throw new Error('nothing was accepted');
      },
      events: recorder,
    });
    await expect(second.listen()).rejects.toMatchObject({ code: 'EADDRINUSE' });
    await second.closeNow();
    expect(recorder.paused).toEqual([]);
  });
});

describe('ending', () => {
  test('drain() refuses new connections, lets a request finish and resolves', async () => {
    const door = await start();
    const { recorder, listener, port } = door;
    recorder.answer = () => {};
    const client = door.connect();
    const text = collect(client);
    client.write('GET /busy HTTP/1.1\r\nHost: a\r\n\r\n');
    await recorder.until(() => recorder.exchanges.length === 1);
    const idleClient = door.connect();
    await once(idleClient, 'secureConnect');
    await recorder.until(() => recorder.handshakes.length === 2);
    let drained = false;
    const drain = listener.drain().then(() => {
      drained = true;
    });
    await once(idleClient, 'end');
    const refused = connect(port, '127.0.0.1');
    const [error] = (await once(refused, 'error')) as [NodeJS.ErrnoException];
    expect(error.code).toBe('ECONNREFUSED');
    expect(drained).toBe(false);
    echo(recorder.exchanges[0]!);
    await once(client, 'end');
    expect(text()).toMatch(/connection: close\r\n[\s\S]*GET \/busy $/);
    await drain;
  });

  test('closeNow() ends everything', async () => {
    const door = await start();
    const { recorder, listener, port } = door;
    recorder.answer = () => {};
    const client = door.connect();
    client.write('GET /busy HTTP/1.1\r\nHost: a\r\n\r\n');
    await recorder.until(() => recorder.exchanges.length === 1);
    const peeking = idle(port);
    await recorder.until(() => listener.connections === 2);
    await listener.closeNow();
    await recorder.until(() => peeking.destroyed && client.destroyed);
    expect(recorder.exchanges[0]!.aborted).toBe('client_disconnected_before_any_response');
  });

  test('a client that ends its side after the request gets the response', async () => {
    const { recorder, connect: connectTls } = await start();
    recorder.answer = () => {};
    const client = connectTls({ allowHalfOpen: true } as object);
    const text = collect(client);
    client.end('GET /half HTTP/1.1\r\nHost: a\r\n\r\n');
    await recorder.until(() => recorder.exchanges.length === 1);
    await new Promise((resolve) => setTimeout(resolve, 50));
    echo(recorder.exchanges[0]!);
    await once(client, 'end');
    expect(text()).toMatch(/GET \/half $/);
  });
});

const doors: TlsDoor[] = [];
afterEach(async () => {
  for (const door of doors.splice(0)) await door.close();
});

async function start(options: TlsDoorOptions = {}): Promise<TlsDoor> {
  const door = await startTlsDoor(options);
  doors.push(door);
  return door;
}

function idle(port: number): Socket {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => {});
  return socket;
}

function collect(socket: Socket): () => string {
  let text = '';
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
  });
  return () => text;
}

/** Writes bytes and keeps its side open until the server ends. */
function raw(port: number, bytes: string | Buffer): { text: () => string; closed: Promise<unknown> } {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => {});
  const text = collect(socket);
  socket.write(bytes);
  return { text, closed: once(socket, 'close') };
}

/** One request on a connection that stays open; resolves with what came back for it. */
async function request(client: TLSSocket, target: string): Promise<string> {
  client.write(`GET ${target} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
  let text = '';
  while (!text.endsWith(`GET ${target} `)) {
    const [chunk] = (await once(client, 'data')) as [Buffer];
    text += chunk.toString('latin1');
  }
  return text;
}

async function failure(client: TLSSocket): Promise<NodeJS.ErrnoException> {
  const [error] = (await once(client, 'error')) as [NodeJS.ErrnoException];
  return error;
}

/** The ClientHello of this runtime, as it goes over the wire. */
async function recordedHello(): Promise<Buffer> {
  const { createServer } = await import('node:net');
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { connect: connectTls } = await import('node:tls');
  const client = connectTls({
    port: (server.address() as { port: number }).port,
    host: '127.0.0.1',
    servername: 'localhost',
  });
  client.on('error', () => {});
  const [socket] = (await once(server, 'connection')) as [Socket];
  const chunks: Buffer[] = [];
  let length = 0;
  while (length < 5 || length < 5 + Buffer.concat(chunks).readUInt16BE(3)) {
    const [chunk] = (await once(socket, 'data')) as [Buffer];
    chunks.push(chunk);
    length += chunk.length;
  }
  client.destroy();
  socket.destroy();
  server.close();
  return Buffer.concat(chunks);
}

const LEAVERS = 20; // so many that a round of the event loop has several hellos
