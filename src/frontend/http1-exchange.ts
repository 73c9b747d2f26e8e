// hot path
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { type Deadline, startDeadline } from '../base/deadline.ts';
import { ProxyError } from '../base/errors.ts';
import type { LateTaker, Turn, TurnTaker } from '../base/turn.ts';
import type { ConnectionFacts, Exchange, ExchangeHandler, HeaderList, HttpProtocol } from '../http/exchange.ts';
import { responseContentLength } from '../http/forwarding-headers.ts';
import {
  fieldLines,
  interimHead,
  type ResponseFraming,
  responseHead,
  switchingHead,
} from '../http/http1-response-head.ts';
import type { RequestHead } from '../http/request-head.ts';
import { IDLE_HANDLER } from './idle-handler.ts';

/** What an exchange asks of the connection it runs on. */
export interface Http1Owner {
  readonly facts: ConnectionFacts & { readonly isSecure: boolean; readonly localAuthority: string };
  readonly socket: Socket;
  readonly discardMs: number;
  readonly turn: Turn;
  /** For the Date field. */
  readonly date: string;
  /** To be given with the last write of a response: calls onFinish() when the kernel has it. */
  readonly onWritten: (error?: Error | null) => void;
  /** Asked when a response head is written: true when the connection is to carry nothing after it. */
  closesAfterThis(): boolean;
  /** The socket took more than it wants: onDrain() of the exchange is called when that is gone. */
  awaitDrain(): void;
  /** Whether the bytes of the body that come are given to the exchange, or wait. */
  holdBody(isHeld: boolean): void;
  /** The request and the response are both over. */
  onExchangeOver(exchange: Http1Exchange): void;
  /** The socket is a tunnel from now on; what was read of it and belongs to nobody yet is read from it again. */
  onSwitched(exchange: Http1Exchange): void;
}

/**
 * An Exchange over bytes: the connection reads the request (http/http1-request-reader.ts), the response is written here.
 *
 * | part     | from               | to                                                                      |
 * |----------|--------------------|-------------------------------------------------------------------------|
 * | request  | unread             | reading → ended; or discarding → ended, or the connection is closed     |
 * | response | waiting            | responded → ended → finished (in the kernel); or switched               |
 *
 * `onFinish` comes with "finished", or sooner: when the whole response went into an empty socket in one write, for which the
 * kernel has room as a rule. node:tls would say so a round later, when the client may have been heard of again (docs/decisions/0012).
 * The connection is free when the kernel has the response and the request has ended too.
 */
export class Http1Exchange implements Exchange, TurnTaker, LateTaker {
  readonly connection: ConnectionFacts;
  readonly protocol: HttpProtocol;
  readonly method: string;
  readonly scheme: 'http' | 'https';
  readonly authority: string;
  readonly target: string;
  readonly headers: HeaderList;
  readonly contentLength: number;
  readonly expectsContinue: boolean;
  readonly isWebSocket: boolean;
  readonly rejection: ProxyError | null;
  readonly startedAtMs: number;
  requestBytes: number;
  responseBytes: number;
  responded: boolean;
  isLast: boolean;
  readonly #owner: Http1Owner;
  #handler: ExchangeHandler;
  #continueSent: boolean;
  #reading: boolean;
  #paused: boolean;
  #discarding: boolean;
  #discarded: number;
  #discardDeadline: Deadline | null;
  #requestEnded: boolean;
  #framing: ResponseFraming;
  /** Of the response body, as its head says; negative: unknown. */
  #declaredBytes: number;
  /** What goes into the next write, one character a byte: the head, and what of a small body came before its turn. */
  #unwritten: string;
  #waitsForTurn: boolean;
  #awaitsDrain: boolean;
  #responseEnded: boolean;
  #responseFinished: boolean;
  /** The handler has been told the end, or asked for it: nothing is called any more. */
  #over: boolean;

  constructor(owner: Http1Owner, head: RequestHead, protocol: HttpProtocol, startedAtMs: number) {
    this.connection = owner.facts;
    this.protocol = protocol;
    this.method = head.method;
    this.scheme = owner.facts.isSecure ? 'https' : 'http';
    this.authority = head.authority === '' ? owner.facts.localAuthority : head.authority;
    this.target = head.target;
    this.headers = head.headers;
    this.contentLength = head.contentLength;
    this.expectsContinue = head.expectsContinue;
    this.isWebSocket = head.isWebSocket;
    this.rejection = head.rejection;
    this.startedAtMs = startedAtMs;
    this.requestBytes = 0;
    this.responseBytes = 0;
    this.responded = false;
    // what follows a WebSocket request that is not accepted may be frames or requests: nobody can tell
    this.isLast = head.isLast || head.isWebSocket;
    this.#owner = owner;
    this.#handler = IDLE_HANDLER;
    this.#continueSent = false;
    this.#reading = false;
    this.#paused = false;
    this.#discarding = false;
    this.#discarded = 0;
    this.#discardDeadline = null;
    this.#requestEnded = head.contentLength === 0;
    this.#framing = 'head';
    this.#declaredBytes = -1;
    this.#unwritten = '';
    this.#waitsForTurn = false;
    this.#awaitsDrain = false;
    this.#responseEnded = false;
    this.#responseFinished = false;
    this.#over = false;
  }

