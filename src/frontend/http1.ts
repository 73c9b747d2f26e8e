// hot path
import { createServer, type Server } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Clock } from '../base/clock.ts';
import { MAX_HEAD_BYTES } from '../http/request-head.ts';
import type { ClientConnection } from './client-connection.ts';
import { Http1Connection } from './http1-connection.ts';
import { Http1Request, Http1Response } from './http1-message.ts';
import type { FrontendTimeouts } from './timeouts.ts';

type Http1Server = Server<typeof Http1Request, typeof Http1Response>;

/**
 * HTTP/1.x over sockets that others accepted: a node:http server that never listens. One exchange at a time per connection
 * (security rule 3); deadlines are checked in one sweep over all connections instead of by timers per request.
 */
export class Http1Door {
  readonly timeouts: FrontendTimeouts;
  readonly clock: Clock;
  readonly #server: Http1Server;
  readonly #connections = new Map<Duplex, Http1Connection>();
  readonly #sweep: NodeJS.Timeout;

  constructor(timeouts: FrontendTimeouts, clock: Clock) {
    this.timeouts = timeouts;
    this.clock = clock;
    this.#server = this.#createServer();
    this.#sweep = setInterval(() => this.#checkAll(), timeouts.checkIntervalMs);
    this.#sweep.unref();
  }

  get size(): number {
    return this.#connections.size;
  }

  /** `socket`: the TLS socket after its handshake, or a plain one. Returns how to end it after its exchange. */
  accept(socket: Socket, facts: ClientConnection): () => void {
    const connection = new Http1Connection(this, socket, facts);
    this.#connections.set(socket, connection);
    socket.on('close', () => {
      this.#connections.delete(socket);
      connection.onClosed();
    });
    socket.on('error', ignore); // an upgraded socket has lost node:http's listener; 'close' follows and says enough
    this.#server.emit('connection', socket);
    return () => connection.drain();
  }

  /** Idle connections close, busy ones after their exchange. */
  drain(): void {
    for (const connection of this.#connections.values()) connection.drain();
  }

  /** The time to drain is over: tunnels are told, everything else is cut. */
  goAway(): void {
    for (const connection of this.#connections.values()) connection.goAway();
  }

  closeNow(): void {
    for (const socket of this.#connections.keys()) socket.destroy();
  }

  /** Ends the sweeps; connections are closed by drain() or closeNow(). */
  stop(): void {
    clearInterval(this.#sweep);
    this.#server.close(() => {}); // stops Node's own sweep; "not running" is no news
  }

  #createServer(): Http1Server {
    const server: Http1Server = createServer({
      IncomingMessage: Http1Request,
      ServerResponse: Http1Response,
      httpValidation: 'strict', // security rule 11: a flag could otherwise let Content-Length + Transfer-Encoding through
      maxHeaderSize: MAX_HEAD_BYTES,
      requireHostHeader: false, // ours to refuse, with a code
      optimizeEmptyRequests: true,
      requestTimeout: 0, // would cut uploads that progress; the sweep looks at progress instead
      headersTimeout: this.timeouts.headMs,
      connectionsCheckingInterval: this.timeouts.checkIntervalMs,
      keepAliveTimeout: 0, // the sweep's
      shouldUpgradeCallback: (request) => this.#shouldUpgrade(request as Http1Request),
    });
    (server as { httpAllowHalfOpen?: boolean }).httpAllowHalfOpen = true; // a client that half-closes after its request still gets the response
    server.maxHeadersCount = 0; // no silent limit: Node drops what is beyond it; request-head.ts counts
    server.on('request', (request, response) => this.#connections.get(request.socket)?.onRequest(request, response));
    server.on('upgrade', (request, socket, head) => this.#connections.get(socket)?.onUpgrade(request, head));
    server.on('connect', (request, socket, head) => this.#connections.get(socket)?.onUpgrade(request, head));
    server.on('clientError', (error, socket) => {
      const connection = this.#connections.get(socket);
      if (connection === undefined) socket.destroy();
      else connection.onParserFailure(error);
    });
    server.emit('listening'); // starts the connection list behind headersTimeout
    return server;
  }

  #shouldUpgrade(request: Http1Request): boolean {
    const head = request.head;
    if (head.isWebSocket && this.#connections.get(request.socket)?.isIdle === true) return true;
    // Node's parser stops at every request with Upgrade and forgets the bytes after it (measured on 26.10), so nothing
    // that follows on this connection can be trusted to begin where a request begins.
    head.isLast = true;
    head.isWebSocket = false;
    return false;
  }

  #checkAll(): void {
    const nowMs = this.clock.monotonicMs();
    for (const connection of this.#connections.values()) connection.check(nowMs);
  }
}

function ignore(): void {}
