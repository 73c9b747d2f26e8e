// hot path
import { randomBytes } from 'node:crypto';
import { constants, type ServerHttp2Stream } from 'node:http2';
import type { Duplex } from 'node:stream';
import { asProxyError, ProxyError } from '../base/errors.ts';
import type { Turn, TurnTaker } from '../base/turn.ts';
import type { ConnectionFacts, Exchange, ExchangeHandler, HeaderList, HttpProtocol } from '../http/exchange.ts';
import { fieldValueOrEmpty, isLowerCaseToken } from '../http/field-value.ts';
import type { RequestHead } from '../http/request-head.ts';
import { IDLE_HANDLER } from './idle-handler.ts';

/** What an exchange tells the session it runs on. */
export interface Http2Owner {
  readonly facts: ConnectionFacts & { readonly isSecure: boolean };
  /** Of responses. */
  readonly turn: Turn;
  /** The stream is gone. `reset`: the client took it back before it had the response. */
  onExchangeOver(exchange: Http2Exchange, reset: boolean): void;
}

/** The stream carries its exchange, so that one set of listeners serves all streams without a closure each. */
interface ExchangeStream extends ServerHttp2Stream {
  [EXCHANGE]?: Http2Exchange | null;
}

/**
 * An Exchange over one stream of node:http2.
 *
 * | event on the stream | before our END_STREAM           | after it                                |
 * |---------------------|---------------------------------|-----------------------------------------|
 * | `end`               | onBodyEnd, unless it was reset  | nothing                                 |
 * | `aborted`, uploads  | onAbort                         | does not come                           |
 * | `finish`, uploads   | does not count (HEAD, a reset)  | onFinish                                |
 * | `close`             | onAbort                         | onFinish if the code is 0, else onAbort |
 */
export class Http2Exchange implements Exchange, TurnTaker {
  readonly connection: ConnectionFacts;
  readonly protocol: HttpProtocol = 'HTTP/2';
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
  /** For the progress check: bytes that had moved at the last change, and when that was. */
  bytesMoved: number;
  movedAtMs: number;
  /** Its index in the list of its session. */
  place: number;
  /** What the head takes in memory. */
  readonly headBytes: number;
  readonly #owner: Http2Owner;
  readonly #stream: ExchangeStream;
  #handler: ExchangeHandler;
  #trailers: HeaderList;
  #continueSent: boolean;
  #reading: boolean;
  #bodyIsOwed: boolean;
  #paused: boolean;
  #requestEnded: boolean;
  #listensForDrain: boolean;
  #waitsForTrailers: boolean;
  #responseTrailers: HeaderList | null;
  /** What waits for its turn: the fields of the response, whether a body follows, its first chunk. The end may wait with them. */
  #waitingHead: string[] | null;
  #waitingBody: boolean;
  #waitingChunk: Uint8Array | null;
  #responseEnded: boolean;
  /** The handler has been told the end, or asked for it: nothing is called any more. */
  #over: boolean;
  #wasTakenBack: boolean;
  /** DATA frames carry what the 200 to a WebSocket opened. */
  isTunnel: boolean;

  constructor(
    owner: Http2Owner,
    stream: ServerHttp2Stream,
    head: RequestHead,
    endStream: boolean,
    startedAtMs: number,
  ) {
    this.connection = owner.facts;
    this.method = head.method;
    this.scheme = owner.facts.isSecure ? 'https' : 'http';
    this.authority = head.authority;
    this.target = head.target;
    this.isWebSocket = head.isWebSocket;
    this.headers = head.isWebSocket ? [...head.headers, 'sec-websocket-key', freshWebSocketKey()] : head.headers;
    this.contentLength = head.contentLength;
    this.expectsContinue = head.expectsContinue;
    this.rejection = head.rejection;
    this.startedAtMs = startedAtMs;
    this.requestBytes = 0;
    this.responseBytes = 0;
    this.responded = false;
    this.bytesMoved = 0;
    this.movedAtMs = startedAtMs;
    this.place = -1;
    this.headBytes = head.bytes;
    this.#owner = owner;
    this.#stream = stream;
    this.#handler = IDLE_HANDLER;
    this.#trailers = NO_FIELDS;
    this.#continueSent = false;
    this.#reading = false;
    this.#bodyIsOwed = false;
    this.#paused = false;
    this.#requestEnded = endStream;
    this.#listensForDrain = false;
    this.#waitsForTrailers = false;
    this.#responseTrailers = null;
    this.#waitingHead = null;
    this.#waitingBody = false;
    this.#waitingChunk = null;
    this.#responseEnded = false;
    this.#over = false;
    this.#wasTakenBack = false;
    this.isTunnel = false;
    this.#stream[EXCHANGE] = this;
    stream.on('error', ignore);
    stream.on('close', onStreamClose);
    if (endStream) return; // 'close' follows the end of the response at once and says it all
    stream.on('aborted', onStreamAborted);
    stream.on('finish', onStreamFinish);
    stream.on('trailers', onStreamTrailers);
  }