  /** True while only the client can move things on: it owes us body bytes, or has not taken what was written. */
  get waitsForClient(): boolean {
    const isOwed = this.#reading && (this.contentLength !== -1 || !this.responded);
    if (isOwed && !this.#paused && !this.#requestEnded) return true;
    return this.unsentBytes > 0;
  }

  get unsentBytes(): number {
    return this.responded ? this.#owner.socket.writableLength : 0;
  }

  attach(handler: ExchangeHandler): void {
    this.#handler = handler;
  }

  readBody(): void {
    if (this.#reading || this.#discarding || this.#over) return;
    this.#reading = true;
    if (this.#requestEnded) process.nextTick(endBodySoon, this);
    else if (!this.#paused) this.#owner.holdBody(false);
  }

  pauseBody(): void {
    this.#paused = true;
    if (this.#reading && !this.#requestEnded) this.#owner.holdBody(true);
  }

  resumeBody(): void {
    this.#paused = false;
    if (this.#reading && !this.#requestEnded && !this.#over) this.#owner.holdBody(false);
  }

  sendContinue(): void {
    if (!this.expectsContinue || this.#continueSent || this.responded || this.#over) return;
    this.#continueSent = true;
    this.#owner.socket.write('HTTP/1.1 100 Continue\r\n\r\n', 'latin1');
  }

  interim(status: number, headers: HeaderList): void {
    if (this.protocol === 'HTTP/1.0' || this.responded || this.#over) return;
    this.#owner.socket.write(interimHead(status, headers), 'latin1');
  }

  respond(status: number, headers: HeaderList, body: boolean | 'until-close'): void {
    if (this.#over || this.responded) return;
    this.responded = true;
    if (this.#owner.closesAfterThis()) this.isLast = true;
    // RFC 9110 section 10.1.1: a client that waits for 100 Continue may or may not send its body now
    if (!this.#requestEnded && (status >= 400 || (this.expectsContinue && !this.#continueSent))) this.isLast = true;
    if (body === 'until-close') {
      this.#framing = 'until-close';
    } else if (body) {
      this.#declaredBytes = responseContentLength(headers);
      if (this.#declaredBytes < 0) this.#framing = this.protocol === 'HTTP/1.0' ? 'until-close' : 'chunked';
    }
    if (this.#framing === 'until-close') this.isLast = true;
    this.#unwritten = responseHead(status, headers, this.#framing, this.isLast, this.#owner.date);
    this.#waitsForTurn = true;
    this.#owner.turn.add(this);
  }

  write(chunk: Uint8Array): boolean {
    if (this.#over || this.#responseEnded || chunk.byteLength === 0) return true;
    this.responseBytes += chunk.byteLength;
    if (this.#declaredBytes >= 0 && this.responseBytes > this.#declaredBytes) {
      this.#failLength();
      return true;
    }
    if (this.#unwritten === '' || chunk.byteLength > MAX_JOINED_BYTES) return this.#send(chunk);
    this.#unwritten += this.#framing === 'chunked' ? `${sizeLine(chunk)}${latin1(chunk)}\r\n` : latin1(chunk);
    if (this.#unwritten.length > MAX_UNWRITTEN_BYTES) this.#flush();
    return true;
  }

  end(trailers: HeaderList | null): void {
    if (this.#over || this.#responseEnded) return;
    if (this.#declaredBytes >= 0 && this.responseBytes < this.#declaredBytes) {
      this.#failLength();
      return;
    }
    this.#responseEnded = true;
    if (!this.#requestEnded) this.discardBody();
    if (this.#framing === 'chunked') this.#unwritten += `0\r\n${trailers === null ? '' : fieldLines(trailers)}\r\n`;
    if (!this.#waitsForTurn) this.#writeLast();
  }

  /** The head is written now, with what came of a small body since, be it all of it. */
  onTurn(): void {
    this.#waitsForTurn = false;
    if (this.#over) return;
    if (!this.#responseEnded) {
      this.#flush();
      return;
    }
    if (this.#owner.socket.writableLength === 0) this.#owner.turn.addAfter(this);
    this.#writeLast();
  }

  afterTurn(): void {
    if (this.#over || this.#owner.socket.destroyed) return; // 'close' follows
    this.#over = true;
    this.#handler.onFinish();
  }

  switchProtocols(headers: HeaderList): Duplex {
    const { socket } = this.#owner;
    this.responded = true;
    this.#over = true;
    socket.write(switchingHead(headers), 'latin1');
    this.#owner.onSwitched(this);
    return socket;
  }

  goAway(): void {
    this.#handler.onGoingAway();
  }

  discardBody(): void {
    if (this.#requestEnded || this.#discarding) return;
    this.#discarding = true;
    if (this.#responseFinished) this.#limitDiscarding();
    this.#owner.holdBody(false);
  }

  abort(_error: ProxyError): void {
    if (this.#over) return;
    if (this.#waitsForTurn) this.#flush(); // what was given before is not lost
    this.#over = true;
    this.#discardDeadline?.cancel();
    this.#owner.socket.destroy();
  }

  /** The connection is gone, or its framing broke: `error` tells which. */
  onConnectionLost(error: ProxyError | null): void {
    this.#discardDeadline?.cancel();
    if (this.#over) return;
    this.#over = true;
    this.#handler.onAbort(error ?? this.#disconnected());
  }

  onData(chunk: Buffer): void {
    this.requestBytes += chunk.length;
    if (!this.#discarding) {
      if (!this.#over) this.#handler.onBodyData(chunk);
      return;
    }
    this.#discarded += chunk.length;
    if (this.#discarded <= MAX_DISCARD_BYTES) return;
    if (this.#responseFinished) this.#owner.socket.destroy();
    else this.#owner.holdBody(true); // the response goes first
  }

  onEnd(trailers: HeaderList): void {
    this.#requestEnded = true;
    if (!this.#discarding && !this.#over) this.#handler.onBodyEnd(trailers);
    this.#settle();
  }

  onDrain(): void {
    if (!this.#awaitsDrain) return;
    this.#awaitsDrain = false;
    if (!this.#over && !this.#responseEnded) this.#handler.onDrain();
  }

  /** The kernel has the whole response. */
  onFinish(): void {
    if (!this.#responseEnded || this.#responseFinished) return;
    this.#responseFinished = true;
    if (!this.#over) {
      this.#over = true;
      this.#handler.onFinish();
    }
    if (!this.#requestEnded) {
      // not more than that: the reset that unread bytes cause can overtake the response (RFC 9112 section 9.6)
      if (this.isLast) this.#owner.socket.end();
      if (this.#discarding) this.#limitDiscarding();
    }
    this.#settle();
  }

  #flush(): void {
    if (this.#unwritten === '') return;
    const text = this.#unwritten;
    this.#unwritten = '';
    this.#owner.socket.write(text, 'latin1'); // whether it is enough, the next write() tells
  }

  #writeLast(): void {
    const { socket, onWritten } = this.#owner;
    const text = this.#unwritten;
    this.#unwritten = '';
    if (text === '' && socket.writableLength === 0) process.nextTick(onWritten);
    else socket.write(text, 'latin1', onWritten);
  }

  #send(chunk: Uint8Array): boolean {
    const { socket } = this.#owner;
    const head = this.#unwritten;
    this.#unwritten = '';
    let taken: boolean;
    if (head === '' && this.#framing !== 'chunked') {
      taken = socket.write(chunk);
    } else if (this.#framing === 'chunked') {
      socket.cork();
      socket.write(head + sizeLine(chunk), 'latin1');
      socket.write(chunk);
      taken = socket.write('\r\n', 'latin1');
      socket.uncork();
    } else {
      socket.cork();
      socket.write(head, 'latin1');
      taken = socket.write(chunk);
      socket.uncork();
    }
    if (!taken) {
      this.#awaitsDrain = true;
      this.#owner.awaitDrain();
    }
    return taken;
  }

  #limitDiscarding(): void {
    if (this.#discarded > MAX_DISCARD_BYTES) this.#owner.socket.destroy();
    else this.#discardDeadline = startDeadline(this.#owner.discardMs, () => this.#owner.socket.destroy());
  }

  #settle(): void {
    if (!this.#responseFinished || !this.#requestEnded) return;
    this.#discardDeadline?.cancel();
    this.#owner.onExchangeOver(this);
  }

  /** The response does not have the length that its head promised. */
  #failLength(): void {
    this.#over = true;
    this.#owner.socket.destroy();
    const detail = `${this.responseBytes} bytes of body where Content-Length is ${this.#declaredBytes}`;
    this.#handler.onAbort(new ProxyError('internal_error', { phase: 'relay', detail }));
  }

  #disconnected(): ProxyError {
    return new ProxyError(
      this.responded ? 'client_disconnected_after_partial_response' : 'client_disconnected_before_any_response',
      { phase: this.responded ? 'relay' : 'head' },
    );
  }
}

function endBodySoon(exchange: Http1Exchange): void {
  exchange.onEnd(NO_FIELDS);
}

function sizeLine(chunk: Uint8Array): string {
  return `${chunk.byteLength.toString(16)}\r\n`;
}

/** One character a byte. */
function latin1(bytes: Uint8Array): string {
  return Buffer.prototype.latin1Slice.call(bytes, 0, bytes.byteLength);
}

const MAX_DISCARD_BYTES = 1024 * 1024; // spec 10.22
const MAX_JOINED_BYTES = 4096; // copying more costs what it saves
const MAX_UNWRITTEN_BYTES = 16 * 1024; // ours: the stream's own idea of enough
const NO_FIELDS: HeaderList = [];
