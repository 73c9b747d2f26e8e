// hot path: types only. What forward asks of a backend service.
import type { Duplex } from 'node:stream';
import type { ProxyError } from '../base/errors.ts';
import type { ConnectionFacts, Exchange, HeaderList } from '../http/exchange.ts';
import type { BackendTlsRecord } from '../http/exchange-record.ts';
import type { Revocation } from '../pki/revocation.ts';
import type { RetireCause } from './events.ts';

export interface BackendConnectionFacts {
  /** 'address:port' as dialled. */
  readonly endpoint: string;
  /** True when the connection had carried an exchange before. */
  readonly reused: boolean;
  /** One for a connection; null: plain TCP. */
  readonly tls: BackendTlsRecord | null;
}

export interface Endpoint {
  /** 'address:port', for logs; 'name:port' for a name without an address. */
  readonly name: string;
  /** An IP literal: what is dialled. Only names without an address have their name here. */
  readonly address: string;
  readonly port: number;
  /** The DNS name that it is an address of. */
  readonly host?: string;
}

export interface BackendRequest {
  readonly method: string;
  /** Origin-form path and query, byte for byte what was matched. */
  readonly target: string;
  readonly scheme: 'http' | 'https';
  /** Sent as Host or :authority. */
  readonly authority: string;
  /** Complete and clean: no host, no hop-by-hop, no content-length (see contentLength). */
  readonly headers: HeaderList;
  /** 0: no body; -1: unknown length. */
  readonly contentLength: number;
  /** WebSocket upgrade over HTTP/1.1: `connection: upgrade` and `upgrade: websocket` are added by the backend side. */
  readonly isWebSocket: boolean;
}

/**
 * One attempt at one endpoint. Callbacks are synchronous, never from within send(); exactly one of onEnd, onUpgrade, onError
 * ends it. After an early 2xx the upload goes on and onEnd waits for it (spec 10.22); after an early error onEnd comes at once,
 * and what is written afterwards is dropped.
 */
export interface BackendHandler {
  /** A verified connection carries the request from now on; no request byte was sent before. */
  onConnection(facts: BackendConnectionFacts): void;
  /** The backend takes (more) request body. */
  onBodyWanted(): void;
  onInterim(status: number, headers: HeaderList): void;
  /** The final response head; `headers` lower-cased, hop-by-hop fields still in it. `isAll`: HTTP/2 said with it that nothing follows. */
  onResponse(status: number, headers: HeaderList, isAll?: boolean): void;
  onData(chunk: Buffer): void;
  onEnd(trailers: HeaderList): void;
  /** 101 to a WebSocket request; bytes after the head are unshifted into `socket`. */
  onUpgrade(status: number, headers: HeaderList, socket: Duplex): void;
  onError(error: ProxyError): void;
}

export interface BackendCall {
  /** False: stop until onBodyWanted. Only after the first onBodyWanted. */
  writeBody(chunk: Buffer): boolean;
  endBody(trailers: HeaderList | null): void;
  pause(): void;
  resume(): void;
  /** Cancels it: HTTP/1 closes the connection, HTTP/2 sends RST_STREAM(CANCEL). onError is not called. */
  abort(error: ProxyError): void;
  /** True once any request byte may have reached the backend. */
  readonly sent: boolean;
}

export type BackendProtocol = 'TCP' | 'SSL' | 'HTTP' | 'HTTPS' | 'HTTP2' | 'H2C';

/** Exactly one of the two is called, once, never from within openStream(). */
export interface BackendStreamHandler {
  onOpen(stream: BackendStream): void;
  onError(error: ProxyError): void;
}

export interface BackendStreamAttempt {
  /** Neither method of the handler is called any more. */
  abort(): void;
}

/** A verified connection of one stream; no byte but the preamble was sent on it. Whoever gets it ends it. */
export interface BackendStream {
  readonly facts: BackendConnectionFacts;
  /** Half-open. */
  readonly socket: Duplex;
  /** Ends it so that the backend cannot take what it got for complete: a TCP reset, under TLS as well. */
  reset(): void;
  /** Why it broke off, once it has; `responded`: bytes of it have reached the client. */
  failure(responded: boolean): ProxyError;
}

