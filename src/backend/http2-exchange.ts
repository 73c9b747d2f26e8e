// hot path
import { type ClientHttp2Stream, constants, type IncomingHttpHeaders, type OutgoingHttpHeaders } from 'node:http2';
import { ProxyError } from '../base/errors.ts';
import type { HeaderList } from '../http/exchange.ts';
import { isConnectionLogin } from './connection-login.ts';
import type { BackendCall, BackendHandler, BackendRequest } from './contract.ts';
import { contentLengthOf, exceedsHeadLimit, headerListFromHttp2, MAX_RESPONSE_HEAD_BYTES } from './header-list.ts';
import type { Http2Session } from './http2-session.ts';
import { type ExchangeProgress, http2Error } from './translate-error.ts';

/** What an exchange asks of its pool. */
export interface Http2PoolOfExchange {
  /** The session took no more streams: find another. */
  reassign(exchange: Http2Exchange): void;
  release(session: Http2Session): void;
  withdraw(exchange: Http2Exchange): void;
}

/**
 * One request as one stream of an HTTP/2 session: the stream's events on one side, forward's BackendCall on the other.
 *
 *   waiting ──start()──▶ running ──▶ over
 *
 * `over` is entered once: by the end of a response that is whole, by 'close' before that, or by abort(). A stream is ended
 * early only by its AbortSignal: that is RST_STREAM(CANCEL), whereas close(code) would first say END_STREAM and make a cut
 * upload look complete.
 */
export class Http2Exchange implements BackendCall {
  readonly request: BackendRequest;
  sent = false;
  over = false;
  readonly #pool: Http2PoolOfExchange;
  readonly #handler: BackendHandler;
  #session: Http2Session | null = null;
  #stream: ExchangeStream | null = null;
  #cancel: AbortController | null = null;
  #released = false;
  #bodyEnded: boolean;
  #requestTrailers: HeaderList | null = null;
  #trailers: HeaderList = NO_TRAILERS;
  #interims = 0;
  #status = 0;
  /** Of the response body: -1 unknown. */
  #missingBytes = -1;
  #everPaused = false;
  #wasCut = false;
  #responseEnded = false;
  #streamError: Error | null = null;

  constructor(pool: Http2PoolOfExchange, request: BackendRequest, handler: BackendHandler) {
    this.#pool = pool;
    this.request = request;
    this.#handler = handler;
    this.#bodyEnded = request.contentLength === 0;
  }

  /** Callbacks follow, never from within this call. */
  start(session: Http2Session): void {
    this.#session = session;
    session.active++;
    session.assigned++;
    process.nextTick(open, this);
  }

  openNow(): void {
    const session = this.#session!;
    if (this.over) {
      this.#release();
      return;
    }
    if (session.isLoggedIn || session.draining || session.session.closed || session.session.destroyed) {
      this.#release();
      this.#released = false;
      this.#session = null;
      this.#pool.reassign(this);
      return;
    }
    const facts = session.exchanges++ === 0 ? session.accepted.fresh : session.accepted.reused;
    this.#handler.onConnection(facts);
    if (this.over) return;
    if (isConnectionLogin(this.request.headers)) session.isLoggedIn = true;
    const hasBody = !this.#bodyEnded;
    this.#cancel = new AbortController();
    try {
      const stream = session.session.request(requestHeaders(this.request) as unknown as OutgoingHttpHeaders, {
        endStream: !hasBody,
        waitForTrailers: hasBody,
        signal: this.#cancel.signal,
      }) as ExchangeStream;
      this.#listen(stream, hasBody);
    } catch (error) {
      // Out of stream ids, or a head that node:http2 refuses: this stream's trouble only.
      if ((error as NodeJS.ErrnoException).code === 'ERR_HTTP2_OUT_OF_STREAMS') session.close('not-reusable');
      this.#fail(http2Error(error, constants.NGHTTP2_NO_ERROR, this.#progress(session)));
      return;
    }
    this.sent = true;
    if (hasBody) this.#handler.onBodyWanted();
  }

