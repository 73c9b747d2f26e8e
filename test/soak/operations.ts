import { once } from 'node:events';
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import WebSocket from 'ws';
import { BODY_BYTES, CUT_BYTES, EVENTS } from './backends.ts';
import type { Answer, Ask, Client, Door } from './client.ts';
import { REFUSED_PATH } from './ledger.ts';

/** What a user of the soak does, how often beside the others, and the doing. Each settles, one way or the other. */
export interface Operation {
  readonly name: string;
  readonly weight: number;
  run(client: Client): Promise<void>;
}

export const OPERATIONS: readonly Operation[] = [
  { name: 'small request', weight: 40, run: (client) => small(client) },
  { name: 'connection of its own', weight: 6, run: (client) => small(client, { door: 'h1', fresh: true }) },
  { name: 'upload', weight: 4, run: upload },
  { name: 'download', weight: 4, run: download },
  { name: 'slow reader', weight: 2, run: slowReader },
  { name: 'slow backend', weight: 4, run: (client) => settled(client.ask(anywhere(client, 'slow'))) },
  { name: 'backend that never answers', weight: 0.5, run: (client) => settled(client.ask(anywhere(client, 'hang'))) },
  { name: 'backend that resets', weight: 2, run: (client) => settled(client.ask(anywhere(client, 'reset'))) },
  { name: 'backend that ends early', weight: 2, run: cut },
  { name: 'answer before the body', weight: 1, run: early },
  { name: 'client leaves at once', weight: 2, run: leaver('hang', 'at-once') },
  { name: 'client leaves before the answer', weight: 2, run: leaver('hang', 'when-seen') },
  { name: 'client leaves amid the answer', weight: 2, run: leaver('source', 'after-bytes') },
  { name: 'events', weight: 2, run: events },
  { name: 'events, left', weight: 1, run: leaver('events', 'after-bytes') },
  { name: 'gRPC-like stream', weight: 4, run: grpcStream },
  { name: 'WebSocket over HTTP/1.1', weight: 4, run: webSocket },
  { name: 'WebSocket over HTTP/2', weight: 3, run: webSocketOverHttp2 },
  { name: 'bad request', weight: 3, run: badRequest },
  { name: 'failed handshake', weight: 3, run: failedHandshake },
  { name: 'PROXY protocol', weight: 2, run: proxied },
  { name: 'SSL proxy', weight: 3, run: (client) => stream(client, true) },
  { name: 'TCP proxy', weight: 2, run: (client) => stream(client, false) },
];

const SERVICES = ['http', 'https', 'h2', 'h2c'];
const DOORS: readonly Door[] = ['h1', 'h1', 'h2', 'h2', 'plain'];

function anywhere({ random }: Client, behaviour: string): Ask {
  return { door: random.pick(DOORS), service: random.pick(SERVICES), behaviour };
}

async function small(client: Client, ask: Partial<Ask> = {}): Promise<void> {
  await client.ask({ ...anywhere(client, 'small'), ...ask });
}

async function upload(client: Client): Promise<void> {
  const bytes = client.random.between(1, BODY_BYTES);
  const ask: Ask = { ...anywhere(client, 'sink'), method: 'POST', bytes, chunked: client.random.next() < 0.5 };
  const answer = await client.ask(ask);
  if (answer.status === 200 && answer.whole && answer.text !== String(bytes))
    client.ledger.defect(`upload of ${bytes} bytes, of which ${answer.text} arrived`);
}

async function download(client: Client): Promise<void> {
  wholeBody(client, await client.ask(anywhere(client, 'source')));
}

async function slowReader(client: Client): Promise<void> {
  wholeBody(client, await client.ask({ ...anywhere(client, 'source'), slowly: true }));
}

/** A body that says that it is whole is. */
function wholeBody({ ledger }: Client, { status, whole, bytes }: Answer): void {
  if (status === 200 && whole && bytes !== BODY_BYTES) ledger.defect(`download ended in order after ${bytes} bytes`);
}

async function cut(client: Client): Promise<void> {
  const { status, whole, bytes } = await client.ask(anywhere(client, 'cut'));
  if (status === 200 && whole) client.ledger.defect(`a body cut at ${bytes} of ${CUT_BYTES} bytes ended in order`);
}

async function early(client: Client): Promise<void> {
  await client.ask({ ...anywhere(client, 'early'), method: 'POST', bytes: BODY_BYTES });
}

function leaver(behaviour: string, leave: NonNullable<Ask['leave']>): (client: Client) => Promise<void> {
  return async (client) => {
    await client.ask({ ...anywhere(client, behaviour), leave });
  };
}

async function events(client: Client): Promise<void> {
  const { status, whole, text } = await client.ask({
    ...anywhere(client, 'events'),
    headers: { accept: 'text/event-stream' },
  });
  if (status === 200 && whole && !text.includes(`data: ${EVENTS - 1}`)) client.ledger.defect('events are missing');
}

