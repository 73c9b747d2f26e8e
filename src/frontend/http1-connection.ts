// hot path
import type { Socket } from 'node:net';
import type { Clock } from '../base/clock.ts';
import { type Deadline, startDeadline } from '../base/deadline.ts';
import { ProxyError } from '../base/errors.ts';
import type { ClientConnection } from './client-connection.ts';
import { Http1Exchange, type Http1Owner } from './http1-exchange.ts';
import type { Http1Request, Http1Response } from './http1-message.ts';
import { type ParserFailure, readParserFailure, writeBareResponse } from './http1-parse-error.ts';
import type { FrontendTimeouts } from './timeouts.ts';

/** One HTTP/1 connection: which exchange is in flight, what waits behind it, and when it ends. */
export class Http1Connection implements Http1Owner {
  readonly facts: ClientConnection;
  readonly socket: Socket;
  readonly discardMs: number;
  readonly #door: { readonly timeouts: FrontendTimeouts; readonly clock: Clock };
  #current: Http1Exchange | null;
  /** Accepted requests that came before the one in flight was over, oldest first. */
  readonly #waiting: Waiting[];
  #accepted: number;
  /** Every request that will be answered has been accepted; what the parser finds after it is ignored. */
  #isComplete: boolean;
  #isDraining: boolean;
  /** From the first pipelined request on. */
  #readsThroughStream: boolean;
  /** The exchange that switched protocols: the socket is a tunnel. */
  #tunnel: Http1Exchange | null;
  /** Why the parser gave up; answered once what came before is over. */
  #failure: ProxyError | null;
  #hasFailed: boolean;
  /** socket.bytesRead when the current exchange began, or when the connection became idle. */
  #bytesRead: number;
  #idleSinceMs: number;
  /** For the progress check: bytes that had moved at the last change, and when that was. */
  #bytesMoved: number;
  #movedAtMs: number;
  #lingering: Deadline | null;

  constructor(
    door: { readonly timeouts: FrontendTimeouts; readonly clock: Clock },
    socket: Socket,
    facts: ClientConnection,
  ) {
    this.facts = facts;
    this.socket = socket;
    this.discardMs = door.timeouts.discardMs;
    this.#door = door;
    this.#current = null;
    this.#waiting = [];
    this.#accepted = 0;
    this.#isComplete = false;
    this.#isDraining = false;
    this.#readsThroughStream = false;
    this.#tunnel = null;
    this.#failure = null;
    this.#hasFailed = false;
    this.#bytesRead = socket.bytesRead - socket.readableLength; // what came before HTTP is no head half read
    this.#idleSinceMs = door.clock.monotonicMs();
    this.#bytesMoved = 0;
    this.#movedAtMs = 0;
    this.#lingering = null;
  }

  get isIdle(): boolean {
    return this.#current === null && !this.#isComplete;
  }

