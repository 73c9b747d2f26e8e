import { once } from 'node:events';
import { type ClientHttp2Session, type ClientHttp2Stream, connect } from 'node:http2';
import type { AddressInfo } from 'node:net';
import * as ws from 'ws';
import { type ServerOptions, WebSocketServer } from 'ws';

/** A real WebSocket backend; it echoes, and remembers how each connection ended. */
export interface EchoServer {
  readonly port: number;
  readonly server: WebSocketServer;
  /** Close codes in the order of the ends. */
  readonly closed: number[];
  readonly requests: { readonly url: string; readonly headers: Readonly<Record<string, unknown>> }[];
  close(): Promise<void>;
}

export async function startEchoServer(options: ServerOptions = {}): Promise<EchoServer> {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0, ...options });
  await once(server, 'listening');
  const closed: number[] = [];
  const requests: { url: string; headers: Record<string, unknown> }[] = [];
  server.on('connection', (socket, request) => {
    requests.push({ url: request.url ?? '', headers: request.headers });
    socket.on('message', (data, isBinary) => socket.send(data as Buffer, { binary: isBinary }));
    socket.on('close', (code) => closed.push(code));
    socket.on('error', () => {});
  });
  return {
    port: (server.address() as AddressInfo).port,
    server,
    closed,
    requests,
    async close() {
      for (const client of server.clients) client.terminate();
      server.close();
      await once(server, 'close');
    },
  };
}

/** A WebSocket over one stream of HTTP/2 (RFC 8441): node:http2 below, the frames of `ws` above. */
export class Http2WebSocket {
  readonly stream: ClientHttp2Stream;
  readonly messages: Buffer[] = [];
  status = 0;
  headers: Readonly<Record<string, unknown>> = {};
  /** Of the close frame; 0: none came. */
  closeCode = 0;
  ended = false;
  closed = false;
  readonly #waiting = new Set<() => void>();

  constructor(session: ClientHttp2Session, path: string, fields: Readonly<Record<string, string>> = {}) {
    this.stream = session.request(
      {
        ':method': 'CONNECT',
        ':protocol': 'websocket',
        ':scheme': 'http',
        ':path': path,
        ':authority': 'localhost',
        'sec-websocket-version': '13',
        ...fields,
      },
      { endStream: false },
    );
    const receiver = new Receiver({ isServer: false });
    receiver.on('message', (data: Buffer) => this.#change(() => this.messages.push(data)));
    receiver.on('conclude', (code: number) => this.#change(() => (this.closeCode = code)));
    receiver.on('error', () => {});
    this.stream.on('response', (headers) =>
      this.#change(() => {
        this.status = Number(headers[':status']);
        this.headers = headers;
      }),
    );
    this.stream.on('data', (chunk: Buffer) => receiver.write(chunk));
    this.stream.on('end', () => this.#change(() => (this.ended = true)));
    this.stream.on('close', () => this.#change(() => (this.closed = true)));
    this.stream.on('error', () => {});
  }

  send(data: Buffer | string): void {
    this.#sender().send(Buffer.from(data), { binary: true, mask: true, fin: true, compress: false }, () => {});
  }

  close(code: number): void {
    this.#sender().close(code, '', true, () => {});
  }

  async until(condition: (self: this) => boolean): Promise<void> {
    while (!condition(this)) await new Promise<void>((resolve) => this.#waiting.add(resolve));
  }

  #sender(): SenderLike {
    return new Sender(this.stream, {});
  }

  #change(change: () => void): void {
    change();
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const resolve of waiting) resolve();
  }
}

/** A session over plain TCP with prior knowledge, once the server's settings are known. */
export async function http2Session(port: number): Promise<ClientHttp2Session> {
  const session = connect(`http://127.0.0.1:${port}`);
  session.on('error', () => {});
  await once(session, 'remoteSettings');
  return session;
}

interface ReceiverLike {
  on(event: string, listener: (...values: never[]) => void): void;
  write(chunk: Buffer): boolean;
}

interface SenderLike {
  send(data: Buffer, options: object, done: () => void): void;
  close(code: number, data: string, mask: boolean, done: () => void): void;
}

// exported, and not in its types
const { Receiver, Sender } = ws as unknown as {
  readonly Receiver: new (options: object) => ReceiverLike;
  readonly Sender: new (stream: unknown, extensions: object) => SenderLike;
};