/** Each message is answered before the next is sent. */
function grpcStream(client: Client): Promise<void> {
  const { ledger, random } = client;
  const id = ledger.begin('gRPC-like stream');
  const stream = client.session().request(
    {
      ':method': 'POST',
      ':authority': `${random.pick(['h2', 'h2c'])}.proxy.test`,
      ':path': `/s/echo/${id}`,
      'content-type': 'application/grpc',
      te: 'trailers',
    },
    { endStream: false },
  );
  let left = random.between(1, 8);
  let status = 0;
  let grpcStatus: unknown;
  const isLeaver = random.next() < 0.2;
  stream.on('response', (headers) => {
    status = Number(headers[':status']);
    ledger.answered(id, status);
    grpcStatus = headers['grpc-status'];
    ledger.entries[id]!.isGrpcFailure = grpcStatus !== undefined;
    if (status === 200 && grpcStatus === undefined) stream.write(MESSAGE);
    else stream.end();
  });
  stream.on('data', () => {
    if (--left > 0) stream.write(MESSAGE);
    else if (isLeaver) stream.close(CANCEL);
    else stream.end();
  });
  stream.on('trailers', (trailers) => {
    grpcStatus = trailers['grpc-status'];
  });
  stream.on('error', (error: NodeJS.ErrnoException) => ledger.failed(id, error.code ?? error.message));
  return new Promise((resolve) => {
    stream.on('close', () => {
      ledger.failed(id, `stream closed with ${stream.rstCode}`);
      if (status === 200 && stream.rstCode === 0 && grpcStatus === undefined && !isLeaver)
        ledger.defect(`gRPC-like stream ${id} ended in order without its trailers`);
      resolve();
    });
  });
}

function webSocket(client: Client): Promise<void> {
  const { ledger, random, doors } = client;
  const id = ledger.begin('WebSocket over HTTP/1.1');
  const url = random.next() < 0.7 ? `wss://127.0.0.1:${doors.https}` : `ws://127.0.0.1:${doors.plain}`;
  const socket = new WebSocket(`${url}/s/ws/${id}`, {
    rejectUnauthorized: false,
    headers: { host: 'http.proxy.test' },
  });
  let left = random.between(1, 10);
  const isLeaver = random.next() < 0.3;
  socket.on('open', () => {
    ledger.answered(id, 101);
    socket.send('x'.repeat(random.between(1, 20_000)));
  });
  socket.on('message', () => {
    if (--left > 0) setTimeout(() => socket.readyState === WebSocket.OPEN && socket.send('again'), 50);
    else if (isLeaver) socket.terminate();
    else socket.close(1000);
  });
  socket.on('unexpected-response', (request, response) => {
    ledger.answered(id, response.statusCode!);
    response.resume();
    response.on('end', () => {
      request.destroy();
      socket.terminate();
    });
  });
  socket.on('error', (error: NodeJS.ErrnoException) => ledger.failed(id, error.code ?? error.message));
  return new Promise((resolve) => socket.on('close', () => resolve()));
}

/** RFC 8441; the frames are masked with zeros, and what comes back is the same without a mask. */
async function webSocketOverHttp2(client: Client): Promise<void> {
  const { ledger, random } = client;
  const session = client.session();
  if (!session.remoteSettings?.enableConnectProtocol) {
    await Promise.race([once(session, 'remoteSettings'), once(session, 'close')]).catch(() => {});
    if (session.destroyed || session.closed) return;
  }
  const id = ledger.begin('WebSocket over HTTP/2');
  const stream = session.request(
    {
      ':method': 'CONNECT',
      ':protocol': 'websocket',
      ':scheme': 'https',
      ':authority': 'http.proxy.test',
      ':path': `/s/ws/${id}`,
      'sec-websocket-version': '13',
    },
    { endStream: false },
  );
  let left = random.between(1, 6);
  let received = Buffer.alloc(0);
  let status = 0;
  const isLeaver = random.next() < 0.3;
  stream.on('response', (headers) => {
    status = Number(headers[':status']);
    ledger.answered(id, status);
    if (status === 200) stream.write(FRAME);
    else stream.end();
  });
  stream.on('data', (chunk: Buffer) => {
    if (status !== 200) return;
    received = Buffer.concat([received, chunk]);
    if (received.length < ECHOED.length) return;
    if (received[0] === ECHOED[0] && !received.subarray(0, ECHOED.length).equals(ECHOED))
      ledger.defect(`WebSocket over HTTP/2 echoed ${received.toString('hex')}`);
    received = Buffer.alloc(0);
    if (--left > 0) setTimeout(() => stream.writable && stream.write(FRAME), 50);
    else if (isLeaver) stream.close(CANCEL);
    else stream.end(CLOSE_FRAME);
  });
  stream.on('error', (error: NodeJS.ErrnoException) => ledger.failed(id, error.code ?? error.message));
  await new Promise<void>((resolve) => {
    stream.on('close', () => {
      ledger.failed(id, `stream closed with ${stream.rstCode}`);
      resolve();
    });
  });
}

