// hot path: once per exchange, when it is over.
import { ProxyError } from '../base/errors.ts';
import type { BackendTlsRecord } from '../http/exchange-record.ts';
import type { TunnelEnd } from './tunnel.ts';

/** RFC 9209 value for the log, or null where this proxy was not the one that failed. */
export function proxyStatusOf(error: ProxyError | null): string | null {
  if (error === null) return null;
  const token = error.spec.proxyStatus;
  return token === null ? null : `sallyport; error=${token}`;
}

/** TLS of the connection that carried the exchange; without one, the verdict of the attempt that failed last. */
export function backendTlsRecord(facts: BackendTlsRecord | null, error: ProxyError | null): BackendTlsRecord | null {
  if (facts !== null) return facts;
  const refused = error === null ? null : refusalIn(error.cause);
  if (refused === null) return null;
  const { rule, depth, reason } = refused;
  return { protocol: '', cipher: '', resumed: false, verdict: 'refused', rule, depth, reason };
}

/** The failure as it reads once response bytes are out: the client has a part. */
export function afterResponseBytes(error: ProxyError): ProxyError {
  if (error.code !== 'backend_connection_closed_before_data_sent_to_client') return error;
  const { phase, detail, cause } = error;
  return new ProxyError('backend_connection_closed_after_partial_response_sent', { phase, detail, cause });
}

/** The client left; whether it had a part of the response decides the word. A framing error of its keeps its own. */
export function clientError(error: ProxyError, responded: boolean): ProxyError {
  const isGone =
    error.code === 'client_disconnected_before_any_response' ||
    error.code === 'client_disconnected_after_partial_response';
  const code = responded ? 'client_disconnected_after_partial_response' : 'client_disconnected_before_any_response';
  if (!isGone || error.code === code) return error;
  return new ProxyError(code, { phase: error.phase, detail: error.detail, cause: error.cause });
}

/** A tunnel that did not close in order (spec 2.8 gives these words for status 101). */
export function tunnelError(end: TunnelEnd): ProxyError | null {
  switch (end) {
    case 'closed':
      return null;
    case 'idle':
      return new ProxyError('backend_timeout', { phase: 'relay', detail: 'neither side sent anything for timeoutSec' });
    case 'backend-broke':
      return new ProxyError('backend_connection_closed_after_partial_response_sent', { phase: 'relay' });
    default:
      return new ProxyError('client_disconnected_after_partial_response', { phase: 'relay' });
  }
}

interface Refusal {
  readonly rule: string;
  readonly depth: number;
  readonly reason: string;
}

/** A refused verdict of src/pki travels as the cause of the error (this folder does not import pki). */
function refusalIn(cause: unknown): Refusal | null {
  if (typeof cause !== 'object' || cause === null) return null;
  const { rule, depth, reason } = cause as Partial<Refusal>;
  if (typeof rule !== 'string' || typeof depth !== 'number' || typeof reason !== 'string') return null;
  return { rule, depth, reason };
}
