// hot path: once per request.
import type { BackendRequest, BackendService } from '../backend/contract.ts';
import { ProxyError } from '../base/errors.ts';
import type { Exchange } from '../http/exchange.ts';
import { backendRequestHeaders } from '../http/forwarding-headers.ts';
import type { FieldRules } from './field-rules.ts';

/** What goes to every endpoint that is tried. Throws `websocket_handshake_failed` for an upgrade towards HTTP/2. */
export function backendRequest(
  exchange: Exchange,
  service: BackendService,
  traceContext: string,
  fields: FieldRules,
): BackendRequest {
  const { httpVersion } = service;
  if (httpVersion === 'http2' && exchange.isWebSocket) {
    const detail = `${service.name} speaks HTTP/2, which carries no Upgrade (RFC 9113 section 8.6)`;
    throw new ProxyError('websocket_handshake_failed', { phase: 'route', detail });
  }
  return {
    method: exchange.method,
    target: exchange.target,
    scheme: schemeOf(service),
    authority: exchange.authority,
    headers: backendRequestHeaders(exchange, httpVersion, traceContext, fields.removed, fields.request),
    contentLength: exchange.contentLength,
    isWebSocket: exchange.isWebSocket,
  };
}

export function schemeOf({ protocol }: BackendService): 'http' | 'https' {
  return protocol === 'HTTP' || protocol === 'H2C' ? 'http' : 'https';
}
