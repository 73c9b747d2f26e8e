// hot path: types only. The one thing that frontend and forward share; HTTP/1 and HTTP/2 each implement Exchange.
import type { Duplex } from 'node:stream';
import type { ProxyError } from '../base/errors.ts';
import type { ClientCertificateFacts } from './client-certificate.ts';
import type { Place } from './place.ts';

export type HttpProtocol = 'HTTP/1.0' | 'HTTP/1.1' | 'HTTP/2';

/** Flat `[name, value, name, value, …]`, names in lower case, in the order of the wire; duplicates stay separate. */
export type HeaderList = readonly string[];

/** What TLS agreed on for the client's connection. */
export interface TlsFacts {
  /** 'TLSv1' | 'TLSv1.1' | 'TLSv1.2' | 'TLSv1.3' */
  readonly protocol: string;
  /** IANA name, for instance TLS_AES_128_GCM_SHA256. */
  readonly cipher: string;
  /** Four hex digits of the IANA value, for instance 1301. */
  readonly cipherCode: string;
  /** Predicted from hello and policy; null where it cannot be known (TLS_RSA_*, resumption). */
  readonly group: string | null;
  /** Lower-cased, without a trailing dot; null when the client sent none. */
  readonly sni: string | null;
  readonly alpn: string | null;
  readonly resumed: boolean;
  readonly ja3: string;
  readonly ja4: string;
  /** Resource names: the served certificate and the policy (null: none attached). */
  readonly certificate: string;
  readonly sslPolicy: string | null;
  /** null or absent: the proxy has no serverTlsPolicy and did not ask. */
  readonly clientCertificate?: ClientCertificateFacts | null;
  /** Names and addresses of the served certificate where a request for another authority is misdirected (421); null or absent elsewhere. */
  readonly servedNames?: readonly string[] | null;
  /** What the client offered (tls/hello-offer.ts), while its hello is at hand: only during the report of the handshake. */
  readonly offer?: string | null;
}

export interface ConnectionFacts {
  readonly id: string;
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress: string;
  readonly localPort: number;
  readonly targetProxy: string;
  readonly forwardingRule: string;
  readonly tls: TlsFacts | null;
  /** Looked up when it is first asked for; null or absent: nobody knows. */
  readonly place?: Place | null;
  /** For telemetry alone, which keeps here what it serialised for this connection; a WeakMap would cost every collection. */
  serialised?: object | null;
  /** For x-forwarded-for alone (forwarding-headers.ts), whose end is the same for every request of this connection. */
  hops?: string | null;
}

/**
 * One request and its response. The frontend checks the head before it calls anybody (http/request-head.ts); a head that it
 * refuses arrives with `rejection` set and is answered by forward/respond-error like every other failure.
 *
 *   attach(handler) → readBody() → handler.onBodyData* → handler.onBodyEnd
 *   sendContinue() | interim()* → respond() → write()* → end()          or   abort() at any time
 *   exactly one of handler.onFinish / handler.onAbort ends it; nothing is called after that.
 */
export interface Exchange {
  readonly connection: ConnectionFacts;
  readonly protocol: HttpProtocol;
  readonly method: string;
  readonly scheme: 'http' | 'https';
  /** host[:port] as validated; from Host, the absolute-form target or :authority. */
  readonly authority: string;
  /** Origin-form target (path and query) exactly as received, or '*'. */
  readonly target: string;
  /** Without host and pseudo headers; hop-by-hop fields still in it. */
  readonly headers: HeaderList;
  /** 0: no body; -1: a body of unknown length (chunked, or HTTP/2 without content-length). */
  readonly contentLength: number;
  readonly expectsContinue: boolean;
  /** The request is a valid WebSocket upgrade: GET, exactly `Upgrade: websocket`, no body; or the extended CONNECT that stands for it. */
  readonly isWebSocket: boolean;
  readonly rejection: ProxyError | null;
  /** Monotonic milliseconds when the head was complete. */
  readonly startedAtMs: number;
  /** Body bytes so far, as counted by the frontend. */
  readonly requestBytes: number;
  readonly responseBytes: number;
  /** Of them, those that still wait in this process for the client's window or socket. */
  readonly unsentBytes: number;
  /** True once respond() or switchProtocols() was called. */
  readonly responded: boolean;

  attach(handler: ExchangeHandler): void;
  /**
   * Starts delivering the request body (nothing flows before). `isOwed` false: a stream of messages, on which the client may be
   * silent; true by default, but no longer than until the response begins where the length is unknown.
   */
  readBody(isOwed?: boolean): void;
  pauseBody(): void;
  resumeBody(): void;
  /** 100 Continue, at most once and only if `expectsContinue`; otherwise nothing. */
  sendContinue(): void;
  /** A 1xx of the backend (102, 103). Nothing is sent to HTTP/1.0 clients. */
  interim(status: number, headers: HeaderList): void;
  /**
   * The response head. `headers` are final and lower-cased: content-length is in them or the body is framed by the
   * protocol; connection handling (close, keep-alive, drain) is the frontend's own.
   * `body` false: no body follows (HEAD, 204, 304), end() must come next. 'until-close': HTTP/1 frames it by the end of the connection,
   * as it came: chunks would say that it is whole, which nobody knows (security rule 30).
   */
  respond(status: number, headers: HeaderList, body: boolean | 'until-close'): void;
  /** False: stop until handler.onDrain. */
  write(chunk: Uint8Array): boolean;
  end(trailers: HeaderList | null): void;
  /**
   * 101 with these headers (Connection and Upgrade are added where they are missing), in HTTP/2 a 200 without what belongs to the
   * upgrade; then bytes both ways. Client bytes that came early are in it; a reset of the stream is an error of it. It ends the exchange for the frontend:
   * no handler method but onGoingAway and tunnelBytes is called after it.
   */
  switchProtocols(headers: HeaderList): Duplex;
  /** After an early final response: throw the rest of the request body away, at most 1 MiB or 2 s, then close (HTTP/2: RST_STREAM NO_ERROR). */
  discardBody(): void;
  /** Ends it so that the client cannot take what it got for complete: HTTP/1 destroys the socket, HTTP/2 resets the stream. No handler method is called after it. */
  abort(error: ProxyError): void;
}

/** What forward gives an exchange. Called synchronously, never after onFinish or onAbort. */
export interface ExchangeHandler {
  /** After switchProtocols(): the proxy ends, and what is carried should be told so. */
  onGoingAway(): void;
  /** After switchProtocols(): bytes carried so far, both ways. */
  tunnelBytes(): number;
  onBodyData(chunk: Buffer): void;
  onBodyEnd(trailers: HeaderList): void;
  onDrain(): void;
  /** The client went away or broke framing (`error.code` tells). */
  onAbort(error: ProxyError): void;
  /** The response is with the kernel, or with a socket that had nothing before it (docs/decisions/0012). */
  onFinish(): void;
}
