// hot path: once per request.
import type { BackendRequest, BackendService } from '../backend/contract.ts';
import { ProxyError } from '../base/errors.ts';
import type { Exchange } from '../http/exchange.ts';
import { forwardedElement } from '../http/forwarded.ts';
import { backendRequestHeaders } from '../http/forwarding-headers.ts';
import { continueTrace, type RequestSpan } from '../http/span-context.ts';
import type { RouteAction } from '../routing/route.ts';
import type { FieldRules } from './field-rules.ts';

/**
 * What goes to every endpoint that is tried: what was matched, or what the route's urlRewrite makes of it. Throws
 * `websocket_handshake_failed` for an upgrade towards HTTP/2, `invalid_request_headers` for a rewritten path with dot segments.
 */
export function backendRequest(
  exchange: Exchange,
  service: BackendService,
  traceContext: string,
  fields: FieldRules,
  span: RequestSpan | null,
  action: RouteAction<BackendService> | null = null,
): BackendRequest {
  const { httpVersion } = service;
  if (httpVersion === 'http2' && exchange.isWebSocket) {
    const detail = `${service.name} speaks HTTP/2, which carries no Upgrade (RFC 9113 section 8.6)`;
    throw new ProxyError('websocket_handshake_failed', { phase: 'route', detail });
  }
  const target = action?.rewrite ? action.rewrite.target(exchange.target) : exchange.target;
  if (target === null) {
    const detail = 'the path has dot segments once its matched part is rewritten';
    throw new ProxyError('invalid_request_headers', { phase: 'route', detail });
  }
  const edits = action?.headers?.request ?? null;
  const headers = backendRequestHeaders(exchange, httpVersion, traceContext, fields.removed, fields.request, edits);
  if (span !== null) continueTrace(headers, span);
  if (fields.writesForwarded) headers.push('forwarded', forwardedElement(exchange.connection, exchange.authority));
  return {
    method: exchange.method,
    target,
    scheme: schemeOf(service),
    authority: action?.rewrite?.authority ?? exchange.authority,
    headers,
    contentLength: exchange.contentLength,
    isWebSocket: exchange.isWebSocket,
  };
}

export function schemeOf({ protocol }: BackendService): 'http' | 'https' {
  return protocol === 'HTTP' || protocol === 'H2C' ? 'http' : 'https';
}
