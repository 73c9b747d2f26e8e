// hot path
import type { Duplex } from 'node:stream';
import { asProxyError, ProxyError } from '../base/errors.ts';
import type { HeaderList } from '../http/exchange.ts';
import type { ResponseFields } from '../http/http1-response-fields.ts';
import type { ReadFault } from '../http/http1-response-reader.ts';
import { isConnectionLogin } from './connection-login.ts';
import type { BackendCall, BackendHandler, BackendRequest } from './contract.ts';
import type { CarriedExchange, Http1Connection } from './http1-connection.ts';
import { IDLE_TIMEOUT_MS } from './http1-connection.ts';
import { expectsBody, requestHead } from './http1-request-head.ts';
import { type ExchangeProgress, http1Error } from './translate-error.ts';
import { websocketRefusal } from './websocket-accept.ts';

/** What an exchange asks of its pool. */
export interface Http1Pool {
  /** The connection was closed before anything of the request was written: find another. */
  reassign(exchange: Http1Exchange, error: Error): void;
  /** The exchange is over, or has never begun. */
  release(connection: Http1Connection): void;
  /** It waits no more. */
  withdraw(exchange: Http1Exchange): void;
}

/**
 * One request on one HTTP/1.1 connection, and its response: forward's BackendCall on one side, what the connection carries on the other.
 *
 *   waiting ──start()──▶ starting ──▶ running ──▶ held (the response is here, an early 2xx, the upload goes on) ──▶ over
 *      ▲                    │ connection already closed
 *      └────────────────────┘
 */
export class Http1Exchange implements BackendCall, CarriedExchange {
  readonly request: BackendRequest;
  sent = false;
  over = false;
  /** Connections that were found closed before this request could be written. */
  misses = 0;
  readonly #pool: Http1Pool;
  readonly #handler: BackendHandler;
  #connection: Http1Connection | null = null;
  #begun = false;
  /** Goes out with the first bytes of the body; null: it has. */
  #head: string | null = null;
  #bodyEnded: boolean;
  #bodyBytes = 0;
  #interims = 0;
  #status = 0;
  /** The whole response is here. */
  #trailers: HeaderList | null = null;
  /** Of the 101. */
  #switching: HeaderList | null = null;

  constructor(pool: Http1Pool, request: BackendRequest, handler: BackendHandler) {
    this.#pool = pool;
    this.request = request;
    this.#handler = handler;
    this.#bodyEnded = request.contentLength === 0;
  }

  /** Puts it on a connection. Callbacks follow, never from within this call. */
  start(connection: Http1Connection): void {
    this.#connection = connection;
    // What the kernel has for an idle connection, its end or bytes that nobody asked for, is read before it is used again: the next
    // exchange must not be answered with them.
    if (connection.exchanges === 0) process.nextTick(begin, this, connection);
    else setImmediate(begin, this, connection);
  }

  /** For begin(). */
  beginOn(connection: Http1Connection): void {
    try {
      this.#beginOn(connection);
    } catch (thrown) {
      this.onDefect(thrown);
    }
  }