  #listen(stream: ExchangeStream, hasBody: boolean): void {
    this.#stream = stream;
    stream[EXCHANGE] = this;
    stream.on('headers', onInterim);
    stream.on('response', onResponse);
    stream.on('trailers', onTrailers);
    stream.on('data', onData);
    stream.on('end', onEnd);
    stream.on('error', onError);
    stream.on('close', onClose);
    if (!hasBody) return;
    stream.on('drain', onDrain);
    stream.on('wantTrailers', onWantTrailers);
    stream.on('aborted', onAborted);
  }

  // the stream's side

  interim(headers: IncomingHttpHeaders, raw: readonly string[]): void {
    if (this.over) return;
    const status = Number(headers[':status']);
    if (status === 100 || status === 101 || ++this.#interims > MAX_INTERIMS) {
      const found = status <= 101 ? `an unasked ${status}` : `more than ${MAX_INTERIMS} interim responses`;
      const detail = `${this.#session!.accepted.fresh.endpoint}: the backend sent ${found}`;
      this.#fail(new ProxyError('backend_interim_response_not_supported', { phase: 'send', detail }));
      return;
    }
    this.#handler.onInterim(status, headerListFromHttp2(raw));
  }

  response(status: number, raw: readonly string[], isAll: boolean): void {
    if (this.over) return;
    const headers = headerListFromHttp2(raw);
    if (exceedsHeadLimit(headers)) {
      const { endpoint } = this.#session!.accepted.fresh;
      const detail = `${endpoint}: a response head of more than ${MAX_RESPONSE_HEAD_BYTES} bytes`;
      this.#fail(new ProxyError('backend_response_headers_too_long', { phase: 'send', detail }));
      return;
    }
    this.#status = status;
    this.#session!.answered = true;
    if (isConnectionLogin(headers)) this.#session!.isLoggedIn = true;
    const bodyless = status === 204 || status === 304 || this.request.method === 'HEAD';
    this.#missingBytes = bodyless ? 0 : contentLengthOf(headers);
    this.#handler.onResponse(status, headers, isAll);
  }

  data(chunk: Buffer): void {
    if (this.over) return;
    if (this.#missingBytes !== -1) this.#missingBytes -= chunk.length;
    this.#handler.onData(chunk);
  }

  responseTrailers(raw: readonly string[]): void {
    this.#trailers = headerListFromHttp2(raw);
  }

  /** 'end' comes for RST_STREAM(NO_ERROR) too, and nothing says outright which it was (nodejs/node#35209). */
  end(stream: ExchangeStream): void {
    if (this.over) return;
    if (this.#status === 0 || this.#wasCut) return; // 'close' tells
    if (stream.rstCode !== constants.NGHTTP2_NO_ERROR && this.#missingBytes !== 0) return;
    // Read as it came, a stream whose both ends are done is not yet closed at 'end'; one that was reset is.
    const wasReset = this.#missingBytes === -1 && !this.#everPaused && this.#bodyEnded && stream.closed;
    if (this.#missingBytes > 0 || (wasReset && this.#trailers === NO_TRAILERS)) return;
    this.#responseEnded = true;
    if (this.#bodyEnded || this.#status >= 300) this.#finish();
  }

  /**
   * Closed while the upload was open, which is in order behind END_STREAM only (RFC 9113 section 8.1). node:http2 says so at once, and has
   * put the end of what came into the stream's buffer by then, in whatever piece it came; no public property tells before it is read.
   */
  aborted(stream: ExchangeStream): void {
    this.#wasCut = !stream._readableState.ended;
  }

  wantTrailers(stream: ExchangeStream): void {
    stream.sendTrailers(trailerObject(this.#requestTrailers ?? NO_TRAILERS));
  }

  error(error: Error): void {
    this.#streamError = error;
  }

  closed(stream: ExchangeStream): void {
    this.#release();
    if (this.over) return;
    if (this.#responseEnded || (this.#status !== 0 && this.#missingBytes === 0)) {
      this.#finish();
      return;
    }
    const session = this.#session!;
    const cause = session.accepted.failure ?? this.#streamError;
    this.#fail(http2Error(cause, rstCodeOf(stream, session), this.#progress(session)));
  }

  /** After an early error response the rest of the upload is of no use to anybody: RST_STREAM(CANCEL). */
  #finish(): void {
    this.over = true;
    this.#handler.onEnd(this.#trailers);
    if (!this.#bodyEnded) this.#cancel!.abort();
  }

  // forward's side

  drained(): void {
    if (!this.over && !this.#bodyEnded) this.#handler.onBodyWanted();
  }

  writeBody(chunk: Buffer): boolean {
    if (this.over || this.#bodyEnded || this.#stream === null || this.#stream.destroyed) return true;
    return this.#stream.write(chunk);
  }

  endBody(trailers: HeaderList | null): void {
    if (this.over || this.#bodyEnded) return;
    this.#bodyEnded = true;
    this.#requestTrailers = trailers;
    this.#stream?.end();
    if (this.#responseEnded) this.#finish();
  }

  pause(): void {
    this.#everPaused = true;
    this.#stream?.pause();
  }

  resume(): void {
    this.#stream?.resume();
  }

  abort(_error: ProxyError): void {
    if (this.over) return;
    this.over = true;
    if (this.#session === null) this.#pool.withdraw(this);
    else this.#cancelOrRelease();
  }

  /** Ends a waiting exchange for which no connection could be made. */
  failWaiting(error: ProxyError): void {
    if (this.over) return;
    this.over = true;
    this.#handler.onError(error);
  }

  #fail(error: ProxyError): void {
    this.over = true;
    this.#cancelOrRelease();
    this.#handler.onError(error);
  }

  #progress(session: Http2Session): ExchangeProgress {
    const responded = this.#status !== 0;
    return { dialled: session.accepted.fresh.endpoint, responded, freshTls: !session.answered };
  }

  #cancelOrRelease(): void {
    if (this.#stream !== null) this.#cancel!.abort();
    else if (this.#cancel !== null) this.#release(); // request() threw
    // else openNow() comes and finds it over
  }

  #release(): void {
    if (this.#released) return;
    this.#released = true;
    this.#pool.release(this.#session!);
  }
}

/**
 * After GOAWAY with an error node:http2 gives every stream the code of it, which then says nothing of the stream. Only those
 * above the last stream were not processed (RFC 9113 section 6.8).
 */
function rstCodeOf(stream: ClientHttp2Stream, { processedUpTo }: Http2Session): number {
  if (processedUpTo === -1) return stream.rstCode ?? constants.NGHTTP2_NO_ERROR;
  return (stream.id ?? 0) > processedUpTo ? constants.NGHTTP2_REFUSED_STREAM : constants.NGHTTP2_CANCEL;
}

interface ExchangeStream extends ClientHttp2Stream {
  [EXCHANGE]: Http2Exchange;
  /** `ended`: nothing can come any more, read or not. */
  readonly _readableState: { readonly ended: boolean };
}

function open(exchange: Http2Exchange): void {
  exchange.openNow();
}

function onInterim(this: ExchangeStream, headers: IncomingHttpHeaders, _flags: number, raw: readonly string[]): void {
  this[EXCHANGE].interim(headers, raw);
}

function onResponse(this: ExchangeStream, headers: IncomingHttpHeaders, flags: number, raw: readonly string[]): void {
  this[EXCHANGE].response(Number(headers[':status']), raw, (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0);
}

function onTrailers(this: ExchangeStream, _headers: IncomingHttpHeaders, _flags: number, raw: readonly string[]): void {
  this[EXCHANGE].responseTrailers(raw);
}

function onData(this: ExchangeStream, chunk: Buffer): void {
  this[EXCHANGE].data(chunk);
}

function onEnd(this: ExchangeStream): void {
  this[EXCHANGE].end(this);
}

function onError(this: ExchangeStream, error: Error): void {
  this[EXCHANGE].error(error);
}

function onAborted(this: ExchangeStream): void {
  this[EXCHANGE].aborted(this);
}

function onClose(this: ExchangeStream): void {
  this[EXCHANGE].closed(this);
}

function onDrain(this: ExchangeStream): void {
  this[EXCHANGE].drained();
}

function onWantTrailers(this: ExchangeStream): void {
  this[EXCHANGE].wantTrailers(this);
}

/** node:http2 takes the head as one flat list; pseudo fields come first (RFC 9113 §8.3). */
function requestHeaders({ method, target, scheme, authority, headers, contentLength }: BackendRequest): string[] {
  const list = [':method', method, ':scheme', scheme, ':authority', authority, ':path', target];
  if (contentLength > 0) list.push('content-length', String(contentLength));
  for (let i = 0; i < headers.length; i++) list.push(headers[i]!);
  return list;
}

/** Trailers it takes as an object only. */
function trailerObject(trailers: HeaderList): OutgoingHttpHeaders {
  const object: Record<string, string | string[]> = Object.create(null);
  for (let i = 0; i < trailers.length; i += 2) {
    const name = trailers[i]!;
    const before = object[name];
    const value = trailers[i + 1]!;
    if (before === undefined) object[name] = value;
    else if (typeof before === 'string') object[name] = [before, value];
    else before.push(value);
  }
  return object;
}

const EXCHANGE = Symbol('exchange');
const NO_TRAILERS: HeaderList = [];
const MAX_INTERIMS = 16; // security rule 32
