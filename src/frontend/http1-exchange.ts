// hot path
import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { type Deadline, startDeadline } from '../base/deadline.ts';
import { asProxyError, ProxyError } from '../base/errors.ts';
import type { ConnectionFacts, Exchange, ExchangeHandler, HeaderList, HttpProtocol } from '../http/exchange.ts';
import { fieldValueOrEmpty, isToken } from '../http/field-value.ts';
import { responseContentLength } from '../http/forwarding-headers.ts';
import { type Http1Request, Http1Response } from './http1-message.ts';
import { IDLE_HANDLER } from './idle-handler.ts';

/** What an exchange asks of the connection it runs on. */
export interface Http1Owner {
  readonly facts: ConnectionFacts & { readonly isSecure: boolean; readonly localAuthority: string };
  readonly socket: Socket;
  readonly discardMs: number;
  /** Asked when a response head is written: true when the connection is to carry nothing after it. */
  closesAfterThis(): boolean;
  /** The request and the response are both over. */
  onExchangeOver(exchange: Http1Exchange): void;
  /** The socket is a tunnel from now on. */
  onSwitched(exchange: Http1Exchange): void;
}

/**
 * An Exchange over node:http's message objects.
 *
 * | part     | from               | to                                                                      |
 * |----------|--------------------|-------------------------------------------------------------------------|
 * | request  | unread             | reading → ended; or discarding → ended, or the connection is closed     |
 * | response | waiting            | responded → ended → finished (in the kernel); or switched               |
 *
 * `onFinish` comes with "finished"; the connection is free when the request has ended too.
 */
export class Http1Exchange implements Exchange {
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
  readonly request: Http1Request;
  readonly #owner: Http1Owner;
  /** null for an upgrade until somebody answers it: node:http makes none there. */
  #response: Http1Response | null;
  /** The first bytes after the head of an upgrade. */
  #early: Buffer | null;
  #handler: ExchangeHandler;
  #isLast: boolean;
  #continueSent: boolean;
  #reading: boolean;
  #paused: boolean;
  #discarding: boolean;
  #discarded: number;
  #discardDeadline: Deadline | null;
  #requestEnded: boolean;
  #listensForDrain: boolean;
  /** Of the response body, as its head says; negative: unknown. */
  #declaredBytes: number;
  /** The whole body, when it came at once, until end() or the end of the turn: head and body then are one write. */
  #wholeBody: Uint8Array | null;
  #responseEnded: boolean;
  #responseFinished: boolean;
  /** The handler has been told the end, or asked for it: nothing is called any more. */
  #over: boolean;

