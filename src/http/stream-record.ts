// hot path: types only. What forward tells telemetry about a stream; one record each, when it is over.
import type { ProxyError } from '../base/errors.ts';
import type { ClientStream } from './client-stream.ts';
import type { BackendTlsRecord } from './exchange-record.ts';

/** Everything the log says of one stream. */
export interface StreamRecord {
  readonly stream: ClientStream;
  /** 'connection_closed', or the word of what ended it otherwise. */
  readonly statusDetails: string;
  /** RFC 9209 value; null where this proxy did not intervene. */
  readonly proxyStatus: string | null;
  /** Null when both sides ended in order. */
  readonly error: ProxyError | null;
  readonly backendService: string;
  /** 'address:port' of the last attempt; null: none could be picked. */
  readonly backend: string | null;
  /** Endpoints that were tried, the first included. */
  readonly attempts: number;
  /** Null without TLS, or when no attempt got to TLS. */
  readonly backendTls: BackendTlsRecord | null;
  /** From the client, and to it; what TLS and PROXY headers add is not counted. */
  readonly bytesReceived: number;
  readonly bytesSent: number;
  readonly durationMs: number;
}

/** Bumped with every chunk, so that what long streams carry is seen while they run. */
export interface StreamCounters {
  readonly received: { value: number };
  readonly sent: { value: number };
}

/** Implemented by telemetry. Both are called synchronously, must not throw, and come in pairs. */
export interface StreamRecorder {
  started(stream: ClientStream, backendService: string): StreamCounters;
  finished(record: StreamRecord): void;
}