/** Who asks: all that the choice of an endpoint may depend on. An Exchange is one; without HTTP, `headers` is empty. */
export interface Requester {
  readonly connection: Pick<ConnectionFacts, 'remoteAddress' | 'remotePort' | 'localAddress' | 'localPort'>;
  readonly headers: HeaderList;
}

/** Affinity by a cookie that this proxy makes. */
export interface AffinityCookies {
  /** The Set-Cookie field for a response of `endpoint`; null when the client has the right cookie already. */
  setCookieFor(endpoint: Endpoint, request: Pick<Exchange, 'headers' | 'scheme'>): string | null;
}

/** circuitBreakers.maxRetries: how many retries of all exchanges of a service may be under way at once. */
export interface RetrySlots {
  /** False: as many as may be are under way, and this one must not be made. Each true needs one release(), when that attempt ends. */
  take(): boolean;
  release(): void;
}

export interface BackendService {
  readonly name: string;
  readonly protocol: BackendProtocol;
  /** What its connections carry: HTTP2 and H2C are the same over TLS and over plain TCP. */
  readonly httpVersion: 'http1' | 'http2';
  readonly timeoutMs: number;
  /** From the head of the request to the end of the response, tunnels included; null: as long as timeoutMs allows. */
  readonly maxStreamDurationMs: number | null;
  readonly endpoints: readonly Endpoint[];
  /** null: no cookie is ever set. */
  readonly affinityCookies: AffinityCookies | null;
  /** null: any number. */
  readonly retrySlots: RetrySlots | null;
  /** An endpoint that may be used and is not in `tried`, by affinity or else by the policy; null: there is none. */
  pick(tried: readonly Endpoint[], requester: Requester): Endpoint | null;
  /** Of an HTTP, HTTPS, HTTP2 or H2C service. */
  send(endpoint: Endpoint, request: BackendRequest, handler: BackendHandler): BackendCall;
  /** Of a TCP or SSL service. `preamble` (a PROXY header; null: none) goes in front of everything, TLS included. */
  openStream(endpoint: Endpoint, preamble: Buffer | null, handler: BackendStreamHandler): BackendStreamAttempt;
  /** Begins to probe its endpoints, if it has a health check. Once it is the current one; again has no effect. */
  start(): void;
  /** What is known of each endpoint; empty without a health check. */
  health(): readonly EndpointHealth[];
  /** How requests are shared among the endpoints just now. */
  balance(): ServiceBalance;
  /** CRLs for every verdict from now on; connections and sessions that they revoke are used no more, the others stay. */
  useRevocation(revocation: Revocation | null): void;
  /** No new exchanges: idle connections close, busy ones after their exchange. Resolves when none is left; again hurries it. */
  retire(options?: RetireOptions): Promise<void>;
}

export interface EndpointHealth {
  /** The endpoint's name. */
  readonly endpoint: string;
  /** Endpoints count as healthy until unhealthyThreshold probes in a row have failed. */
  readonly isHealthy: boolean;
  /** False until the first probe has ended. */
  readonly isProbed: boolean;
  /** Of the last probe; '' when it went well or none has ended. */
  readonly reason: string;
}

export interface ServiceBalance {
  readonly policy: string;
  readonly affinity: string;
  /** So few endpoints are well that health is ignored. */
  readonly isInPanic: boolean;
  readonly endpoints: readonly EndpointBalance[];
}

export interface EndpointBalance {
  /** The endpoint's name. */
  readonly endpoint: string;
  /** 0: drained. */
  readonly weight: number;
  /** Exchanges under way or waiting. */
  readonly inFlight: number;
  /** By outlier detection. */
  readonly isEjected: boolean;
}

export interface RetireOptions {
  /** 'retired' by default. */
  readonly cause?: RetireCause;
  /** 0 by default: idle connections close now, otherwise at random moments within it. */
  readonly spreadMs?: number;
  /** How long exchanges go on at endpoints that the successor does not have; null (the default): until they end. */
  readonly drainMs?: number | null;
  /** What took over some of its endpoints: their connections and probes stay. */
  readonly successor?: BackendService | null;
}
