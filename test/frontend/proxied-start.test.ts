import { once } from 'node:events';
import { BlockList, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { Admission } from '#src/frontend/admission.ts';
import { binaryHeader, tcp4, textHeader } from '../http/_proxy-header.ts';
import { everything, type ListeningDoor, type ListeningDoorOptions, startListeningDoor } from './_listening-door.ts';
import { localhostCertificate, tlsProxy } from './_tls-door.ts';

let door: ListeningDoor;
afterEach(() => door.close());

function trusting(...sources: readonly string[]): BlockList {
  const list = new BlockList();
  for (const source of sources) list.addAddress(source);
  return list;
}

async function start(options: ListeningDoorOptions = {}): Promise<ListeningDoor> {
  door = await startListeningDoor({ trustedSources: trusting('127.0.0.1'), ...options });
  return door;
}

const GET = Buffer.from('GET /x HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n', 'latin1');

describe('a trusted source', () => {
  test.each([
    ['version 1', textHeader('198.51.100.7', 4321)],
    ['version 2', tcp4('198.51.100.7', 4321)],
  ])('conveys with %s whom the exchange is from, in the segment of the request', async (_name, header) => {
    const { recorder, connect } = await start();
    const client = connect();
    client.write(Buffer.concat([header, GET]));
    expect(await everything(client)).toMatch(/GET \/x $/);
    expect(recorder.exchanges[0]!.exchange.connection).toMatchObject({
      remoteAddress: '198.51.100.7',
      remotePort: 4321,
      localAddress: '203.0.113.9',
      localPort: 443,
    });
    expect(recorder.handshakeFailures).toEqual([]);
  });

  test('may send header and request byte by byte', async () => {
    const { recorder, connect } = await start();
    const client = connect();
    client.setNoDelay(true);
    await once(client, 'connect');
    const answered = everything(client);
    for (const byte of Buffer.concat([tcp4('198.51.100.7', 1, Buffer.from('tlv')), GET])) {
      client.write(Buffer.from([byte]));
      await new Promise(setImmediate);
    }
    expect(await answered).toMatch(/GET \/x $/);
    expect(recorder.exchanges[0]!.exchange.connection.remoteAddress).toBe('198.51.100.7');
  });

  test('speaks for itself with LOCAL: the socket address stays (security rule 35)', async () => {
    const { recorder, connect } = await start();
    const client = connect();
    client.write(Buffer.concat([binaryHeader(0x20, 0, Buffer.alloc(0)), GET]));
    expect(await everything(client)).toMatch(/GET \/x $/);
    expect(recorder.exchanges[0]!.exchange.connection).toMatchObject({
      remoteAddress: '127.0.0.1',
      localPort: door.port,
    });
  });

  test('is closed without a header, and the request is not served (security rule 35)', async () => {
    const { recorder, connect } = await start();
    const client = connect();
    client.write(GET);
    expect(await everything(client)).toBe('');
    await recorder.until(() => recorder.handshakeFailures.length === 1);
    expect(recorder.handshakeFailures[0]).toMatchObject({
      reason: 'proxy_protocol_malformed',
      side: 'client',
      remoteAddress: '127.0.0.1',
    });
    expect(recorder.exchanges).toEqual([]);
  });

  test('has as long for header and first bytes together as a handshake may take (security rule 35)', async () => {
    const { recorder, connect } = await start({ timeouts: { handshakeMs: 1000 } });
    const silent = connect();
    const half = connect();
    half.write('PROXY TCP4 ');
    const whole = connect();
    whole.write(textHeader('198.51.100.7', 1));
    expect(await Promise.all([silent, half, whole].map(everything))).toEqual(['', '', '']);
    await recorder.until(() => recorder.handshakeFailures.length === 3);
    expect(recorder.handshakeFailures.map(({ reason, remoteAddress }) => `${reason} ${remoteAddress}`).sort()).toEqual([
      'first_bytes_timeout 198.51.100.7',
      'proxy_protocol_timeout 127.0.0.1',
      'proxy_protocol_timeout 127.0.0.1',
    ]);
    await recorder.until(() => door.listener.connections === 0);
  });

  test('that leaves inside the header is counted as gone', async () => {
    const { recorder, connect } = await start();
    const client = connect();
    client.end('PROXY');
    await recorder.until(() => recorder.handshakeFailures.length === 1);
    expect(recorder.handshakeFailures[0]!.reason).toBe('peer_closed');
  });
});

test('anybody else is closed unread, even with a fine header (security rule 35)', async () => {
  const { recorder, connect } = await start({ trustedSources: trusting('192.0.2.1') });
  const client = connect();
  client.write(Buffer.concat([textHeader('198.51.100.7', 1), GET]));
  expect(await everything(client)).toBe('');
  await recorder.until(() => recorder.handshakeFailures.length === 1);
  expect(recorder.handshakeFailures[0]).toMatchObject({
    reason: 'proxy_protocol_untrusted',
    side: 'client',
    remoteAddress: '127.0.0.1',
  });
  expect(recorder.exchanges).toEqual([]);
});

describe('limits', () => {
  test('per address count the conveyed one, and never the balancer (security rule 35)', async () => {
    const { recorder, connect } = await start({ limits: { connectionsPerAddress: 1 } });
    const kept = (source: string): Socket => {
      const client = connect();
      client.write(Buffer.concat([textHeader(source, 1), Buffer.from('GET /k HTTP/1.1\r\nHost: a\r\n\r\n')]));
      return client;
    };
    kept('198.51.100.1');
    const second = kept('198.51.100.2');
    await recorder.until(() => recorder.exchanges.length === 2);
    expect(await everything(kept('198.51.100.1'))).toBe('');
    await recorder.until(() => recorder.handshakeFailures.length === 1);
    expect(recorder.handshakeFailures[0]).toMatchObject({ reason: 'address_limit', remoteAddress: '198.51.100.1' });
    // its place is free again once it has left
    second.destroy();
    await recorder.until(() => door.listener.connections === 1);
    kept('198.51.100.2');
    await recorder.until(() => recorder.exchanges.length === 3);
  });

  test('of connections hold before the header; everything is given back', async () => {
    const admission = new Admission(10_000);
    const { recorder, connect } = await start({
      admission,
      limits: { unfinishedHandshakes: 2, connectionsPerAddress: 1 },
    });
    const waiting = [connect(), connect()];
    await recorder.until(() => door.listener.connections === 2);
    expect(await everything(connect())).toBe('');
    await recorder.until(() => recorder.handshakeFailures.length === 1);
    expect(recorder.handshakeFailures[0]!.reason).toBe('handshake_limit');
    expect([admission.connections, admission.handshakes]).toEqual([2, 2]);
    const [refused, served] = waiting as [Socket, Socket];
    refused.write('nonsense');
    served.write(Buffer.concat([textHeader('198.51.100.1', 1), GET]));
    await Promise.all([everything(refused), everything(served)]);
    await recorder.until(() => door.listener.connections === 0);
    expect([admission.connections, admission.handshakes]).toEqual([0, 0]);
  });
});

test('the ClientHello may come in the same segment, and its log has the conveyed address', async () => {
  const { recorder, connect } = await start();
  door.proxy = tlsProxy(recorder, {}, [await localhostCertificate()]);
  const socket = connect();
  socket.cork(); // header and hello leave together
  socket.write(textHeader('198.51.100.7', 4321));
  const client = connectTls({ socket, servername: 'localhost', rejectUnauthorized: false });
  client.on('error', () => {});
  process.nextTick(() => process.nextTick(() => socket.uncork()));
  await once(client, 'secureConnect');
  const answered = everything(client);
  client.write(GET);
  expect(await answered).toMatch(/GET \/x $/);
  expect(recorder.handshakes[0]!.connection).toMatchObject({ remoteAddress: '198.51.100.7', remotePort: 4321 });
  expect(recorder.exchanges[0]!.exchange.connection.tls?.sni).toBe('localhost');
});
