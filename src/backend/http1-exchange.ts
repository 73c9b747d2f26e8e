// hot path
import type { Duplex } from 'node:stream';
import type { Dispatcher } from 'undici';
import { ProxyError } from '../base/errors.ts';
import type { HeaderList } from '../http/exchange.ts';
import { isConnectionLogin } from './connection-login.ts';
import type { BackendCall, BackendHandler, BackendRequest } from './contract.ts';
import { headerListFromBuffers, MAX_RESPONSE_HEAD_BYTES, ParsedHead } from './header-list.ts';
import type { Http1Connection } from './http1-connection.ts';
import { type BodyConsumer, RequestBody } from './request-body.ts';
import { type Http1Progress, http1Error } from './translate-error.ts';
import { websocketRefusal } from './websocket-accept.ts';

/** What an exchange asks of its pool. */
export interface Http1Pool {
  /** The connection was closed before anything of the request was written: find another. */
  reassign(exchange: Http1Exchange, error: Error): void;
  /** The exchange is over and undici has left its callback. */
  release(connection: Http1Connection): void;
  /** It waits no more. */
  withdraw(exchange: Http1Exchange): void;
}

/**
 * One request on one HTTP/1.1 connection: undici's handler on one side, forward's BackendCall on the other.
 *
 *   waiting ──start()──▶ starting ──onRequestStart──▶ running ──▶ over
 *      ▲                    │ connection already closed
 *      └────────────────────┘
 *
 * `over` is entered once, by onResponseEnd, onRequestUpgrade, onResponseError or abort(); what undici says later is ignored.
 */
export class Http1Exchange implements BackendCall, BodyConsumer, Dispatcher.DispatchHandler {
  readonly request: BackendRequest;
  sent = false;
  over = false;
  /** Connections that were found closed before this request could be written. */
  misses = 0;
  readonly #pool: Http1Pool;
  readonly #handler: BackendHandler;
  readonly #body: RequestBody | null;
  #connection: Http1Connection | null = null;
  #controller: Dispatcher.DispatchController | null = null;
  #bodyEnded: boolean;
  #bodyWanted = false;
  #interims = 0;
  #status = 0;
  /** Of the response body: -1 unknown. */
  #missingBytes = 0;
  #endsWithConnection = false;
  #paused = false;
  /** The response is complete but for its end, which is held back while the upload goes on. */
  #held = false;

  constructor(pool: Http1Pool, request: BackendRequest, handler: BackendHandler) {
    this.#pool = pool;
    this.request = request;
    this.#handler = handler;
    this.#body = request.contentLength === 0 ? null : new RequestBody(this);
    this.#bodyEnded = this.#body === null;
  }

  /** Puts it on a connection. Callbacks follow, never from within this call. */
  start(connection: Http1Connection): void {
    this.#connection = connection;
    // Inside undici's parser no other connection's parser may run, and the caller of send() has no BackendCall yet.
    if (callbackDepth > 0 || connection.unused) process.nextTick(dispatch, this, connection);
    else dispatch(this, connection);
  }

  get waiting(): boolean {
    return this.#connection === null;
  }

  // undici's side

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    const connection = this.#connection!;
    if (this.over) {
      connection.closeReason = 'aborted';
      controller.abort(new Error('aborted'));
      return;
    }
    const facts = connection.exchanges === 0 ? connection.accepted.fresh : connection.accepted.reused;
    connection.exchanges++;
    callbackDepth++;
    try {
      this.#handler.onConnection(facts);
    } finally {
      callbackDepth--;
    }
    if (this.#body === null && !this.over) this.sent = true; // undici writes the head when this returns
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number, parsed: ParsedHeaders): void {
    if (this.over) return;
    const head = new ParsedHead(parsed);
    callbackDepth++;
    try {
      if (!this.sent) this.#refuseUnasked();
      else if (status < 100) this.#refuseStatus(status);
      else if (status < 200) this.#onInterim(status, head.list);
      else this.#onFinalHead(status, head);
    } finally {
      callbackDepth--;
    }
  }