  #beginOn(connection: Http1Connection): void {
    if (this.over) {
      this.#pool.release(connection); // aborted meanwhile: the connection is as good as before
      return;
    }
    if (!connection.usable) {
      this.#connection = null;
      this.misses++;
      connection.accepted.socket.destroy();
      this.#pool.reassign(this, connection.accepted.failure ?? new Error('closed while idle'));
      return;
    }
    const { method, contentLength, isWebSocket, headers } = this.request;
    const closes = method === 'HEAD' || (contentLength !== 0 && !expectsBody(method));
    const head = requestHead(this.request, closes);
    if (head === null) {
      this.#pool.release(connection);
      this.failWaiting(
        new ProxyError('internal_error', { phase: 'send', detail: 'a request head that must not be sent' }),
      );
      return;
    }
    if (isConnectionLogin(headers)) connection.isLoggedIn = true;
    // A backend that answers HEAD with a body, or ignores a body and reads it as a request, would answer the next client (security rule 2).
    if (closes || isWebSocket) connection.isSpent = true;
    const { fresh, reused } = connection.accepted;
    const facts = connection.exchanges === 0 ? fresh : reused;
    connection.carry(this);
    this.#begun = true;
    this.#handler.onConnection(facts);
    if (this.over) return;
    if (contentLength !== 0) {
      this.#head = head;
      this.#handler.onBodyWanted();
      return;
    }
    this.sent = true;
    connection.write(expectsBody(method) ? `${head}content-length: 0\r\n\r\n` : `${head}\r\n`);
  }

  // the connection's side

  onHead(status: number, fields: ResponseFields): 'body' | 'no-body' | 'switched' {
    if (status >= 200) return this.#onFinalHead(status, fields);
    if (status < 100) this.#refuse('backend_response_corrupted', `status ${String(status).padStart(3, '0')}`);
    else if (status === 101 && this.request.isWebSocket) return this.#onSwitching(fields);
    else if (status < 102) this.#refuse('backend_interim_response_not_supported', `an unasked ${status}`);
    else if (++this.#interims > MAX_INTERIMS)
      this.#refuse('backend_interim_response_not_supported', `more than ${MAX_INTERIMS} interim responses`);
    else this.#handler.onInterim(status, fields.list);
    return 'no-body';
  }

  #onSwitching({ list }: ResponseFields): 'no-body' | 'switched' {
    const refusal = websocketRefusal(this.request.headers, list);
    if (refusal !== null) {
      this.#refuse('websocket_handshake_failed', `a 101 that is no answer to this request: ${refusal}`);
      return 'no-body';
    }
    this.#switching = list;
    return 'switched';
  }

  #onFinalHead(status: number, fields: ResponseFields): 'body' | 'no-body' {
    const connection = this.#connection!;
    const { contentLength, isChunked, list } = fields;
    if (isConnectionLogin(list)) connection.isLoggedIn = true;
    const isBodyless = status === 204 || status === 304;
    const follows = isBodyless || this.request.method === 'HEAD' ? 'no-body' : 'body';
    if (fields.closes) connection.isSpent = true;
    else if (isBodyless)
      connection.isSpent ||= contentLength > 0 || isChunked; // what it sends all the same would come later
    else if (contentLength === -1 && !isChunked) connection.isSpent = true;
    this.#takeIdleTimeout(connection, fields.keepAliveMs);
    this.#status = status;
    this.#handler.onResponse(status, list);
    return follows;
  }

  /** What the backend says of it, less what the way takes; nothing, and the time that is fixed (spec 4.4). */
  #takeIdleTimeout(connection: Http1Connection, saidMs: number): void {
    if (saidMs === -1) connection.idleTimeoutMs = IDLE_TIMEOUT_MS;
    else if (saidMs <= KEEP_ALIVE_MARGIN_MS) connection.isSpent = true;
    else connection.idleTimeoutMs = Math.min(saidMs - KEEP_ALIVE_MARGIN_MS, IDLE_TIMEOUT_MS);
  }

  onBody(piece: Buffer): void {
    if (!this.over) this.#handler.onData(piece);
  }

  /** After an early 2xx the upload goes on, and the end waits for it (spec 10.22); after an early error the rest is nobody's. */
  onComplete(trailers: HeaderList): void {
    if (this.over || this.#trailers !== null) return;
    this.#trailers = trailers;
    if (this.#bodyEnded || this.#status >= 300) this.#end();
  }

  #end(): void {
    const connection = this.#connection!;
    const trailers = this.#trailers!;
    this.over = true;
    if (trailers.length > 0 && hasConnectionField(trailers)) connection.isSpent = true;
    connection.leave();
    if (this.#bodyEnded) this.#pool.release(connection);
    else connection.breakOff('not-reusable'); // the backend waits for bytes that will not come
    this.#handler.onEnd(trailers);
  }

  onSwitched(): void {
    this.over = true;
    const connection = this.#connection!;
    connection.leave();
    this.#handler.onUpgrade(101, this.#switching!, connection.accepted.socket as Duplex);
  }

  onFault({ isTooLong, found }: ReadFault): void {
    if (this.over) return;
    this.over = true;
    const code = isTooLong ? 'backend_response_headers_too_long' : 'backend_response_corrupted';
    this.#handler.onError(this.#error(code, found));
  }

  /** Ours, in what was called: it ends this exchange and no other. */
  onDefect(thrown: unknown): void {
    this.#connection?.breakOff('aborted');
    if (this.over) return;
    this.over = true;
    this.#handler.onError(asProxyError(thrown, 'internal_error', { phase: this.#status === 0 ? 'send' : 'relay' }));
  }

  onDrain(): void {
    if (!this.over && !this.#bodyEnded) this.#handler.onBodyWanted();
  }

  onClosed(error: Error): void {
    if (this.over) return;
    this.over = true;
    if (this.#trailers !== null)
      this.#handler.onEnd(this.#trailers); // the whole response is here; only the upload was cut
    else this.#handler.onError(http1Error(error, this.#progress(this.#connection!)));
  }

  // forward's side

  writeBody(chunk: Buffer): boolean {
    const connection = this.#connection;
    const { contentLength } = this.request;
    if (this.over || this.#bodyEnded || connection === null || chunk.length === 0) return true;
    this.#bodyBytes += chunk.length;
    if (contentLength > 0 && this.#bodyBytes > contentLength) {
      this.#refuseBody();
      return true;
    }
    this.sent = true;
    connection.cork();
    if (this.#head !== null) {
      connection.write(
        `${this.#head}${contentLength > 0 ? `content-length: ${contentLength}` : 'transfer-encoding: chunked'}\r\n\r\n`,
      );
      this.#head = null;
    }
    if (contentLength < 0) connection.write(`${chunk.length.toString(16)}\r\n`);
    let takesMore = connection.write(chunk);
    if (contentLength < 0) takesMore = connection.write('\r\n');
    connection.uncork();
    return takesMore;
  }

  /** HTTP/1.1 backends get no request trailers (spec 10.22): what they would mean there nobody has said. */
  endBody(_trailers: HeaderList | null): void {
    const connection = this.#connection;
    const { method, contentLength } = this.request;
    if (this.over || this.#bodyEnded || connection === null) return;
    if (contentLength > 0 && this.#bodyBytes < contentLength) {
      this.#refuseBody();
      return;
    }
    this.sent = true;
    this.#bodyEnded = true;
    if (this.#head !== null) connection.write(`${this.#head}${expectsBody(method) ? 'content-length: 0\r\n' : ''}\r\n`);
    else if (contentLength < 0) connection.write('0\r\n\r\n');
    this.#head = null;
    if (this.#trailers !== null) this.#end();
  }

  pause(): void {
    if (!this.over && this.#begun) this.#connection!.pause();
  }

  resume(): void {
    if (!this.over && this.#begun) this.#connection!.resume();
  }

  abort(_error: ProxyError): void {
    if (this.over) return;
    this.over = true;
    if (this.#connection === null) this.#pool.withdraw(this);
    else if (this.#begun) this.#connection.breakOff('aborted');
  }

  /** Ends a waiting exchange for which no connection could be made. */
  failWaiting(error: ProxyError): void {
    if (this.over) return;
    this.over = true;
    this.#handler.onError(error);
  }

  /** More or less of a body than its head says would be read as the beginning of the next request, or as nothing. */
  #refuseBody(): void {
    this.over = true;
    this.#connection!.breakOff('aborted');
    const detail = `${this.#bodyBytes} of ${this.request.contentLength} bytes of a request body`;
    this.#handler.onError(new ProxyError('internal_error', { phase: 'send', detail }));
  }

  #refuse(code: RefusalCode, found: string): void {
    this.over = true;
    this.#connection!.breakOff('aborted');
    this.#handler.onError(this.#error(code, found));
  }

  #error(code: RefusalCode, found: string): ProxyError {
    const detail = `${this.#connection!.accepted.fresh.endpoint}: the backend sent ${found}`;
    return new ProxyError(code, { phase: this.#status === 0 ? 'send' : 'relay', detail });
  }

  #progress({ accepted, exchanges }: Http1Connection): ExchangeProgress {
    return {
      dialled: accepted.fresh.endpoint,
      responded: this.#status !== 0,
      freshTls: exchanges === 1 && accepted.fresh.tls !== null,
    };
  }
}

type RefusalCode =
  | 'backend_response_corrupted'
  | 'backend_response_headers_too_long'
  | 'backend_interim_response_not_supported'
  | 'websocket_handshake_failed';

function begin(exchange: Http1Exchange, connection: Http1Connection): void {
  exchange.beginOn(connection);
}

/** What belongs into a head: a server that sends it among trailers takes its connection for something else than we do. */
function hasConnectionField(trailers: HeaderList): boolean {
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

const MAX_INTERIMS = 16; // security rule 32: endless 103s would outlive every header deadline
const KEEP_ALIVE_MARGIN_MS = 2000; // a request must not meet the end of a connection that the backend closes just then
