import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import { connect as connectTls } from 'node:tls';
import { everything, type ListeningDoor, type ListeningDoorOptions, startListeningDoor } from './_listening-door.ts';

let door: ListeningDoor;
afterEach(() => door.close());

async function start(options: ListeningDoorOptions = {}): Promise<ListeningDoor> {
  door = await startListeningDoor(options);
  return door;
}

const GET = 'GET /x HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n';
const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';

describe('plain HTTP/1.1', () => {
  test('is answered as over TLS, without TLS facts', async () => {
    const { recorder, connect } = await start();
    const client = connect();
    client.write(GET);
    expect(await everything(client)).toMatch(/^HTTP\/1.1 200 OK\r\n[\s\S]*GET \/x $/);
    const { exchange } = recorder.exchanges[0]!;
    expect(exchange).toMatchObject({ protocol: 'HTTP/1.1', scheme: 'http', authority: 'a.example' });
    expect(exchange.connection.tls).toBeNull();
    expect(recorder.handshakeFailures).toEqual([]);
    expect(recorder.handshakes).toEqual([]);
  });

  test('may come byte by byte, a method that begins like the preface included', async () => {
    const { recorder, connect } = await start();
    const client = connect();
    client.setNoDelay(true);
    await once(client, 'connect');
    const answered = everything(client);
    for (const byte of GET.replace('GET', 'PROPFIND')) {
      client.write(byte);
      await new Promise(setImmediate);
    }
    expect(await answered).toMatch(/PROPFIND \/x $/);
    expect(recorder.exchanges).toHaveLength(1);
  });

  test('a body after the head arrives whole, and the connection is kept', async () => {
    const { connect, recorder } = await start();
    const client = connect();
    const answered = everything(client);
    client.write('POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe');
    await recorder.until(() => recorder.exchanges.length === 1);
    client.write(`llo${GET}`);
    expect(await answered).toMatch(/POST \/1 hello[\s\S]*GET \/x $/);
  });

  test('a client that ends its side after the request still gets the answer', async () => {
    const { connect } = await start();
    const client = connect();
    client.end(GET);
    expect(await everything(client)).toMatch(/GET \/x $/);
  });

  test('an https:// target is refused as secure_url_rejected', async () => {
    const { recorder, connect } = await start();
    const client = connect();
    client.write('GET https://a.example/x HTTP/1.1\r\nHost: a.example\r\n\r\n');
    expect(await everything(client)).toMatch(/^HTTP\/1.1 400 [\s\S]*secure_url_rejected/);
    expect(recorder.exchanges[0]!.exchange.rejection?.code).toBe('secure_url_rejected');
  });

  test('Upgrade: h2c is not taken: the request is an ordinary one (security rule 9)', async () => {
    const { recorder, connect } = await start();
    const client = connect();
    client.write(
      GET.replace(
        'Connection: close',
        'Connection: close, Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__',
      ),
    );
    expect(await everything(client)).toMatch(/^HTTP\/1.1 200 OK/);
    const { headers } = recorder.exchanges[0]!.exchange;
    expect(headers).not.toContain('h2c');
    expect(headers).not.toContain('http2-settings');
  });
});

describe('HTTP/2 with prior knowledge', () => {
  test('is answered, stream beside stream', async () => {
    const { recorder, port } = await start();
    const session = connectHttp2(`http://127.0.0.1:${port}`);
    const bodies = await Promise.all(['/1', '/2'].map((path) => get(session, path)));
    session.close();
    expect(bodies).toEqual(['GET /1 ', 'GET /2 ']);
    expect(recorder.exchanges.map(({ exchange }) => [exchange.protocol, exchange.scheme])).toEqual([
      ['HTTP/2', 'http'],
      ['HTTP/2', 'http'],
    ]);
  });

  test('the preface may come byte by byte, and what follows in one segment with its end', async () => {
    const { connect } = await start();
    const client = connect();
    client.setNoDelay(true);
    await once(client, 'connect');
    for (const byte of PREFACE.slice(0, -1)) {
      client.write(byte);
      await new Promise(setImmediate);
    }
    const answer = once(client, 'data') as Promise<[Buffer]>;
    client.write(`\n\0\0\0\x04\0\0\0\0\0`, 'latin1'); // the end of the preface and an empty SETTINGS
    const [bytes] = await answer;
    expect(bytes[3]).toBe(4); // SETTINGS
  });

  test('almost a preface is HTTP/1, whose parser refuses it', async () => {
    const { recorder, connect } = await start();
    const client = connect();
    client.write(PREFACE.replace('SM', 'SN'));
    expect(await everything(client)).toMatch(/^HTTP\/1.1 400 /);
    expect(recorder.exchanges.map(({ exchange }) => exchange.rejection?.code)).toEqual(['http_version_not_supported']);
  });
});

