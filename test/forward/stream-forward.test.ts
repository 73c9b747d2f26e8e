import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { TLSSocket } from 'node:tls';
import type { Issued } from '#src/pki/issue/contract.ts';
import { issue } from '#src/pki/issue/issue.ts';
import { makeTls } from '../backend/support.ts';
import { chainPem, type TestPki, testPki } from '../harness/pki.ts';
import { until } from '../harness/until.ts';
import { closedPort } from './_proxy.ts';
import { closeAll, type Peer, startBackend, startStreams } from './_streams.ts';

let pki: TestPki;
beforeAll(async () => {
  pki = await testPki();
});
afterEach(closeAll);

const SERVER = () => ({ cert: chainPem(pki.server, pki.issuing), key: pki.server.privateKeyPem });
const VERIFIED = () => makeTls({ sni: 'backend.example', anchors: [pki.root] });

describe('a stream', () => {
  test.each([
    ['tls', 'SSL'],
    ['tls', 'TCP'],
    ['plain', 'SSL'],
    ['plain', 'TCP'],
  ] as const)('%s to %s: bytes both ways at once, byte-exact and counted', async (clients, protocol) => {
    const up = randomBytes(1_500_000);
    const down = randomBytes(2_500_000);
    const backend = await startBackend((peer) => peer.socket.end(down), protocol === 'SSL' ? SERVER() : null);
    const tls = protocol === 'SSL' ? VERIFIED() : null;
    const proxy = await startStreams({ clients, protocol, ports: [backend.port], tls });
    const client = proxy.client();
    client.socket.end(up);
    const record = await proxy.records.nth(1);
    await until(() => client.ended && backend.peers[0]!.ended);
    expect(digestOf(client)).toBe(sha256(down));
    expect(digestOf(backend.peers[0]!)).toBe(sha256(up));
    expect(record).toMatchObject({
      statusDetails: 'connection_closed',
      proxyStatus: null,
      error: null,
      backendService: 'shop',
      backend: `127.0.0.1:${backend.port}`,
      attempts: 1,
      bytesReceived: up.length,
      bytesSent: down.length,
    });
    expect(record.backendTls?.verdict).toBe(protocol === 'SSL' ? 'verified' : undefined);
    expect(record.stream.connection.tls?.protocol).toBe(clients === 'tls' ? 'TLSv1.3' : undefined);
    expect([proxy.records.received.value, proxy.records.sent.value]).toEqual([up.length, down.length]);
  });

  test('counts bytes while it runs', async () => {
    const backend = await startBackend((peer) => peer.socket.write('hello'));
    const proxy = await startStreams({ ports: [backend.port] });
    const client = proxy.client();
    client.socket.write('hi');
    await until(() => client.text === 'hello' && proxy.records.received.value === 2);
    expect(proxy.records.sent.value).toBe(5);
    expect(proxy.records.all).toEqual([]);
  });

  test('the client ends, and the backend goes on: half-close over TLS on both sides', async () => {
    const backend = await startBackend(() => {}, SERVER());
    const proxy = await startStreams({ protocol: 'SSL', ports: [backend.port], tls: VERIFIED() });
    const client = proxy.client();
    client.socket.end('question');
    await until(() => backend.peers[0]?.ended === true);
    expect(backend.peers[0]!.text).toBe('question');
    expect(client.ended).toBe(false);
    backend.peers[0]!.socket.write('answer, ');
    await until(() => client.text === 'answer, ');
    backend.peers[0]!.socket.end('in two parts');
    await until(() => client.ended);
    expect(client.text).toBe('answer, in two parts');
    expect((await proxy.records.nth(1)).statusDetails).toBe('connection_closed');
  });

  test('the backend ends, and the client goes on: half-close over TLS on both sides', async () => {
    const backend = await startBackend((peer) => peer.socket.end('greeting'), SERVER());
    const proxy = await startStreams({ protocol: 'SSL', ports: [backend.port], tls: VERIFIED() });
    const client = proxy.client();
    await until(() => client.ended);
    client.socket.write('long ');
    await until(() => backend.peers[0]!.text === 'long ');
    client.socket.end('after');
    await until(() => backend.peers[0]!.ended);
    expect([client.text, backend.peers[0]!.text]).toEqual(['greeting', 'long after']);
    expect((await proxy.records.nth(1)).statusDetails).toBe('connection_closed');
  });

  test('100 MiB through a reader that stops: back-pressure keeps what waits in the process small', async () => {
    const total = 100 << 20;
    const chunk = randomBytes(1 << 20);
    const sent = createHash('sha256');
    const backend = await startBackend((peer) => {
      let left = total;
      const more = () => {
        while (left > 0) {
          left -= chunk.length;
          sent.update(chunk);
          if (!peer.socket.write(chunk)) break;
        }
        if (left === 0) peer.socket.end();
      };
      peer.socket.on('drain', () => left > 0 && more());
      more();
    }, SERVER());
    const proxy = await startStreams({ protocol: 'SSL', ports: [backend.port], tls: VERIFIED() });
    const client = proxy.client();
    client.socket.removeAllListeners('data');
    client.socket.pause();
    const received = createHash('sha256');
    let bytes = 0;
    await until(() => backend.peers.length === 1 && backend.peers[0]!.socket.writableNeedDrain);
    // nobody reads: what the proxy has taken stops growing once every buffer on the way is full
    let taken = 0;
    let looks = 0;
    await until(() => {
      looks = taken === proxy.records.sent.value ? looks + 1 : 0;
      taken = proxy.records.sent.value;
      return taken > 0 && looks === 100;
    });
    expect(taken).toBeLessThan(32 << 20); // kernel buffers of two sockets and 64 kB of ours
    client.socket.on('data', (data: Buffer) => {
      received.update(data);
      bytes += data.length;
    });
    client.socket.resume();
    await once(client.socket, 'end');
    client.socket.end();
    expect(bytes).toBe(total);
    expect(received.digest('hex')).toBe(sent.digest('hex'));
    expect((await proxy.records.nth(1)).bytesSent).toBe(total);
  });

  test('200 at once', async () => {
    const backend = await startBackend((peer) => peer.socket.on('data', (data) => peer.socket.write(data)), SERVER());
    const proxy = await startStreams({
      protocol: 'SSL',
      ports: [backend.port],
      tls: VERIFIED(),
      maxConnections: 1000,
    });
    const clients = Array.from({ length: 200 }, () => proxy.client());
    for (const [index, client] of clients.entries()) client.socket.write(`stream ${index}`);
    await until(() => clients.every((client, index) => client.text === `stream ${index}`));
    expect(proxy.records.open).toBe(200);
    expect(backend.peers).toHaveLength(200);
    for (const client of clients) client.socket.end();
    backend.server.on('connection', () => {});
    for (const peer of backend.peers) peer.socket.end();
    await proxy.records.nth(200);
    expect(new Set(proxy.records.all.map(({ statusDetails }) => statusDetails))).toEqual(
      new Set(['connection_closed']),
    );
  });
});