  closesAfterThis(): boolean {
    if (this.#waiting.length > 0) return false;
    if (this.#isDraining || this.socket.readableEnded) this.#isComplete = true;
    return this.#isComplete;
  }

  onRequest(request: Http1Request, response: Http1Response): void {
    if (this.#current !== null || this.#isComplete) this.#readThroughStream();
    if (this.#isComplete) {
      setImmediate(pauseWhileBusy, this); // its response dies with the socket; more of its kind stay in the kernel
      return;
    }
    this.#accepted++;
    const { requestsPerConnection } = this.facts.proxy.limits;
    if (request.head.isLast || this.#isDraining || this.#accepted >= requestsPerConnection) this.#isComplete = true;
    if (this.#current === null) {
      this.#start(request, response);
      return;
    }
    this.#waiting.push({ request, response });
    const pipelinedBytes = this.socket.bytesRead - this.#bytesRead;
    if (this.#waiting.length >= MAX_PIPELINED_REQUESTS || pipelinedBytes > MAX_PIPELINED_BYTES) this.#isComplete = true;
    setImmediate(pauseWhileBusy, this); // later than Node's own resume at the end of each message
  }

  /** A WebSocket request or CONNECT: node:http has taken its parser off the socket. */
  onUpgrade(request: Http1Request, early: Buffer): void {
    if (!this.isIdle) {
      this.socket.destroy(); // CONNECT behind another request: what is in flight cannot be told from a tunnel any more
      return;
    }
    this.#isComplete = true;
    this.#current = new Http1Exchange(this, request, null, early, this.#door.clock.monotonicMs());
    this.facts.deliver(this.#current);
  }

  onExchangeOver(exchange: Http1Exchange): void {
    if (this.#current !== exchange) return;
    this.#current = null;
    this.#idleSinceMs = this.#door.clock.monotonicMs();
    this.#bytesRead = this.socket.bytesRead;
    if (exchange.isLast || this.socket.destroyed) return; // node:http ends the socket
    const next = this.#waiting.shift();
    // a failure behind requests that wait is inside the last one's body, which then never ends, or after all of them
    const isBroken = this.#failure !== null && this.#waiting.length === 0 && next?.request.complete === false;
    if (next !== undefined && !isBroken) this.#start(next.request, next.response);
    else if (this.#failure !== null) this.#refuse(this.#failure);
    else if (this.#isComplete || this.#isDraining || this.socket.readableEnded) this.socket.destroySoon();
  }

  onSwitched(exchange: Http1Exchange): void {
    this.#current = null;
    this.#tunnel = exchange;
  }

  /** The time to drain is over: what is carried is told, everything else is cut. */
  goAway(): void {
    if (this.#tunnel === null) this.socket.destroy();
    else this.#tunnel.goAway();
  }

  onParserFailure(failure: ParserFailure): void {
    if (this.#hasFailed) return; // the parser repeats itself for every later byte
    this.#hasFailed = true;
    if (failure.code === 'HPE_CLOSED_CONNECTION') return; // bytes after a last request: nobody reads them
    const current = this.#current;
    const insideBody = current !== null && !current.request.complete && !current.bodyIsComplete;
    const error = readParserFailure(failure, insideBody);
    if (insideBody) this.#breakExchange(current, error);
    else if (error === null || (current === null && this.#isComplete)) this.socket.destroy();
    else if (current !== null) this.#failure = error;
    else this.#refuse(error);
  }

  onClosed(): void {
    this.#lingering?.cancel();
    this.#waiting.length = 0;
    const current = this.#current;
    this.#current = null;
    current?.onConnectionLost(null);
  }

  drain(): void {
    if (this.#tunnel !== null) return;
    this.#isDraining = true;
    // with a head half read, the request that it becomes is answered with Connection: close
    if (this.#current === null && !this.#hasUnfinishedHead) this.socket.destroySoon();
  }

  check(nowMs: number): void {
    if (this.#tunnel !== null) return;
    const current = this.#current;
    if (current === null) {
      if (nowMs - this.#idleSinceMs > this.facts.keepAliveTimeoutMs && !this.#hasUnfinishedHead) {
        this.socket.destroySoon();
      }
      return;
    }
    const moved = this.socket.bytesRead + this.socket.bytesWritten - this.socket.writableLength;
    if (moved !== this.#bytesMoved || !current.waitsForClient) {
      this.#bytesMoved = moved;
      this.#movedAtMs = nowMs;
    } else if (nowMs - this.#movedAtMs > this.#door.timeouts.stalledMs) {
      this.#breakExchange(current, new ProxyError('client_timed_out', { phase: current.responded ? 'relay' : 'send' }));
    }
  }

  /** Requests are parsed while one is in flight, a whole read at a time; this keeps it at one read. */
  pauseIfBusy(): void {
    if (this.#waiting.length > 0 || (this.#isComplete && this.#current?.bodyIsComplete === true)) this.socket.pause();
  }

  get #hasUnfinishedHead(): boolean {
    return this.socket.bytesRead !== this.#bytesRead;
  }

  #start(request: Http1Request, response: Http1Response): void {
    const nowMs = this.#door.clock.monotonicMs();
    this.#bytesRead = this.socket.bytesRead;
    this.#movedAtMs = nowMs;
    const exchange = new Http1Exchange(this, request, response, null, nowMs);
    this.#current = exchange;
    if (this.#waiting.length === 0 && this.socket.isPaused()) this.socket.resume();
    this.facts.deliver(exchange);
  }

  /**
   * node:http lets the TLS engine feed its parser. The engine goes on with the records that it has when the parser is paused, and
   * what is pipelined in them fails with HPE_PAUSED (on 26.10); a listener for 'data' puts the stream between them.
   */
  #readThroughStream(): void {
    if (this.#readsThroughStream || !this.facts.isSecure) return;
    this.#readsThroughStream = true;
    this.socket.on('data', ignore);
  }

  /** The client broke the exchange in flight: it is told so if nothing was sent, and cut off if something was. */
  #breakExchange(exchange: Http1Exchange, error: ProxyError | null): void {
    const { responded } = exchange;
    this.#isComplete = true;
    this.#current = null;
    this.#waiting.length = 0;
    exchange.onConnectionLost(error);
    if (responded || error === null) this.socket.destroy();
    else this.#answer(error);
  }

  #refuse(error: ProxyError): void {
    this.#isComplete = true;
    if (error.code === 'client_timed_out' && !this.#hasUnfinishedHead) {
      this.socket.destroySoon(); // a connection that was opened and never used: there is no request to answer
      return;
    }
    this.facts.events.onBadRequest(this.facts, error);
    this.#answer(error);
  }

  #answer(error: ProxyError): void {
    if (!this.socket.writable) {
      this.socket.destroy();
      return;
    }
    writeBareResponse(this.socket, error.spec.status);
    this.#lingering = startDeadline(this.discardMs, () => this.socket.destroy());
  }
}

interface Waiting {
  readonly request: Http1Request;
  readonly response: Http1Response;
}

function ignore(): void {}

function pauseWhileBusy(connection: Http1Connection): void {
  connection.pauseIfBusy();
}

const MAX_PIPELINED_BYTES = 64 * 1024; // security rule 3
const MAX_PIPELINED_REQUESTS = 100; // ours: what one exchange may keep waiting in memory
