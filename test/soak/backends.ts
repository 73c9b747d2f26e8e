import { once } from 'node:events';
import { createServer as createHttp1, type IncomingMessage, type ServerResponse } from 'node:http';
import {
  createServer as createHttp2,
  createSecureServer,
  type Http2ServerRequest,
  type Http2ServerResponse,
} from 'node:http2';
import { createServer as createHttps } from 'node:https';
import { createServer as createTcp, type Server, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { WebSocketServer } from 'ws';
import { freePort } from '../harness/free-port.ts';
import { chainPem, testPki } from '../harness/pki.ts';
import { idOf, type Ledger } from './ledger.ts';

export type BackendProtocol = 'HTTP' | 'HTTPS' | 'HTTP2' | 'H2C' | 'TCP';

/** Of a `source`, and of what a `sink` is sent. */
export const BODY_BYTES = 2 * 1024 * 1024;
/** Of a `cut`: what its head promises. */
export const CUT_BYTES = 1024 * 1024;
export const EVENTS = 12;

/** A backend that behaves as the path of each request says, and whose process can be made to end and come back. */
export interface SoakBackend {
  readonly protocol: BackendProtocol;
  readonly port: number;
  /** Every connection is reset; nobody listens until the time is over. */
  restart(downMs: number): Promise<void>;
  stop(): Promise<void>;
}

export async function startSoakBackend(protocol: BackendProtocol, ledger: Ledger): Promise<SoakBackend> {
  const port = await freePort();
  let running = await listening(protocol, port, ledger);
  return {
    protocol,
    port,
    async restart(downMs) {
      await running.end();
      await delay(downMs);
      running = await listening(protocol, port, ledger);
    },
    stop: () => running.end(),
  };
}

interface Running {
  end(): Promise<void>;
}

async function listening(protocol: BackendProtocol, port: number, ledger: Ledger): Promise<Running> {
  const server = await create(protocol, ledger);
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return {
    async end() {
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.resetAndDestroy();
      await closed;
    },
  };
}

async function create(protocol: BackendProtocol, ledger: Ledger): Promise<Server> {
  if (protocol === 'TCP') return createTcp({ allowHalfOpen: true }, (socket) => socket.pipe(socket));
  const handler = (request: IncomingMessage, response: ServerResponse) => behave(request, response, ledger);
  // node:http2's compatibility classes have all of what is used here
  const http2Handler = handler as unknown as (request: Http2ServerRequest, response: Http2ServerResponse) => void;
  const pki = await testPki();
  const identity = { cert: chainPem(pki.server, pki.issuing), key: pki.server.privateKeyPem };
  if (protocol === 'H2C') return createHttp2(http2Handler);
  if (protocol === 'HTTP2') return createSecureServer(identity, http2Handler);
  if (protocol === 'HTTPS') {
    const mutual = { ca: pki.root.certificatePem, requestCert: true, rejectUnauthorized: true };
    return createHttps({ ...identity, ...mutual }, handler);
  }
  const server = createHttp1(handler);
  const webSockets = new WebSocketServer({ noServer: true });
  server.on('upgrade', (request, socket, head) => {
    ledger.seen(idOf(request.url ?? ''));
    webSockets.handleUpgrade(request, socket, head, (client) => {
      client.on('error', () => {});
      client.on('message', (data, isBinary) => client.send(data as Buffer, { binary: isBinary }));
    });
  });
  return server;
}

function behave(request: IncomingMessage, response: ServerResponse, ledger: Ledger): void {
  const path = request.url ?? '';
  ledger.seen(idOf(path));
  request.on('error', () => {});
  response.on('error', () => {});
  const behaviour = path.split('/')[2] ?? '';
  (BEHAVIOURS[behaviour] ?? small)(request, response);
}

const BEHAVIOURS: Readonly<Record<string, (request: IncomingMessage, response: ServerResponse) => void>> = {
  small,
  sink,
  source,
  slow,
  early,
  events,
  echo,
  hang: () => {}, // until the client leaves or the proxy's time is over
  reset: (request) => resetAll(request),
  cut,
};

function small(request: IncomingMessage, response: ServerResponse): void {
  request.resume();
  response.writeHead(200, { 'content-type': 'text/plain', 'x-backend': 'soak' });
  response.end('ok');
}

function slow(request: IncomingMessage, response: ServerResponse): void {
  setTimeout(() => small(request, response), 300 + Math.random() * 900);
}

function sink(request: IncomingMessage, response: ServerResponse): void {
  let bytes = 0;
  request.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
  });
  request.on('end', () => response.end(String(bytes)));
}

function source(request: IncomingMessage, response: ServerResponse): void {
  request.resume();
  response.writeHead(200, { 'content-length': BODY_BYTES });
  let left = BODY_BYTES;
  const more = () => {
    while (left > 0 && !isOver(response)) {
      left -= PIECE.length;
      if (!response.write(PIECE)) return void response.once('drain', more);
    }
    if (left <= 0) response.end();
  };
  more();
}

/** The answer comes while the body does, and the rest of the body is not read. */
function early(_request: IncomingMessage, response: ServerResponse): void {
  response.writeHead(403, { 'content-length': 5 });
  response.end('early');
}

function cut(request: IncomingMessage, response: ServerResponse): void {
  response.writeHead(200, { 'content-length': CUT_BYTES });
  response.write(PIECE);
  setTimeout(() => resetAll(request), 20);
}

function events(request: IncomingMessage, response: ServerResponse): void {
  request.resume();
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' });
  let sent = 0;
  const timer = setInterval(() => {
    if (isOver(response)) return clearInterval(timer);
    response.write(`data: ${sent++}\n\n`);
    if (sent < EVENTS) return;
    clearInterval(timer);
    response.end();
  }, 100);
}

/** Each piece as it comes, and trailers after the last: what a bidirectional gRPC stream looks like below its messages. */
function echo(request: IncomingMessage, response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'application/grpc', trailer: 'grpc-status' });
  request.on('data', (chunk: Buffer) => response.write(chunk));
  request.on('end', () => {
    if (isOver(response)) return;
    response.addTrailers({ 'grpc-status': '0' });
    response.end();
  });
}

/** The connection and whatever else it carries. */
function resetAll(request: IncomingMessage | Http2ServerRequest): void {
  if ('stream' in request) request.stream.session?.destroy();
  else if ('encrypted' in request.socket) request.socket.destroy();
  else request.socket.resetAndDestroy();
}

function isOver(response: ServerResponse): boolean {
  return response.destroyed || response.writableEnded;
}

const PIECE = Buffer.alloc(32 * 1024, 'soak');