describe('a side that breaks off', () => {
  test.each(['tls', 'plain'] as const)('a reset of the client (%s) is one for the backend', async (clients) => {
    const backend = await startBackend((peer) => peer.socket.write('x'));
    const proxy = await startStreams({ clients, ports: [backend.port] });
    const client = proxy.client();
    await until(() => client.text === 'x');
    client.reset();
    const record = await proxy.records.nth(1);
    await until(() => backend.peers[0]!.closed);
    expect(backend.peers[0]!.failure).toBe('ECONNRESET');
    expect(record).toMatchObject({
      statusDetails: 'client_disconnected_after_partial_response',
      error: { source: 'client' },
    });
  });

  test.each(['tls', 'plain'] as const)('a reset of the backend is one for the client (%s)', async (clients) => {
    const backend = await startBackend((peer) => peer.socket.on('data', () => peer.socket.resetAndDestroy()));
    const proxy = await startStreams({ clients, ports: [backend.port] });
    const client = proxy.client();
    client.socket.write('x');
    const record = await proxy.records.nth(1);
    await until(() => client.closed);
    expect(client.failure).toBe('ECONNRESET');
    expect(record).toMatchObject({
      statusDetails: 'backend_connection_closed_before_data_sent_to_client',
      error: { source: 'backend' },
    });
  });

  test('timeoutSec without a byte ends both', async () => {
    const backend = await startBackend((peer) => peer.socket.write('x'));
    const proxy = await startStreams({ ports: [backend.port], timeoutSec: 0.1 });
    const client = proxy.client();
    const record = await proxy.records.nth(1);
    await until(() => client.closed && backend.peers[0]!.closed);
    expect(record).toMatchObject({ statusDetails: 'backend_timeout', bytesSent: 1 });
    expect(client.failure).toBe('ECONNRESET');
  });

  test('the end of a drain resets both and says whose doing it was', async () => {
    const backend = await startBackend((peer) => peer.socket.write('x'));
    const proxy = await startStreams({ ports: [backend.port] });
    const client = proxy.client();
    await until(() => client.text === 'x');
    await proxy.listener.closeNow();
    const record = await proxy.records.nth(1);
    await until(() => client.closed && backend.peers[0]!.closed);
    expect(record).toMatchObject({
      statusDetails: 'proxy_draining',
      proxyStatus: 'sallyport; error=connection_terminated',
    });
  });
});

