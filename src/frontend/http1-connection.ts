// hot path
import type { Socket } from 'node:net';
import type { Clock } from '../base/clock.ts';
import { type Deadline, startDeadline } from '../base/deadline.ts';
import { ProxyError } from '../base/errors.ts';
import type { Turn } from '../base/turn.ts';
import type { HeaderList } from '../http/exchange.ts';
import { httpDate } from '../http/http-date.ts';
import { type Http1Fault, Http1RequestReader, type Http1RequestSink } from '../http/http1-request-reader.ts';
import { bareResponse } from '../http/http1-response-head.ts';
import { readHttp1Head } from '../http/request-head.ts';
import type { ClientConnection } from './client-connection.ts';
import { Http1Exchange, type Http1Owner } from './http1-exchange.ts';
import type { FrontendTimeouts } from './timeouts.ts';

/** What all connections of a listener share. */
interface Door {
  readonly timeouts: FrontendTimeouts;
  readonly clock: Clock;
  readonly turn: Turn;
  /** The socket is gone. */
  onClosed(connection: Http1Connection): void;
}

/** The socket carries its connection, so that one set of listeners serves all of them without a closure each. */
interface Http1Socket extends Socket {
  [CONNECTION]?: Http1Connection | null;
}

/**
 * One HTTP/1 connection: its bytes, the exchange in flight, and when it ends. While an exchange is in flight no further request
 * is read (security rule 3): what came with it, one read of the socket at most, waits, and the socket is paused.
 */
export class Http1Connection implements Http1Owner, Http1RequestSink {
  readonly facts: ClientConnection;
  readonly socket: Http1Socket;
  readonly discardMs: number;
  readonly turn: Turn;
  readonly onWritten: (error?: Error | null) => void;
  readonly #door: Door;
  readonly #reader: Http1RequestReader;
  /** Somebody had to wait for the client once. */
  #listensToDrain: boolean;
  #current: Http1Exchange | null;
  /** Bytes that were read and may not be looked at yet. */
  #rest: Buffer | null;
  #isReading: boolean;
  #continuesSoon: boolean;
  #accepted: number;
  /** Every request that will be answered has been accepted. */
  #isComplete: boolean;
  #isDraining: boolean;
  /** The exchange that switched protocols: the socket is a tunnel. */
  #tunnel: Http1Exchange | null;
  #idleSinceMs: number;
  /** Since when the end of a head is waited for; negative: it is not. */
  #headSinceMs: number;
  /** For the progress check: bytes that had moved at the last change, and when that was. */
  #bytesMoved: number;
  #movedAtMs: number;
  /** The last response is said: what still comes is thrown away until the client has closed, or this runs out. */
  #lingering: Deadline | null;
  #discarded: number;

  constructor(door: Door, socket: Socket, facts: ClientConnection) {
    const nowMs = door.clock.monotonicMs();
    this.facts = facts;
    this.socket = socket;
    this.discardMs = door.timeouts.discardMs;
    this.turn = door.turn;
    this.onWritten = writtenTo(socket);
    this.#door = door;
    this.#reader = new Http1RequestReader(this);
    this.#listensToDrain = false;
    this.#current = null;
    this.#rest = null;
    this.#isReading = false;
    this.#continuesSoon = false;
    this.#accepted = 0;
    this.#isComplete = false;
    this.#isDraining = false;
    this.#tunnel = null;
    this.#idleSinceMs = nowMs;
    this.#headSinceMs = nowMs;
    this.#bytesMoved = 0;
    this.#movedAtMs = 0;
    this.#lingering = null;
    this.#discarded = 0;
    this.socket[CONNECTION] = this;
    socket.on('close', onSocketClose);
    socket.on('error', ignore); // 'close' follows and says enough
    socket.on('end', onSocketEnd);
    socket.on('data', onSocketData);
  }