/** What comes until the connection ends. */
function rawAnswer(socket: Socket, text: string): Promise<string> {
  let received = '';
  socket.on('data', (chunk: Buffer) => {
    received += chunk.toString('latin1');
  });
  socket.on('error', () => {});
  socket.write(text);
  return new Promise((resolve) => socket.on('close', () => resolve(received)));
}

/** Heads that are refused: the log has a line for each, without its path where that could not be read. */
async function badRequest(client: Client): Promise<void> {
  const { doors, random, ledger } = client;
  const socket =
    random.next() < 0.5
      ? connectTcp(doors.plain, '127.0.0.1')
      : connectTls({ port: doors.https, host: '127.0.0.1', servername: 'localhost', rejectUnauthorized: false });
  const answer = await rawAnswer(socket, random.pick(BAD_HEADS));
  if (/^HTTP\/1\.1 [45]\d\d /.test(answer)) ledger.refused++;
  else ledger.defect(`a bad request got '${answer.slice(0, 60)}'`);
}

async function failedHandshake({ doors, random }: Client): Promise<void> {
  const kind = random.between(0, 3);
  if (kind === 0) {
    await rawAnswer(connectTcp(doors.https, '127.0.0.1'), 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
  } else if (kind === 1) {
    const socket = connectTcp(doors.https, '127.0.0.1');
    socket.on('error', () => {}).on('connect', () => socket.resetAndDestroy());
    await new Promise((resolve) => socket.on('close', resolve));
  } else {
    const refused =
      kind === 2 ? { ciphers: 'AES128-SHA', maxVersion: 'TLSv1.2' as const } : { ca: [], servername: 'x' };
    const socket = connectTls({ port: doors.https, host: '127.0.0.1', ...refused });
    socket.on('error', () => {});
    await new Promise((resolve) => socket.on('close', resolve));
  }
}

async function proxied({ doors, random, ledger }: Client): Promise<void> {
  const id = ledger.begin('PROXY protocol');
  const header = `PROXY TCP4 198.51.100.${random.between(1, 250)} 203.0.113.9 4321 443\r\n`;
  const head = `GET /s/small/${id} HTTP/1.1\r\nHost: ${random.pick(SERVICES)}.proxy.test\r\nConnection: close\r\n\r\n`;
  const answer = await rawAnswer(connectTcp(doors.proxied, '127.0.0.1'), header + head);
  const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(answer)?.[1] ?? 0);
  if (status === 0) ledger.failed(id, `'${answer.slice(0, 40)}'`);
  else ledger.answered(id, status);
}

/** Bytes there and back; ended in order, or reset. */
async function stream({ doors, random, ledger }: Client, secure: boolean): Promise<void> {
  const socket: Socket = secure
    ? connectTls({ port: doors.ssl, host: '127.0.0.1', servername: 'localhost', rejectUnauthorized: false })
    : connectTcp({ port: doors.tcp, host: '127.0.0.1' });
  const bytes = random.between(1, 200_000);
  const isLeaver = random.next() < 0.3;
  let received = 0;
  socket.on('error', () => {});
  socket.on('data', (chunk: Buffer) => {
    received += chunk.length;
    if (!isLeaver) {
      if (received === bytes) socket.end();
    } else if (secure) {
      socket.destroy();
    } else {
      socket.resetAndDestroy();
    }
  });
  socket.write(Buffer.alloc(bytes, 's'));
  await new Promise((resolve) => socket.on('close', resolve));
  if (received > bytes) ledger.defect(`a stream of ${bytes} bytes brought ${received} back`);
  if (received > 0) ledger.streams.carried++;
  else ledger.streams.unsure++;
}

async function settled(answer: Promise<Answer>): Promise<void> {
  await answer;
}

const MESSAGE = Buffer.concat([Buffer.from([0, 0, 0, 0, 100]), Buffer.alloc(100, 'g')]); // gRPC: not compressed, length, bytes
const PAYLOAD = Buffer.from('over http2');
const FRAME = Buffer.concat([Buffer.from([0x82, 0x80 | PAYLOAD.length, 0, 0, 0, 0]), PAYLOAD]);
const ECHOED = Buffer.concat([Buffer.from([0x82, PAYLOAD.length]), PAYLOAD]);
const CLOSE_FRAME = Buffer.from([0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8]);
const CANCEL = 8; // RFC 9113 section 7
const BAD_HEADS = [
  `GET ${REFUSED_PATH} HTTP/1.1\r\nHost: http.proxy.test\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n`,
  `GET ${REFUSED_PATH} HTTP/1.1\r\nHost: http.proxy.test\r\nName : value\r\n\r\n`,
  `GET ${REFUSED_PATH} HTTP/1.1\r\nHost: http.proxy.test\r\nContent-Length: +1\r\n\r\n`,
  `GET ${REFUSED_PATH} HTTP/9.9\r\nHost: http.proxy.test\r\n\r\n`,
  'nonsense\r\n\r\n',
];
