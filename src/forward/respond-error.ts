// hot path: under attack most exchanges end here. The only place that writes a status of ours.
import { STATUS_CODES } from 'node:http';
import type { ProxyError } from '../base/errors.ts';
import type { Exchange } from '../http/exchange.ts';
import { isFieldValue } from '../http/field-value.ts';

/**
 * Answers with the status of the error's code and a body that says no more than the status: neither the code nor the detail nor
 * Proxy-Status leaves the proxy (spec 10.15). A code without a status (there is nobody to answer) aborts the exchange.
 */
export function respondError(exchange: Exchange, error: ProxyError): void {
  const { status, retryAfterSec } = error.spec;
  if (status < 400 || status === CLIENT_CLOSED) {
    exchange.abort(error);
    return;
  }
  const headers = ['cache-control', 'no-store'];
  if (retryAfterSec !== undefined) headers.push('retry-after', String(retryAfterSec));
  respondText(exchange, status, headers);
}

/** The location comes from a validated authority (security rule 33). */
export function respondRedirect(exchange: Exchange, status: number, location: string): void {
  respondText(exchange, status, isFieldValue(location) ? ['location', location] : []);
}

/** An answer that the configuration asks for (a fault). */
export function respondStatus(exchange: Exchange, status: number): void {
  if (status !== 204 && status !== 304) {
    respondText(exchange, status, ['cache-control', 'no-store']);
    return;
  }
  exchange.respond(status, [], false);
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

const BODIES = new Map<number, Buffer>(); // at most one per status
const CLIENT_CLOSED = 499; // for the log only (base/error-codes.ts)