  get date(): string {
    return httpDate(this.#door.clock.wallMs());
  }

  closesAfterThis(): boolean {
    if (this.#isDraining || this.#hasEnded) this.#isComplete = true;
    return this.#isComplete;
  }

  onHead(
    method: string,
    target: string,
    versionMajor: number,
    versionMinor: number,
    fields: readonly string[],
  ): number {
    const head = readHttp1Head(method, target, versionMajor, versionMinor, fields, this.facts.isSecure);
    const nowMs = this.#door.clock.monotonicMs();
    this.#headSinceMs = -1;
    this.#movedAtMs = nowMs;
    this.#accepted++;
    const { requestsPerConnection } = this.facts.proxy.limits;
    if (head.isLast || this.#isDraining || this.#accepted >= requestsPerConnection) this.#isComplete = true;
    const exchange = new Http1Exchange(this, head, versionMinor === 0 ? 'HTTP/1.0' : 'HTTP/1.1', nowMs);
    this.#current = exchange;
    this.facts.deliver(exchange);
    return head.contentLength;
  }

  onBody(bytes: Buffer): void {
    this.#current?.onData(bytes);
  }

  onBodyEnd(trailers: HeaderList): void {
    this.#current?.onEnd(trailers);
  }

  holdBody(isHeld: boolean): void {
    this.#reader.isHeld = isHeld;
    if (isHeld) this.socket.pause();
    else this.#continueSoon();
  }

  awaitDrain(): void {
    if (this.#listensToDrain) return;
    this.#listensToDrain = true;
    this.socket.on('drain', onSocketDrain);
  }

  onDrain(): void {
    this.#current?.onDrain();
  }

  /** The kernel has what was written last. */
  onSent(): void {
    this.#current?.onFinish();
  }

  onExchangeOver(exchange: Http1Exchange): void {
    if (this.#current !== exchange) return;
    this.#current = null;
    if (this.socket.destroyed) return;
    if (exchange.isLast || this.#isComplete || this.#isDraining || this.#hasEnded) {
      // more may come: behind what was read, or because nobody knows where a refused request ends
      if (this.#rest !== null || exchange.rejection !== null) this.#linger();
      else this.socket.destroySoon();
      return;
    }
    this.#idleSinceMs = this.#door.clock.monotonicMs();
    this.#reader.nextRequest();
    if (this.#rest !== null) this.#continueSoon();
  }

  onSwitched(exchange: Http1Exchange): void {
    const { socket } = this;
    this.#current = null;
    this.#tunnel = exchange;
    socket.removeListener('data', onSocketData);
    socket.removeListener('end', onSocketEnd);
    socket.removeListener('drain', onSocketDrain);
    socket.pause();
    if (this.#rest !== null) socket.unshift(this.#rest);
    this.#rest = null;
    // flows again when somebody listens; what node:http does when it gives a socket away
    (socket as { readableFlowing: boolean | null }).readableFlowing = null;
  }

  /** The time to drain is over: what is carried is told, everything else is cut. */
  goAway(): void {
    if (this.#tunnel === null) this.socket.destroy();
    else this.#tunnel.goAway();
  }

  onClosed(): void {
    // measured: closed TLS sockets survive collections of the young generation, and must not take all this with them
    this.socket[CONNECTION] = null;
    this.#door.onClosed(this);
    this.#lingering?.cancel();
    this.#rest = null;
    const current = this.#current;
    this.#current = null;
    current?.onConnectionLost(null);
  }

  drain(): void {
    if (this.#tunnel !== null) return;
    this.#isDraining = true;
    // with a head half read, or one that waits, the request that it becomes is answered with Connection: close
    if (this.#current === null && this.#rest === null && !this.#reader.isInsideHead) this.socket.destroySoon();
  }

  check(nowMs: number): void {
    if (this.#tunnel !== null || this.#lingering !== null) return;
    const current = this.#current;
    if (current === null) {
      this.#checkIdle(nowMs);
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

  #checkIdle(nowMs: number): void {
    if (this.#headSinceMs >= 0 && nowMs - this.#headSinceMs > this.#door.timeouts.headMs) {
      if (this.#reader.isInsideHead) this.#refuse('client_timed_out', 'the head did not end in time');
      else this.socket.destroySoon(); // opened and never used: there is no request to answer
      return;
    }
    const isIdle = this.#headSinceMs < 0 && nowMs - this.#idleSinceMs > this.facts.keepAliveTimeoutMs;
    if (isIdle) this.socket.destroySoon();
  }

  onData(chunk: Buffer): void {
    if (this.#lingering !== null) {
      this.#discarded += chunk.length;
      if (this.#discarded > MAX_DISCARD_BYTES) this.socket.destroy();
      return;
    }
    if (this.#current === null && this.socket.writableEnded) return; // nothing can be answered any more
    // a paused socket gives nothing, but what comes is never to overtake what waits
    if (this.#rest !== null) this.#rest = Buffer.concat([this.#rest, chunk]);
    else this.#read(chunk);
  }

  #read(bytes: Buffer): void {
    const reader = this.#reader;
    this.#isReading = true;
    const taken = reader.read(bytes, 0);
    this.#isReading = false;
    if (reader.fault !== null) {
      this.#onFault(reader.fault);
    } else if (taken < bytes.length) {
      this.#leave(taken === 0 ? bytes : bytes.subarray(taken));
    } else if (this.#tunnel === null && !reader.isWaiting && this.socket.isPaused()) {
      this.socket.resume();
    }
    if (this.#headSinceMs < 0 && reader.isInsideHead) this.#headSinceMs = this.#door.clock.monotonicMs();
  }

  #leave(rest: Buffer): void {
    if (this.#tunnel !== null) {
      this.socket.unshift(rest); // switched while its head was read
      return;
    }
    this.#rest = rest;
    this.socket.pause();
  }

  /** Goes on where the reader stopped; later, because whoever says that it may is in the middle of something. */
  #continueSoon(): void {
    if (this.#isReading || this.#continuesSoon) return;
    this.#continuesSoon = true;
    process.nextTick(continueReading, this);
  }

  continueReading(): void {
    this.#continuesSoon = false;
    if (this.socket.destroyed || this.#tunnel !== null || this.#lingering !== null) return;
    const rest = this.#rest;
    this.#rest = null;
    this.#read(rest ?? NOTHING);
    if (this.#hasEnded && !this.#reader.isWaiting) this.onClientEnd();
  }

  /** The client's FIN came, and everything before it has been read. A paused socket can end with what is put aside. */
  get #hasEnded(): boolean {
    return this.socket.readableEnded && this.#rest === null;
  }

  #onFault({ code, detail }: Http1Fault): void {
    const current = this.#current;
    if (current === null) this.#refuse(code, detail);
    else this.#breakExchange(current, new ProxyError(code, { phase: 'head', detail }));
  }

  /** FIN. It is no news from a client that waits for its response. */
  onClientEnd(): void {
    const reader = this.#reader;
    if (this.#rest !== null) return; // it comes after that
    if (this.#lingering !== null) this.socket.destroySoon();
    else if (reader.isInsideHead) this.#refuse('failed_parsing_client_headers', 'the connection ended inside a head');
    else if (this.#current === null) this.socket.destroySoon();
    else if (reader.isInsideBody) this.#breakExchange(this.#current, null);
  }

  /** The client broke the exchange in flight: it is told so if nothing was sent, and cut off if something was. */
  #breakExchange(exchange: Http1Exchange, error: ProxyError | null): void {
    const { responded } = exchange;
    this.#isComplete = true;
    this.#current = null;
    exchange.onConnectionLost(error);
    if (responded || error === null) this.socket.destroy();
    else this.#answer(error);
  }

  #refuse(code: ProxyError['code'], detail: string): void {
    const error = new ProxyError(code, { phase: 'head', detail });
    this.facts.events.onBadRequest(this.facts, error);
    this.#answer(error);
  }

  #answer(error: ProxyError): void {
    if (!this.socket.writable) {
      this.socket.destroy();
      return;
    }
    this.socket.write(bareResponse(error.spec.status), 'latin1');
    this.#linger();
  }

  /** After the last response: ends our side and reads on for a moment, because the reset that unread bytes cause can overtake it (RFC 9112 section 9.6). */
  #linger(): void {
    this.#isComplete = true;
    this.#rest = null;
    this.#lingering = startDeadline(this.discardMs, () => this.socket.destroy());
    this.socket.end();
    this.socket.resume();
  }
}

/** A closure that leads to the socket alone: it is kept as long. */
function writtenTo(socket: Http1Socket): (error?: Error | null) => void {
  return (error) => {
    if (!error) socket[CONNECTION]?.onSent();
  };
}

function onSocketData(this: Http1Socket, chunk: Buffer): void {
  this[CONNECTION]?.onData(chunk);
}

function onSocketEnd(this: Http1Socket): void {
  this[CONNECTION]?.onClientEnd();
}

function onSocketDrain(this: Http1Socket): void {
  this[CONNECTION]?.onDrain();
}

function onSocketClose(this: Http1Socket): void {
  this[CONNECTION]?.onClosed();
}

function ignore(): void {}

function continueReading(connection: Http1Connection): void {
  connection.continueReading();
}

const CONNECTION = Symbol('connection');
const NOTHING = Buffer.alloc(0);
const MAX_DISCARD_BYTES = 1024 * 1024; // spec 10.22
