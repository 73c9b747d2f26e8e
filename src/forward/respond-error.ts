// hot path: under attack most exchanges end here. The only place that writes a status of ours.
import { STATUS_CODES } from 'node:http';
import type { ProxyError } from '../base/errors.ts';
import type { Exchange } from '../http/exchange.ts';
import { isFieldValue } from '../http/field-value.ts';

/**
 * Answers with the status of the error's code and a body that says no more than the status: neither the code nor the detail nor
 * Proxy-Status leaves the proxy (spec 10.15). `headers` go with it. A code without a status (there is nobody to answer) aborts the exchange.
 */
export function respondError(exchange: Exchange, error: ProxyError, headers: string[] = []): void {
  const { status, retryAfterSec } = error.spec;
  if (status < 400 || status === CLIENT_CLOSED) {
    exchange.abort(error);
    return;
  }
  if (isGrpc(exchange)) {
    respondGrpc(exchange, status);
    return;
  }
  headers.push('cache-control', 'no-store');
  if (retryAfterSec !== undefined) headers.push('retry-after', String(retryAfterSec));
  respondText(exchange, status, headers);
}

/** The location comes from a validated authority (security rule 33). */
export function respondRedirect(exchange: Exchange, status: number, location: string): void {
  respondText(exchange, status, isFieldValue(location) ? ['location', location] : []);
}

/** An answer that the configuration asks for (a fault). */
export function respondStatus(exchange: Exchange, status: number): void {
  if (status >= 400 && isGrpc(exchange)) {
    respondGrpc(exchange, status);
    return;
  }
  if (status !== 204 && status !== 304) {
    respondText(exchange, status, ['cache-control', 'no-store']);
    return;
  }
  exchange.respond(status, [], false);
  exchange.end(null);
}

/**
 * To gRPC a refusal is a status of its own: a response of trailers only, which its clients read as such in whatever language; of a plain
 * 502 some would make UNKNOWN. The log keeps the HTTP status.
 */
function respondGrpc(exchange: Exchange, status: number): void {
  const message = `${status} ${STATUS_CODES[status] ?? 'Error'}`;
  const code = String(GRPC_STATUS.get(status) ?? GRPC_UNKNOWN);
  exchange.respond(200, ['content-type', 'application/grpc', 'grpc-status', code, 'grpc-message', message], false);
  exchange.end(null);
}

/** `application/grpc`, with or without the name of an encoding; not gRPC-Web, which browsers speak over any HTTP. */
function isGrpc({ protocol, headers }: Exchange): boolean {
  if (protocol !== 'HTTP/2') return false;
  for (let i = 0; i < headers.length; i += 2) {
    if (headers[i] !== 'content-type') continue;
    const value = headers[i + 1]!;
    if (!value.startsWith(GRPC_TYPE)) return false;
    const next = value.charAt(GRPC_TYPE.length);
    return next === '' || next === '+' || next === ';';
  }
  return false;
}

/** An answer that is all in its head. */
export function respondEmpty(exchange: Exchange, status: number, headers: string[]): void {
  headers.push('content-length', '0');
  exchange.respond(status, headers, false);
  exchange.end(null);
}

function respondText(exchange: Exchange, status: number, headers: string[]): void {
  const body = bodyOf(status);
  headers.push('content-type', 'text/plain', 'content-length', String(body.length));
  const hasBody = exchange.method !== 'HEAD';
  exchange.respond(status, headers, hasBody);
  if (hasBody) exchange.write(body);
  exchange.end(null);
}

function bodyOf(status: number): Buffer {
  let body = BODIES.get(status);
  if (body === undefined) {
    body = Buffer.from(`${status} ${STATUS_CODES[status] ?? 'Error'}\n`, 'latin1');
    BODIES.set(status, body);
  }
  return body;
}

const GRPC_TYPE = 'application/grpc';
/** gRPC's own mapping (doc/http-grpc-status-mapping.md of grpc/grpc). */
const GRPC_STATUS: ReadonlyMap<number, number> = new Map([
  [400, 13], // INTERNAL
  [401, 16], // UNAUTHENTICATED
  [403, 7], // PERMISSION_DENIED
  [404, 12], // UNIMPLEMENTED
  [429, 14], // UNAVAILABLE
  [502, 14],
  [503, 14],
  [504, 14],
]);
const GRPC_UNKNOWN = 2;
const BODIES = new Map<number, Buffer>(); // at most one per status
const CLIENT_CLOSED = 499; // for the log only (base/error-codes.ts)