  /** True while only the client can move things on: it owes us body bytes, or a window to send into. */
  get waitsForClient(): boolean {
    const isOwed = this.#bodyIsOwed && (this.contentLength !== -1 || !this.responded);
    if (isOwed && !this.#paused && !this.#requestEnded) return true;
    return this.unsentBytes > 0;
  }

  get unsentBytes(): number {
    return this.responded && !this.#stream.destroyed ? this.#stream.bufferSize : 0;
  }

  /** Bytes of bodies, or of a tunnel, that came or were given to the stream so far. */
  get carriedBytes(): number {
    return this.requestBytes + this.responseBytes + (this.isTunnel ? this.#handler.tunnelBytes() : 0);
  }

  /** Bytes that went either way so far; what waits for the client's window does not count. */
  get movedBytes(): number {
    return this.carriedBytes - this.#stream.bufferSize;
  }

  get bodyIsComplete(): boolean {
    return this.#requestEnded;
  }

  /** Request body bytes that have come and not been asked for. */
  get unreadBytes(): number {
    return this.#stream.readableLength;
  }

  /** Response bytes that wait for the client's window. */
  get heldBytes(): number {
    return this.#stream.writableLength;
  }

  attach(handler: ExchangeHandler): void {
    this.#handler = handler;
  }

  readBody(isOwed = true): void {
    if (this.#reading || this.#over) return;
    this.#reading = true;
    this.#bodyIsOwed = isOwed;
    if (this.#requestEnded) {
      process.nextTick(endBodySoon, this);
      return;
    }
    this.#stream.on('data', onStreamData);
    this.#stream.on('end', onStreamEnd);
    if (this.#paused) this.#stream.pause();
  }

  pauseBody(): void {
    this.#paused = true;
    if (this.#reading) this.#stream.pause();
  }

  resumeBody(): void {
    this.#paused = false;
    if (this.#reading && !this.#over) this.#stream.resume();
  }

  sendContinue(): void {
    if (!this.expectsContinue || this.#continueSent || this.responded || this.#over) return;
    this.#continueSent = true;
    this.#stream.additionalHeaders({ ':status': 100 });
  }

  interim(status: number, headers: HeaderList): void {
    if (this.responded || this.#over) return;
    this.#stream.additionalHeaders({ ':status': status, ...fieldObject(headers) });
  }

  respond(status: number, headers: HeaderList, body: boolean | 'until-close'): void {
    if (this.#over || this.responded) return;
    this.responded = true;
    const list = [':status', String(status)];
    let hasLength = false;
    let namesTrailers = false;
    for (let i = 0; i < headers.length; i += 2) {
      const name = headers[i]!;
      if (name === 'content-length') hasLength = true;
      else if (name === 'trailer') namesTrailers = true;
      // nghttp2 sends what it is given, and a client resets the stream for it
      if (isLowerCaseToken(name)) list.push(name, fieldValueOrEmpty(headers[i + 1]!));
    }
    // With a known length END_STREAM can go with the last DATA; trailers after one are announced or lost.
    this.#waitsForTrailers = body && (!hasLength || namesTrailers);
    this.#waitingHead = list;
    this.#waitingBody = body !== false;
    this.#owner.turn.add(this);
  }

  onTurn(): void {
    this.#say();
  }

  #say(): void {
    const stream = this.#stream;
    const head = this.#waitingHead;
    const chunk = this.#waitingChunk;
    if (head === null || stream.destroyed) return; // 'close' follows
    this.#waitingHead = null;
    this.#waitingChunk = null;
    if (this.#waitsForTrailers) stream.on('wantTrailers', onStreamWantTrailers);
    try {
      stream.respond(head, { endStream: !this.#waitingBody, waitForTrailers: this.#waitsForTrailers });
    } catch (thrown) {
      this.#fail(thrown); // for instance a status over 599
      return;
    }
    if (chunk !== null) stream.write(chunk); // whether it is enough, the next write() tells
    if (this.#responseEnded) this.#sayEnd();
  }

  #sayEnd(): void {
    // a HEAD request's was ended by node:http2 at the start
    if (this.#stream.writableFinished) process.nextTick(finishSoon, this);
    else this.#stream.end();
  }

  write(chunk: Uint8Array): boolean {
    if (this.#over || this.#responseEnded) return true;
    this.responseBytes += chunk.byteLength;
    if (this.#waitingHead !== null) {
      if (this.#waitingChunk === null) {
        this.#waitingChunk = chunk;
        return true;
      }
      this.#say();
    }
    const taken = this.#stream.write(chunk);
    if (!taken && !this.#listensForDrain) {
      this.#listensForDrain = true;
      this.#stream.on('drain', onStreamDrain);
    }
    return taken;
  }

  end(trailers: HeaderList | null): void {
    if (this.#over || this.#responseEnded) return;
    this.#responseEnded = true;
    this.#responseTrailers = trailers;
    if (this.#waitingHead === null) this.#sayEnd();
  }

  /** 200 instead of 101 (RFC 8441 section 5): from then on DATA frames carry the bytes. */
  switchProtocols(headers: HeaderList): Duplex {
    const stream = this.#stream;
    this.responded = true;
    this.#over = true;
    this.isTunnel = true;
    const list: (string | number)[] = [':status', 200];
    for (let i = 0; i < headers.length; i += 2) {
      const name = headers[i]!;
      if (name === 'sec-websocket-accept' || name === 'connection' || name === 'upgrade') continue;
      if (isLowerCaseToken(name)) list.push(name, fieldValueOrEmpty(headers[i + 1]!));
    }
    stream.respond(list as unknown as string[], { endStream: false });
    stream.on('aborted', breakOff); // else a reset would look like an end
    return stream;
  }

  /** Nothing to do until the response is complete: then the rest of the body is refused with RST_STREAM(NO_ERROR). */
  discardBody(): void {
    if (this.#reading && !this.#requestEnded) this.#stream.pause();
  }

  abort(error: ProxyError): void {
    if (this.#over) return;
    this.#over = true;
    this.#say(); // the client is told the head as well where it waits
    this.#stream.destroy(error); // RST_STREAM(INTERNAL_ERROR); close(code) could send END_STREAM first
  }

  goAway(): void {
    this.#handler.onGoingAway();
  }

  /** Called when the sweep finds no progress. */
  timeOut(): void {
    if (this.#over) return;
    this.#over = true;
    const error = new ProxyError('client_timed_out', { phase: this.responded ? 'relay' : 'send' });
    this.#stream.destroy(error);
    this.#handler.onAbort(error);
  }

  onData(chunk: Buffer): void {
    this.requestBytes += chunk.length;
    if (!this.#over) this.#handler.onBodyData(chunk);
  }

  onEnd(): void {
    if (this.#over || this.#stream.aborted) return; // RST_STREAM(NO_ERROR) also looks like an end
    this.#requestEnded = true;
    this.#handler.onBodyEnd(this.#trailers);
  }

  onTrailers(rawTrailers: readonly string[]): void {
    const list: string[] = [];
    for (let i = 0; i < rawTrailers.length; i += 2) {
      const name = rawTrailers[i]!;
      if (isLowerCaseToken(name)) list.push(name, fieldValueOrEmpty(rawTrailers[i + 1]!));
    }
    this.#trailers = list;
  }

  onDrain(): void {
    if (!this.#over && !this.#responseEnded) this.#handler.onDrain();
  }

  onWantTrailers(): void {
    this.#stream.sendTrailers(this.#responseTrailers === null ? {} : fieldObject(this.#responseTrailers));
    if (!this.#requestEnded) setImmediate(refuseRest, this.#stream); // after the trailers, which node:http2 sends in a setImmediate
  }

  onFinish(): void {
    if (!this.#responseEnded || this.#waitingHead !== null) return;
    // not at once: of a response that is a head only, RST_STREAM would overtake it
    if (!this.#requestEnded && !this.#waitsForTrailers) setImmediate(refuseRest, this.#stream);
    if (this.#over) return;
    this.#over = true;
    this.#handler.onFinish();
  }

  onAborted(): void {
    if (this.#over) return;
    this.#over = true;
    this.#wasTakenBack = true;
    this.#handler.onAbort(
      new ProxyError(
        this.responded ? 'client_disconnected_after_partial_response' : 'client_disconnected_before_any_response',
        { phase: this.responded ? 'relay' : 'head' },
      ),
    );
  }

  onClose(): void {
    // node:http2 destroys a stream whose both sides ended before it emits 'finish'
    const isWhole = this.#responseEnded && this.#waitingHead === null;
    if (isWhole && this.#stream.rstCode === constants.NGHTTP2_NO_ERROR) this.onFinish();
    else this.onAborted();
    // a closed stream survives most collections (its session's Map of streams), and must not take the whole request with it
    this.#stream[EXCHANGE] = null;
    this.#owner.onExchangeOver(this, this.#wasTakenBack);
  }

  #fail(thrown: unknown): void {
    if (this.#over) return;
    this.#over = true;
    const error = asProxyError(thrown, 'internal_error', { phase: 'relay' });
    this.#stream.destroy(error);
    this.#handler.onAbort(error);
  }
}

function onStreamData(this: ExchangeStream, chunk: Buffer): void {
  this[EXCHANGE]?.onData(chunk);
}

function onStreamEnd(this: ExchangeStream): void {
  this[EXCHANGE]?.onEnd();
}

function onStreamTrailers(this: ExchangeStream, _trailers: unknown, _flags: number, rawTrailers?: string[]): void {
  this[EXCHANGE]?.onTrailers(rawTrailers ?? []);
}

function onStreamDrain(this: ExchangeStream): void {
  this[EXCHANGE]?.onDrain();
}

function onStreamWantTrailers(this: ExchangeStream): void {
  this[EXCHANGE]?.onWantTrailers();
}

function onStreamFinish(this: ExchangeStream): void {
  this[EXCHANGE]?.onFinish();
}

function onStreamAborted(this: ExchangeStream): void {
  this[EXCHANGE]?.onAborted();
}

function onStreamClose(this: ExchangeStream): void {
  this[EXCHANGE]?.onClose();
}

function breakOff(this: ExchangeStream): void {
  this.destroy(new Error('the client reset the stream'));
}

/** RFC 6455 section 4.1: chosen by who asks the backend, which is this proxy. */
function freshWebSocketKey(): string {
  return randomBytes(16).toString('base64');
}

function ignore(): void {}

function endBodySoon(exchange: Http2Exchange): void {
  exchange.onEnd();
}

function finishSoon(exchange: Http2Exchange): void {
  exchange.onFinish();
}

/** RFC 9113 section 8.1: after a complete response the client may be asked to stop sending, without that being an error. */
function refuseRest(stream: ServerHttp2Stream): void {
  if (!stream.destroyed && !stream.closed) stream.close(constants.NGHTTP2_NO_ERROR);
}

function fieldObject(headers: HeaderList): Record<string, string | string[]> {
  const object: Record<string, string | string[]> = Object.create(null);
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i]!;
    if (!isLowerCaseToken(name)) continue;
    const value = fieldValueOrEmpty(headers[i + 1]!);
    const present = object[name];
    if (present === undefined) object[name] = value;
    else if (typeof present === 'string') object[name] = [present, value];
    else present.push(value);
  }
  return object;
}

const EXCHANGE = Symbol('exchange');
const NO_FIELDS: HeaderList = [];
