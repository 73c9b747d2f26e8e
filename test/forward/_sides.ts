import { once } from 'node:events';
import {
  type ClientRequest,
  createServer,
  request as http1Request,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http';
import {
  type ClientHttp2Stream,
  connect as connectHttp2,
  constants,
  createServer as createHttp2Server,
  type ServerHttp2Stream,
} from 'node:http2';
import type { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { listen } from './_proxy.ts';

/** Both protocols behind one face on either side of the proxy, so that a cell of the teardown table is written once. */

export type Version = 'http1' | 'http2';

export interface RequestOptions {
  readonly method: 'GET' | 'HEAD' | 'POST';
  /** Of a POST; the body is sent by write() and end(). */
  readonly contentLength?: number;
}

/** What a client made of an exchange. `isComplete`: it takes the response for whole. */
export interface ClientOutcome {
  readonly status: number;
  readonly body: string;
  readonly isComplete: boolean;
}

export interface ClientSide {
  write(text: string): void;
  end(): void;
  /** HTTP/1: RST, since a FIN may mean that it only has nothing more to send; HTTP/2: RST_STREAM(CANCEL). */
  abort(): void;
  /** This many bytes of the response body are here. */
  received(bytes: number): Promise<void>;
  readonly outcome: Promise<ClientOutcome>;
}

/** One request at a backend. */
export interface BackendSide {
  /** Body so far. */
  readonly body: string;
  /** The request came to its end in order. */
  readonly isWhole: boolean;
  bodyOf(bytes: number): Promise<void>;
  respond(status: number, contentLength: number, body: string): void;
  write(text: string): void;
  end(): void;
  /** HTTP/1: RST; HTTP/2: RST_STREAM(INTERNAL_ERROR). */
  reset(): void;
  /** Ends the connection, in order as far as it goes: FIN, or GOAWAY and FIN. */
  close(): void;
  /** The proxy let go of the request, or the connection is gone. */
  readonly gone: Promise<void>;
}

export interface Backend {
  readonly port: number;
  /** The n-th request, once it is there. */
  request(count: number): Promise<BackendSide>;
  readonly requestCount: number;
  /** Connections that are open. */
  readonly open: ReadonlySet<Socket>;
  stop(): Promise<void>;
}

/** Somebody waits for a condition that others change. */
class Waiting {
  #waiting: (() => void)[] = [];

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  readonly changed = (): void => {
    for (const wake of this.#waiting.splice(0)) wake();
  };
}

export async function startBackend(version: Version, maxStreams = 100): Promise<Backend> {
  const requests: BackendSide[] = [];
  const open = new Set<Socket>();
  const waiting = new Waiting();
  const add = (side: BackendSide) => {
    requests.push(side);
    waiting.changed();
  };
  const server =
    version === 'http1'
      ? createServer((request, response) => add(new Http1BackendSide(request, response)))
      : createHttp2Server({ settings: { maxConcurrentStreams: maxStreams } });
  if (version === 'http2') {
    server.on('session', (session) => session.on('error', () => {}));
    server.on('stream', (stream: ServerHttp2Stream) => add(new Http2BackendSide(stream)));
  }
  server.on('connection', (socket: Socket) => {
    open.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => open.delete(socket));
  });
  const port = await listen(server);
  return {
    port,
    open,
    get requestCount() {
      return requests.length;
    },
    async request(count) {
      await waiting.until(() => requests.length >= count);
      return requests[count - 1]!;
    },
    async stop() {
      for (const socket of open) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

abstract class Incoming {
  body = '';
  readonly gone: Promise<void>;
  readonly #waiting = new Waiting();

  constructor(body: Readable, lifetime: Pick<Readable, 'once'>) {
    body.on('error', () => {});
    body.on('data', (chunk: Buffer) => {
      this.body += chunk.toString('latin1');
      this.#waiting.changed();
    });
    this.gone = new Promise((resolve) => lifetime.once('close', resolve));
  }

  bodyOf(bytes: number): Promise<void> {
    return this.#waiting.until(() => this.body.length >= bytes);
  }
}

class Http1BackendSide extends Incoming implements BackendSide {
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #socket: Socket;

  constructor(request: IncomingMessage, response: ServerResponse) {
    super(request, request.socket);
    this.#request = request;
    this.#response = response;
    this.#socket = request.socket;
    response.on('error', () => {});
  }

  get isWhole(): boolean {
    return this.#request.complete;
  }

  respond(status: number, contentLength: number, body: string): void {
    this.#response.writeHead(status, { 'content-length': contentLength });
    if (body === '') this.#response.flushHeaders();
    else this.#response.write(body);
  }

  write(text: string): void {
    this.#response.write(text);
  }

  end(): void {
    this.#response.end();
  }

  reset(): void {
    this.#socket.resetAndDestroy();
  }

  close(): void {
    this.#socket.end();
  }
}

class Http2BackendSide extends Incoming implements BackendSide {
  isWhole = false;
  readonly #stream: ServerHttp2Stream;

  constructor(stream: ServerHttp2Stream) {
    super(stream, stream);
    this.#stream = stream;
    stream.on('end', () => {
      this.isWhole = !stream.aborted && (stream.rstCode ?? 0) === constants.NGHTTP2_NO_ERROR;
    });
  }

  respond(status: number, contentLength: number, body: string): void {
    this.#stream.respond({ ':status': status, 'content-length': contentLength });
    if (body !== '') this.#stream.write(body);
  }

  write(text: string): void {
    this.#stream.write(text);
  }

  end(): void {
    this.#stream.end();
  }

  reset(): void {
    this.#stream.close(constants.NGHTTP2_INTERNAL_ERROR);
  }

  close(): void {
    this.#stream.session!.destroy();
  }
}

export interface Client {
  request(options: RequestOptions): ClientSide;
  stop(): void;
}

export function startClient(version: Version, port: number): Client {
  if (version === 'http1') {
    const requests: ClientRequest[] = [];
    return {
      request(options) {
        const { method, contentLength } = options;
        const headers = contentLength === undefined ? {} : { 'content-length': contentLength };
        const request = http1Request({ port, host: '127.0.0.1', method, headers, agent: false });
        requests.push(request);
        return http1Client(request, options);
      },
      stop: () => {
        for (const request of requests) request.destroy();
      },
    };
  }
  const session = connectHttp2(`http://127.0.0.1:${port}`);
  session.on('error', () => {});
  return {
    request(options) {
      const { method, contentLength } = options;
      const length = contentLength === undefined ? {} : { 'content-length': String(contentLength) };
      const stream = session.request({ ':method': method, ...length }, { endStream: method !== 'POST' });
      return http2Client(stream);
    },
    stop: () => session.destroy(),
  };
}

function http1Client(request: ClientRequest, { method }: RequestOptions): ClientSide {
  const waiting = new Waiting();
  let status = 0;
  let body = '';
  let isComplete = false;
  const outcome = new Promise<ClientOutcome>((resolve) => {
    const over = () => resolve({ status, body, isComplete });
    request.on('error', over);
    request.on('response', (response) => {
      status = response.statusCode ?? 0;
      response.on('error', () => {});
      response.on('data', (chunk: Buffer) => {
        body += chunk.toString('latin1');
        waiting.changed();
      });
      response.on('close', () => {
        isComplete = response.complete;
        over();
      });
    });
  });
  if (method !== 'POST') request.end();
  else request.flushHeaders();
  return {
    write: (text) => void request.write(text),
    end: () => void request.end(),
    abort: () => void request.socket?.resetAndDestroy(),
    received: (bytes) => waiting.until(() => body.length >= bytes),
    outcome,
  };
}

function http2Client(stream: ClientHttp2Stream): ClientSide {
  const waiting = new Waiting();
  let status = 0;
  let body = '';
  let hasEnded = false;
  stream.on('error', () => {});
  stream.on('response', (headers) => {
    status = Number(headers[':status']);
  });
  stream.on('data', (chunk: Buffer) => {
    body += chunk.toString('latin1');
    waiting.changed();
  });
  stream.on('end', () => {
    hasEnded = true;
  });
  const outcome = new Promise<ClientOutcome>((resolve) => {
    stream.on('close', () => resolve({ status, body, isComplete: hasEnded && stream.rstCode === 0 }));
  });
  return {
    write: (text) => void stream.write(text),
    end: () => void stream.end(),
    abort: () => stream.close(constants.NGHTTP2_CANCEL),
    received: (bytes) => waiting.until(() => body.length >= bytes),
    outcome,
  };
}