describe('a stream that finds no backend', () => {
  test('goes to the next endpoint when one cannot be reached', async () => {
    const backend = await startBackend((peer) => peer.socket.end('here'));
    const proxy = await startStreams({ ports: [await closedPort(), backend.port] });
    const client = proxy.client();
    await until(() => client.ended);
    client.socket.end();
    expect(client.text).toBe('here');
    expect(await proxy.records.nth(1)).toMatchObject({
      attempts: 2,
      backend: `127.0.0.1:${backend.port}`,
      error: null,
    });
  });

  test('is reset when none can be reached; every endpoint was tried once', async () => {
    const proxy = await startStreams({ ports: [await closedPort(), await closedPort()] });
    const client = proxy.client();
    const record = await proxy.records.nth(1);
    expect(record).toMatchObject({ attempts: 2, statusDetails: 'failed_to_connect_to_backend', bytesSent: 0 });
    await until(() => client.closed);
  });

  test('is reset when there is none', async () => {
    const proxy = await startStreams({ ports: [] });
    const client = proxy.client();
    expect(await proxy.records.nth(1)).toMatchObject({
      attempts: 0,
      backend: null,
      statusDetails: 'failed_to_pick_backend',
    });
    await until(() => client.closed);
  });

  test('a limit of connections sends it to the next endpoint, and then away', async () => {
    const one = await startBackend((peer) => peer.socket.write('1'));
    const two = await startBackend((peer) => peer.socket.write('2'));
    const proxy = await startStreams({ ports: [one.port, two.port], maxConnections: 1 });
    const clients = [proxy.client(), proxy.client()];
    await until(() => clients.every(({ bytes }) => bytes === 1));
    proxy.client();
    expect(await proxy.records.nth(1)).toMatchObject({ attempts: 2, statusDetails: 'failed_to_pick_backend' });
  });
});

describe('a backend that is not who it should be', () => {
  async function refusal(chain: readonly Issued[], tls = VERIFIED()) {
    const backend = await startBackend(() => {}, { cert: chainPem(...chain), key: chain[0]!.privateKeyPem });
    const proxy = await startStreams({ protocol: 'SSL', ports: [backend.port], tls });
    const client = proxy.client();
    client.socket.write('secret');
    const record = await proxy.records.nth(1);
    await until(() => client.closed);
    expect(client.text).toBe('');
    expect(backend.peers.map(({ text }) => text).join('')).toBe('');
    expect(record.bytesReceived).toBe(0);
    return record;
  }

  test('an unknown CA', async () => {
    const leaf = await issue({
      subject: 'CN=backend',
      issuer: pki.stranger,
      dnsNames: ['backend.example'],
      extendedKeyUsage: ['serverAuth'],
    });
    expect(await refusal([leaf])).toMatchObject({
      statusDetails: 'ssl_certificate_chain_verification_failed',
      backendTls: { verdict: 'refused' },
    });
  });

  test('another name', async () => {
    const record = await refusal([pki.server, pki.issuing], makeTls({ sni: 'other.example', anchors: [pki.root] }));
    expect(record).toMatchObject({
      statusDetails: 'ssl_certificate_san_verification_failed',
      backendTls: { verdict: 'refused' },
    });
  });

  test('expired', async () => {
    const leaf = await issue({
      subject: 'CN=backend',
      issuer: pki.root,
      dnsNames: ['backend.example'],
      extendedKeyUsage: ['serverAuth'],
      notBefore: new Date(Date.now() - 2 * 86_400_000),
      notAfter: new Date(Date.now() - 86_400_000),
    });
    expect(await refusal([leaf])).toMatchObject({
      statusDetails: 'ssl_certificate_chain_verification_failed',
      backendTls: { verdict: 'refused', rule: 'validity' },
    });
  });

  test('REPORT_ONLY uses it and says what it would have done', async () => {
    const backend = await startBackend((peer) => peer.socket.end('used'), SERVER());
    const tls = makeTls({ sni: 'other.example', anchors: [pki.root], reportOnly: true });
    const proxy = await startStreams({ protocol: 'SSL', ports: [backend.port], tls });
    const client = proxy.client();
    await until(() => client.ended);
    client.socket.end();
    expect(await proxy.records.nth(1)).toMatchObject({ error: null, backendTls: { verdict: 'would-refuse' } });
    expect(proxy.events.reports.map(({ statusDetails }) => statusDetails)).toEqual([
      'ssl_certificate_san_verification_failed',
    ]);
  });

  test('it asks for a certificate that the proxy does not have', async () => {
    const asking = { ...SERVER(), requestCert: true, ca: pki.root.certificatePem };
    const backend = await startBackend(() => {}, asking);
    const proxy = await startStreams({ protocol: 'SSL', ports: [backend.port], tls: VERIFIED() });
    const client = proxy.client();
    client.socket.write('hello');
    const record = await proxy.records.nth(1);
    expect(record.statusDetails).toBe('failed_to_connect_to_backend');
    expect(record.error?.code).toBe('backend_tls_alert');
  });

  test('it gets the client certificate of the authentication config', async () => {
    const asking = { ...SERVER(), requestCert: true, ca: pki.root.certificatePem };
    const backend = await startBackend((peer) => {
      peer.socket.end((peer.socket as TLSSocket).getPeerX509Certificate()?.subject ?? 'nobody');
    }, asking);
    const tls = makeTls({ sni: 'backend.example', anchors: [pki.root], client: [pki.client, pki.issuing] });
    const proxy = await startStreams({ protocol: 'SSL', ports: [backend.port], tls });
    const client = proxy.client();
    await until(() => client.ended);
    client.socket.end();
    expect(client.text).toBe('CN=test client');
  });

  test('sessions are resumed, connections never used twice (security rule 35)', async () => {
    const backend = await startBackend((peer) => peer.socket.end('x'), SERVER());
    const proxy = await startStreams({ protocol: 'SSL', ports: [backend.port], tls: VERIFIED() });
    for (let i = 1; i <= 3; i++) {
      const client = proxy.client();
      await until(() => client.ended);
      client.socket.end();
      await proxy.records.nth(i);
    }
    expect(backend.peers).toHaveLength(3);
    expect(proxy.records.all.map(({ backendTls }) => backendTls?.verdict)).toEqual(['verified', 'resumed', 'resumed']);
  });
});