describe('what is no HTTP', () => {
  test('a client that speaks TLS is closed, with the reason counted', async () => {
    const { recorder, port } = await start();
    const client = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false });
    await new Promise((resolve) => {
      client.on('error', () => {});
      client.on('close', resolve);
    });
    await recorder.until(() => recorder.handshakeFailures.length === 1);
    expect(recorder.handshakeFailures[0]).toMatchObject({ reason: 'tls_on_plain_port', side: 'client', sni: null });
    expect(recorder.exchanges).toEqual([]);
  });

  test('a client that says nothing is closed at the deadline of a handshake', async () => {
    const { recorder, connect } = await start({ timeouts: { handshakeMs: 50 } });
    const client = connect();
    expect(await everything(client)).toBe('');
    await recorder.until(() => recorder.handshakeFailures.length === 1);
    expect(recorder.handshakeFailures[0]).toMatchObject({ reason: 'first_bytes_timeout', side: 'network' });
  });

  test('a preface that never ends does not outlive the deadline', async () => {
    const { recorder, connect } = await start({ timeouts: { handshakeMs: 50 } });
    const client = connect();
    client.write('PRI * HTT');
    expect(await everything(client)).toBe('');
    await recorder.until(() => recorder.handshakeFailures.length === 1);
    expect(recorder.handshakeFailures[0]!.reason).toBe('first_bytes_timeout');
  });

  test('a client that leaves before its first byte is counted as gone', async () => {
    const { recorder, connect } = await start();
    const client = connect();
    await once(client, 'connect');
    client.end();
    await recorder.until(() => recorder.handshakeFailures.length === 1);
    expect(recorder.handshakeFailures[0]).toMatchObject({ reason: 'peer_closed', side: 'network' });
  });
});

describe('limits and the end', () => {
  test('silent clients count as unfinished handshakes, and leave the count when they speak', async () => {
    const { recorder, connect } = await start({ limits: { unfinishedHandshakes: 1 } });
    const silent = connect();
    await once(silent, 'connect');
    await recorder.until(() => door.listener.connections === 1);
    expect(await everything(connect())).toBe('');
    expect(recorder.handshakeFailures[0]).toMatchObject({ reason: 'handshake_limit', side: 'proxy' });
    const answered = everything(silent);
    silent.write('GET /1 HTTP/1.1\r\nHost: a\r\n\r\n');
    await recorder.until(() => recorder.exchanges.length === 1);
    const next = connect();
    next.write(GET);
    expect(await everything(next)).toMatch(/GET \/x $/);
    silent.end();
    await answered;
  });

  test('idle connections end at a drain', async () => {
    const { listener, recorder, connect } = await start();
    const client = connect();
    const answered = everything(client);
    client.write('GET /1 HTTP/1.1\r\nHost: a\r\n\r\n');
    await recorder.until(() => recorder.exchanges[0]?.finished === true);
    await listener.drain();
    expect(await answered).toMatch(/GET \/1 $/);
  });
});

function get(session: ReturnType<typeof connectHttp2>, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const stream = session.request({ ':path': path });
    let text = '';
    stream.setEncoding('latin1');
    stream.on('data', (chunk: string) => {
      text += chunk;
    });
    stream.on('error', reject);
    stream.on('end', () => resolve(text));
  });
}
