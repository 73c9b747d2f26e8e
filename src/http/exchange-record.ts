// hot path: types only. What forward tells telemetry about an exchange; one record each, when it is over.
import type { ProxyError } from '../base/errors.ts';
import type { Exchange } from './exchange.ts';
import type { RequestSpan } from './span-context.ts';

/** What the access log's `backendTls` and the verification metrics are made of. */
export interface BackendTlsRecord {
  /** 'TLSv1.2', 'TLSv1.3', …; '' where the handshake did not get so far. */
  readonly protocol: string;
  readonly cipher: string;
  readonly resumed: boolean;
  /**
   * 'verified', 'allowlisted', 'public', 'unauthenticated', 'resumed' (judged when the session was made); 'refused' when the certificate was not trusted; under
   * REPORT_ONLY 'would-accept' or 'would-refuse'.
   */
  readonly verdict: string;
  /** The verdict's rule, depth (0 = leaf) and sentence; null, -1 and null unless refused, or where it would be. */
  readonly rule: string | null;
  readonly depth: number;
  readonly reason: string | null;
}

/**
 * Everything the access log and the request metrics say of one exchange. The head (method, target, headers), the connection
 * and the byte counters are read from `exchange`, whose numbers are final when the record is handed over.
 */
export interface ExchangeRecord {
  readonly exchange: Exchange;
  /** What the client got; 499 when it left before any response byte; 101 for a WebSocket. */
  readonly status: number;
  /** Google's word (spec 2.8), for instance 'response_sent_by_backend'. */
  readonly statusDetails: string;
  /** RFC 9209 value, for instance 'sallyport; error=connection_refused'; null where this proxy did not intervene. */
  readonly proxyStatus: string | null;
  /** Null when the exchange went well; `detail` and `cause` are for the log only. */
  readonly error: ProxyError | null;
  readonly urlMap: string;
  /** The host and path patterns that won, null where a default did (metric sentinel UNMATCHED). */
  readonly hostRule: string | null;
  readonly pathRule: string | null;
  /** Null when the exchange ended before it was routed. */
  readonly backendService: string | null;
  /** 'address:port' of the last attempt. */
  readonly backend: string | null;
  /** Endpoints that were tried, the first included. */
  readonly attempts: number;
  /** Null without TLS, or when no attempt got to TLS. */
  readonly backendTls: BackendTlsRecord | null;
  /** 32 hex digits, or null where the client's own value is not well-formed. */
  readonly trace: string | null;
  /** Its span; null where there is no tracing, or it ended before it was routed. */
  readonly span: RequestSpan | null;
  /** WebSocket and plain bytes alike; equal to the frontend's counters unless the protocol was switched. */
  readonly requestBytes: number;
  readonly responseBytes: number;
  /** First request byte seen to last response byte handed over. */
  readonly latencyMs: number;
  /** First request byte sent to the backend to the last response byte from it; null without a backend connection. */
  readonly backendLatencyMs: number | null;
  /** Request trailer fields that could not be passed on, because the backend speaks HTTP/1.1 (spec 10.22). */
  readonly droppedTrailers: number;
  /** The response came over TLS and ended with the connection: an attacker on the way could have cut it (security rule 30). */
  readonly truncatable: boolean;
}

/**
 * What became of the copy of a request: a whole response came; one that may have been cut (security rule 30), which proves nothing; none
 * came; or the copy was given up because its backend did not keep up with the client, or the request ended early.
 */
export type MirrorResult = 'answered' | 'truncatable' | 'failed' | 'dropped';

/** Implemented by telemetry. Called synchronously, must not throw; the first two come in pairs. */
export interface ExchangeRecorder {
  started(exchange: Exchange): void;
  finished(record: ExchangeRecord): void;
  /** A copy of a request to `service` is over; it is no exchange and has no record. */
  mirrored(service: string, result: MirrorResult): void;
}