  constructor(
    owner: Http1Owner,
    request: Http1Request,
    response: Http1Response | null,
    early: Buffer | null,
    startedAtMs: number,
  ) {
    const head = request.head;
    this.connection = owner.facts;
    this.protocol = request.httpVersionMinor === 0 ? 'HTTP/1.0' : 'HTTP/1.1';
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
    this.request = request;
    this.#owner = owner;
    this.#response = response;
    this.#early = early;
    this.#handler = IDLE_HANDLER;
    this.#isLast = head.isLast;
    this.#continueSent = false;
    this.#reading = false;
    this.#paused = false;
    this.#discarding = false;
    this.#discarded = 0;
    this.#discardDeadline = null;
    // a refused head says nothing reliable about where its body ends
    this.#requestEnded = head.contentLength === 0 || request.upgrade;
    this.#listensForDrain = false;
    this.#declaredBytes = -1;
    this.#wholeBody = null;
    this.#responseEnded = false;
    this.#responseFinished = false;
    this.#over = false;
    request.exchange = this;
    if (response !== null) {
      response.exchange = this;
      response.on('finish', onResponseFinish);
    }
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

  get bodyIsComplete(): boolean {
    return this.#requestEnded;
  }

  attach(handler: ExchangeHandler): void {
    this.#handler = handler;
  }

  readBody(): void {
    if (this.#reading || this.#discarding || this.#over) return;
    this.#reading = true;
    if (this.#requestEnded) {
      process.nextTick(endBodySoon, this);
      return;
    }
    this.request.on('data', onRequestData);
    this.request.on('end', onRequestEnd);
    if (this.#paused) this.request.pause();
  }

  pauseBody(): void {
    this.#paused = true;
    if (this.#reading && !this.#requestEnded) this.request.pause();
  }

  resumeBody(): void {
    this.#paused = false;
    if (this.#reading && !this.#requestEnded && !this.#over) this.request.resume();
  }

  sendContinue(): void {
    if (!this.expectsContinue || this.#continueSent || this.responded || this.#over) return;
    this.#continueSent = true;
    this.#response?.writeContinue();
  }

  interim(status: number, headers: HeaderList): void {
    if (this.protocol === 'HTTP/1.0' || this.responded || this.#over || this.#response === null) return;
    try {
      this.#response.writeInformation(status, headers as string[]);
    } catch {
      this.#response.writeInformation(status, cleaned(headers));
    }
  }

  respond(status: number, headers: HeaderList, body: boolean | 'until-close'): void {
    if (this.#over || this.responded) return;
    this.responded = true;
    const response = this.#responseForHead();
    if (this.#owner.closesAfterThis()) this.#isLast = true;
    // RFC 9110 section 10.1.1: a client that waits for 100 Continue may or may not send its body now
    if (!this.#requestEnded && (status >= 400 || (this.expectsContinue && !this.#continueSent))) this.#isLast = true;
    response.strictContentLength = true;
    if (body === 'until-close') {
      this.#isLast = true;
      response.useChunkedEncodingByDefault = false;
    }
    let list = headers as string[];
    if (this.#isLast) list = [...headers, 'connection', 'close'];
    else response.removeHeader('connection'); // keeps Node from adding Connection and Keep-Alive; HTTP/1.1 persists without
    try {
      response.writeHead(status, list);
    } catch {
      response.writeHead(status, cleaned(list));
    }
    if (body === false) return;
    this.#declaredBytes = responseContentLength(headers);
    process.nextTick(flushHeadOf, this); // with the first bytes of the body if they come at once, else alone
  }

  flushHead(): void {
    if (this.#responseEnded || this.#over) return;
    const whole = this.#wholeBody;
    this.#wholeBody = null;
    if (whole !== null) this.#write(whole);
    else if (this.responseBytes === 0) this.#response!.flushHeaders();
  }

  write(chunk: Uint8Array): boolean {
    if (this.#over || this.#responseEnded) return true;
    const isWhole = this.responseBytes === 0 && chunk.byteLength === this.#declaredBytes;
    this.responseBytes += chunk.byteLength;
    if (!isWhole || chunk.byteLength > MAX_JOINED_BYTES) {
      if (this.#wholeBody !== null) this.flushHead();
      return this.#write(chunk);
    }
    this.#wholeBody = chunk;
    return true;
  }

  #write(chunk: Uint8Array): boolean {
    const response = this.#response!;
    let taken: boolean;
    try {
      taken = response.write(chunk);
    } catch (thrown) {
      this.#fail(thrown);
      return true;
    }
    if (!taken && !this.#listensForDrain) {
      this.#listensForDrain = true;
      response.on('drain', onResponseDrain);
    }
    return taken;
  }

  end(trailers: HeaderList | null): void {
    if (this.#over || this.#responseEnded) return;
    this.#responseEnded = true;
    const response = this.#response!;
    if (!this.#requestEnded) this.discardBody();
    if (trailers !== null && trailers.length > 0 && response.chunkedEncoding)
      response.addTrailers(trailerPairs(trailers));
    const whole = this.#wholeBody;
    try {
      if (whole === null) response.end();
      else response.end(latin1(whole), 'latin1'); // text, because node:http joins its head with text only
    } catch (thrown) {
      this.#fail(thrown);
    }
  }

  switchProtocols(headers: HeaderList): Duplex {
    const socket = this.#owner.socket;
    this.responded = true;
    this.#over = true;
    let text = `HTTP/1.1 101 ${STATUS_CODES[101]}\r\n`;
    let named = false;
    for (let i = 0; i < headers.length; i += 2) {
      const name = headers[i]!;
      if (!isToken(name)) continue;
      if (name === 'connection' || name === 'upgrade') named = true;
      text += `${name}: ${fieldValueOrEmpty(headers[i + 1]!)}\r\n`;
    }
    if (!named) text += 'connection: Upgrade\r\nupgrade: websocket\r\n';
    if (this.#early !== null && this.#early.length > 0) socket.unshift(this.#early);
    this.#early = null;
    socket.write(`${text}\r\n`, 'latin1');
    this.#owner.onSwitched(this);
    return socket;
  }

  goAway(): void {
    this.#handler.onGoingAway();
  }

  discardBody(): void {
    if (this.#requestEnded || this.#discarding) return;
    this.#discarding = true;
    // Node would end and destroy in one go, and the reset that unread bytes cause can overtake the response (RFC 9112
    // section 9.6). Without destroySoon it only ends our side; closing is left to #settle and the deadline.
    (this.#owner.socket as { destroySoon?: unknown }).destroySoon = undefined;
    if (this.#responseFinished) this.#limitDiscarding();
    if (!this.#reading) {
      this.request.on('data', onRequestData);
      this.request.on('end', onRequestEnd);
    }
    this.request.resume();
  }

  abort(_error: ProxyError): void {
    if (this.#over) return;
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
    else this.request.pause(); // the response goes first
  }

  onEnd(): void {
    this.#requestEnded = true;
    if (!this.#discarding && !this.#over) this.#handler.onBodyEnd(lowerCased(this.request.rawTrailers));
    this.#settle();
  }

  onDrain(): void {
    if (!this.#over && !this.#responseEnded) this.#handler.onDrain();
  }

  onFinish(): void {
    this.#responseFinished = true;
    if (this.request.upgrade) {
      this.#response!.detachSocket(this.#owner.socket); // node:http let go of an upgraded socket, so it ends by our hand
      this.#owner.socket.destroySoon();
    }
    if (!this.#over) {
      this.#over = true;
      this.#handler.onFinish();
    }
    if (this.#discarding && !this.#requestEnded) this.#limitDiscarding();
    this.#settle();
  }

  get isLast(): boolean {
    return this.#isLast;
  }

  #limitDiscarding(): void {
    if (this.#discarded > MAX_DISCARD_BYTES) this.#owner.socket.destroy();
    else this.#discardDeadline = startDeadline(this.#owner.discardMs, () => this.#owner.socket.destroy());
  }

  #settle(): void {
    if (!this.#responseFinished || !this.#requestEnded) return;
    this.#discardDeadline?.cancel();
    if (this.#discarding) {
      delete (this.#owner.socket as { destroySoon?: unknown }).destroySoon; // back to the prototype's
      if (this.#isLast) this.#owner.socket.destroySoon();
    }
    this.#owner.onExchangeOver(this);
  }

  /** An upgrade that is answered like any request: node:http made no response for it. */
  #responseForHead(): Http1Response {
    if (this.#response === null) {
      this.#isLast = true;
      this.#response = new Http1Response(this.request);
      this.#response.exchange = this;
      this.#response.shouldKeepAlive = false;
      this.#response.assignSocket(this.#owner.socket);
      this.#response.on('finish', onResponseFinish);
    }
    return this.#response;
  }

  /** The response does not have the length that its head promised. */
  #fail(thrown: unknown): void {
    if (this.#over) return;
    this.#over = true;
    this.#owner.socket.destroy();
    this.#handler.onAbort(asProxyError(thrown, 'internal_error', { phase: 'relay' }));
  }

  #disconnected(): ProxyError {
    return new ProxyError(
      this.responded ? 'client_disconnected_after_partial_response' : 'client_disconnected_before_any_response',
      { phase: this.responded ? 'relay' : 'head' },
    );
  }
}

function onRequestData(this: Http1Request, chunk: Buffer): void {
  this.exchange?.onData(chunk);
}

function onRequestEnd(this: Http1Request): void {
  this.exchange?.onEnd();
}

function onResponseDrain(this: Http1Response): void {
  this.exchange?.onDrain();
}

function onResponseFinish(this: Http1Response): void {
  this.exchange?.onFinish();
}

function flushHeadOf(exchange: Http1Exchange): void {
  exchange.flushHead();
}

function endBodySoon(exchange: Http1Exchange): void {
  exchange.onEnd();
}

/** One character a byte. */
function latin1(bytes: Uint8Array): string {
  return Buffer.prototype.latin1Slice.call(bytes, 0, bytes.byteLength);
}

function lowerCased(fields: readonly string[]): HeaderList {
  if (fields.length === 0) return NO_FIELDS;
  const list: string[] = [];
  for (let i = 0; i < fields.length; i += 2) list.push(fields[i]!.toLowerCase(), fields[i + 1]!);
  return list;
}

/** The same fields without those that cannot be sent, after Node refused the list. */
function cleaned(headers: HeaderList): string[] {
  const list: string[] = [];
  for (let i = 0; i < headers.length; i += 2) {
    if (isToken(headers[i]!)) list.push(headers[i]!, fieldValueOrEmpty(headers[i + 1]!));
  }
  return list;
}

function trailerPairs(trailers: HeaderList): [string, string][] {
  const pairs: [string, string][] = [];
  for (let i = 0; i < trailers.length; i += 2) {
    if (isToken(trailers[i]!)) pairs.push([trailers[i]!, fieldValueOrEmpty(trailers[i + 1]!)]);
  }
  return pairs;
}

const MAX_DISCARD_BYTES = 1024 * 1024; // spec 10.22
const MAX_JOINED_BYTES = 4096; // copying more costs what it saves
const NO_FIELDS: HeaderList = [];