describe('a PROXY header', () => {
  test.each(['tls', 'plain'] as const)('version 1, from a %s client, is the first a backend reads', async (clients) => {
    const backend = await startBackend((peer) => peer.socket.end());
    const proxy = await startStreams({ clients, ports: [backend.port], proxyHeader: 'PROXY_V1' });
    const client = proxy.client();
    client.socket.end('payload');
    const { stream } = await proxy.records.nth(1);
    await until(() => backend.peers[0]!.ended);
    const { remotePort } = stream.connection;
    expect(backend.peers[0]!.text).toBe(`PROXY TCP4 127.0.0.1 127.0.0.1 ${remotePort} ${proxy.port}\r\npayload`);
    expect(proxy.records.all[0]!.bytesReceived).toBe('payload'.length);
  });

  test('version 2 tells of the TLS of the client', async () => {
    const backend = await startBackend((peer) => peer.socket.end());
    const proxy = await startStreams({ ports: [backend.port], proxyHeader: 'PROXY_V2' });
    const client = proxy.client();
    client.socket.end('payload');
    await proxy.records.nth(1);
    await until(() => backend.peers[0]!.ended);
    const bytes = Buffer.concat(backend.peers[0]!.chunks);
    expect(bytes.subarray(12, 14)).toEqual(Buffer.from([0x21, 0x11]));
    expect(bytes.includes('localhost') && bytes.includes('TLSv1.3')).toBe(true);
    expect(bytes.subarray(16 + bytes.readUInt16BE(14)).toString()).toBe('payload');
  });

  test('comes before TLS to an SSL backend, whose handshake follows', async () => {
    const seen: Buffer[] = [];
    const inner = await startBackend((peer) => peer.socket.end('over TLS'), SERVER());
    // strips the header, then hands the rest to a TLS server, as a load balancer's other end does
    const outer = await startBackend((peer) => {
      peer.socket.removeAllListeners('data');
      peer.socket.once('data', (first: Buffer) => {
        const end = first.indexOf('\r\n') + 2;
        seen.push(first.subarray(0, end));
        peer.socket.pause();
        if (end < first.length) peer.socket.unshift(first.subarray(end));
        inner.server.emit('connection', peer.socket);
      });
    });
    const tls = VERIFIED();
    const proxy = await startStreams({ protocol: 'SSL', ports: [outer.port], tls, proxyHeader: 'PROXY_V1' });
    const client = proxy.client();
    await until(() => client.ended);
    client.socket.end();
    expect(client.text).toBe('over TLS');
    expect(seen[0]!.toString()).toMatch(/^PROXY TCP4 127\.0\.0\.1 127\.0\.0\.1 \d+ \d+\r\n$/);
  });
});

function digestOf(peer: Peer): string {
  return sha256(Buffer.concat(peer.chunks));
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