  /** Its head waits for the first bytes of its body: nobody has asked yet, and what comes could only be for somebody else (security rule 2). */
  #refuseUnasked(): void {
    const detail = this.#detail('a response before the request');
    this.#fail(new ProxyError('backend_connection_closed_before_data_sent_to_client', { phase: 'send', detail }));
  }

  #refuseStatus(status: number): void {
    const detail = this.#detail(`status ${String(status).padStart(3, '0')}`);
    this.#fail(new ProxyError('backend_response_corrupted', { phase: 'send', detail }));
  }

  #onInterim(status: number, headers: HeaderList): void {
    if (status === 101) {
      const detail = this.#detail('an incomplete 101 Switching Protocols');
      if (this.request.isWebSocket) this.#fail(new ProxyError('websocket_handshake_failed', { phase: 'send', detail }));
      else this.#fail(new ProxyError('backend_interim_response_not_supported', { phase: 'send', detail }));
      return;
    }
    if (++this.#interims > MAX_INTERIMS) {
      const detail = this.#detail(`more than ${MAX_INTERIMS} interim responses`);
      this.#fail(new ProxyError('backend_interim_response_not_supported', { phase: 'send', detail }));
      return;
    }
    this.#handler.onInterim(status, headers);
  }

  #onFinalHead(status: number, head: ParsedHead): void {
    const { list, coding } = head;
    if (head.isTooLong) {
      const detail = this.#detail(`a response head of more than ${MAX_RESPONSE_HEAD_BYTES} bytes`);
      this.#fail(new ProxyError('backend_response_headers_too_long', { phase: 'send', detail }));
      return;
    }
    if (coding === 'other') {
      const detail = this.#detail('a Transfer-Encoding other than chunked');
      this.#fail(new ProxyError('backend_response_corrupted', { phase: 'send', detail }));
      return;
    }
    if (isConnectionLogin(list)) this.#connection!.isLoggedIn = true;
    this.#status = status;
    const bodyless = status === 204 || status === 304 || this.request.method === 'HEAD';
    this.#missingBytes = bodyless ? 0 : head.contentLength;
    this.#endsWithConnection = this.#missingBytes === -1 && coding === 'none';
    this.#handler.onResponse(status, list);
    this.#holdIfComplete();
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    // A resumed parser first says "nothing more yet": passed on, a consumer that pauses at each chunk would spin.
    if (this.over || chunk.length === 0) return;
    if (this.#missingBytes > 0) this.#missingBytes -= chunk.length;
    callbackDepth++;
    try {
      this.#handler.onData(chunk);
    } finally {
      callbackDepth--;
    }
    this.#holdIfComplete();
  }

  /**
   * undici cuts the connection when a response ends before its request. After an early 2xx the upload goes on (spec 10.22), so
   * the parser is stopped short of the end, where Content-Length tells where that is; a chunked early response still cuts it.
   */
  #holdIfComplete(): void {
    if (this.#missingBytes !== 0 || this.#bodyEnded || this.over || this.#status >= 300) return;
    this.#held = true;
    this.#controller!.pause();
  }

  onResponseEnd(controller: Dispatcher.DispatchController): void {
    if (this.over) return;
    this.over = true;
    const connection = this.#connection!;
    process.nextTick(release, this.#pool, connection);
    const raw = controller.rawTrailers as Buffer[] | null | undefined;
    const trailers = raw ? headerListFromBuffers(raw) : NO_TRAILERS;
    if (trailers.length > 0 && hasParsedField(trailers)) connection.isSpent = true;
    const { failure } = connection.accepted;
    callbackDepth++;
    try {
      // undici takes a reset for the end of a body that ends with the connection (RFC 9112 section 8: it is incomplete)
      if (failure === null || !this.#endsWithConnection) this.#handler.onEnd(trailers);
      else this.#handler.onError(http1Error(failure, this.#progress(connection)));
    } finally {
      callbackDepth--;
    }
  }

  onRequestUpgrade(
    _controller: Dispatcher.DispatchController,
    status: number,
    parsed: ParsedHeaders,
    socket: Duplex,
  ): void {
    if (this.over) {
      socket.destroy();
      return;
    }
    const headers = new ParsedHead(parsed).list;
    const refusal = websocketRefusal(this.request.headers, headers);
    this.over = true;
    if (refusal !== null) {
      socket.destroy();
      const detail = this.#detail(`a 101 that is no answer to this request: ${refusal}`);
      this.#handler.onError(new ProxyError('websocket_handshake_failed', { phase: 'send', detail }));
      return;
    }
    this.#handler.onUpgrade(status, headers, socket);
  }

  onResponseError(_controller: Dispatcher.DispatchController | null, error: Error): void {
    if (this.over) return;
    const connection = this.#connection!;
    if (this.#controller === null && isOurMistake(error)) {
      process.nextTick(() => {
        this.#pool.release(connection);
        this.failWaiting(http1Error(error, this.#progress(connection)));
      });
      return;
    }
    if (this.#controller === null) {
      // Nothing was written, no callback was made: closed while idle, or between the verdict and the first write.
      this.#connection = null;
      this.misses++;
      connection.accepted.socket.destroy();
      this.#pool.reassign(this, error);
      return;
    }
    this.over = true;
    if (this.#held) {
      this.#handler.onEnd(NO_TRAILERS); // the whole response is here; only the upload was cut
      return;
    }
    this.#handler.onError(http1Error(connection.accepted.failure ?? error, this.#progress(connection)));
  }

  // forward's side

  bodyWanted(): void {
    if (this.#bodyWanted) {
      if (!this.over) this.#handler.onBodyWanted();
      return;
    }
    // undici is still adding its listeners: a body that ended now would leave some on the connection for good.
    this.#bodyWanted = true;
    process.nextTick(wantBody, this);
  }

  writeBody(chunk: Buffer): boolean {
    if (this.over || this.#body === null) return true;
    this.sent = true;
    return this.#body.write(chunk);
  }

  /** HTTP/1.1 backends get no request trailers (spec 10.22): undici cannot send them. */
  endBody(_trailers: HeaderList | null): void {
    if (this.over || this.#bodyEnded) return;
    this.sent = true;
    this.#bodyEnded = true;
    this.#body!.end();
    if (!this.#held) return;
    this.#held = false;
    if (!this.#paused) this.#resumeParser();
  }

  pause(): void {
    this.#paused = true;
    if (!this.over) this.#controller?.pause();
  }

  resume(): void {
    this.#paused = false;
    if (!this.over && !this.#held) this.#resumeParser();
  }

  /** Parsers share one buffer: while one is in a callback, no other may run. */
  #resumeParser(): void {
    if (callbackDepth > 0) process.nextTick(resumeParser, this);
    else this.#controller?.resume();
  }

  abort(error: ProxyError): void {
    if (this.over) return;
    this.over = true;
    if (this.#connection === null) {
      this.#pool.withdraw(this);
      return;
    }
    this.#cut(error);
  }

  #fail(error: ProxyError): void {
    this.over = true;
    this.#cut(error);
    this.#handler.onError(error);
  }

  /** Ends a waiting exchange for which no connection could be made. */
  failWaiting(error: ProxyError): void {
    if (this.over) return;
    this.over = true;
    this.#handler.onError(error);
  }

  #cut(error: ProxyError): void {
    if (this.#controller === null) return; // undici learns of it when it asks to start
    this.#connection!.closeReason = 'aborted';
    this.#controller.abort(error);
  }

  #progress(connection: Http1Connection): Http1Progress {
    return {
      dialled: connection.accepted.fresh.endpoint,
      responded: this.#status !== 0,
      missingBytes: this.#missingBytes,
      freshTls: connection.exchanges === 1 && connection.accepted.fresh.tls !== null,
    };
  }

  #detail(found: string): string {
    return `${this.#connection!.accepted.fresh.endpoint}: the backend sent ${found}`;
  }

  /** The three below run from process.nextTick, where a method has no `this`. */
  dispatchNow(connection: Http1Connection): void {
    if (this.over) {
      this.#pool.release(connection); // aborted meanwhile: the connection is as good as before
      return;
    }
    const { method, target, scheme, authority, headers, contentLength, isWebSocket } = this.request;
    if (isConnectionLogin(headers)) connection.isLoggedIn = true;
    const first =
      contentLength > 0 ? ['host', authority, 'content-length', String(contentLength)] : ['host', authority];
    const options: Dispatcher.DispatchOptions & { readonly servername: string } = {
      method,
      // undici takes no asterisk-form; RFC 9112 §3.2.2 obliges servers to take the absolute-form, which here says the same.
      path: target === '*' ? `${scheme}://${authority}` : target,
      headers: first.concat(headers),
      body: this.#body === null ? null : this.#body.asReadable(),
      upgrade: isWebSocket ? 'websocket' : null,
      servername: ANY_NAME,
      blocking: false, // the pool gives a connection one exchange at a time; undici would look at its queue again at each head
      // `reset` is left alone: with `false`, a backend that sends a body to HEAD answers the next client (security rule 2).
    };
    connection.client.dispatch(options, this);
  }

  resumeParserNow(): void {
    if (!this.over && !this.#paused && !this.#held) this.#controller?.resume();
  }

  wantBodyNow(): void {
    if (!this.over) this.#handler.onBodyWanted();
  }
}

/** Above 0 while undici's parser is inside one of our callbacks. */
let callbackDepth = 0;

function dispatch(exchange: Http1Exchange, connection: Http1Connection): void {
  exchange.dispatchNow(connection);
}

function resumeParser(exchange: Http1Exchange): void {
  exchange.resumeParserNow();
}

function wantBody(exchange: Http1Exchange): void {
  exchange.wantBodyNow();
}

function release(pool: Http1Pool, connection: Http1Connection): void {
  pool.release(connection);
}

/** What llhttp takes to heart among trailers too: a `Connection: close` there makes it refuse the next response. */
function hasParsedField(trailers: HeaderList): boolean {
  for (let i = 0; i < trailers.length; i += 2) {
    switch (trailers[i]) {
      case 'connection':
      case 'proxy-connection':
      case 'transfer-encoding':
      case 'upgrade':
        return true;
    }
  }
  return false;
}

function isOurMistake(error: Error): boolean {
  return (error as NodeJS.ErrnoException).code === 'UND_ERR_INVALID_ARG';
}

type ParsedHeaders = Readonly<Record<string, string | string[] | undefined>>;

const NO_TRAILERS: HeaderList = [];
const ANY_NAME = 'backend.invalid'; // undici looks at it for https: origins only; without one it parses the Host of each request for it
const MAX_INTERIMS = 16; // security rule 32: endless 103s would outlive every header deadline
