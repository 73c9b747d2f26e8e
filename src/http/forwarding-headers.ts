// hot path: one pass over the fields of a request, one over those of a response.
import type { ConnectionFacts, HeaderList, HttpProtocol } from './exchange.ts';
import { isFieldValue, isLowerCaseToken } from './field-value.ts';
import type { HeaderEdits } from './header-edits.ts';
import type { HeaderTemplates } from './header-template.ts';
import { connectionNames, isHopByHop } from './hop-by-hop.ts';
import { ALWAYS_REMOVED, type RemovedFields } from './removed-fields.ts';

export interface ForwardedRequest {
  readonly connection: ConnectionFacts;
  readonly protocol: HttpProtocol;
  readonly headers: HeaderList;
}

/**
 * The fields that a backend gets, flat and in lower case: the client's without hop-by-hop fields, Connection-named fields, Host,
 * Content-Length and Expect; then ours, last (spec 4.2, security rule 18):
 * - `x-forwarded-for`: `<supplied>,<client address>,<our address>`, the supplied part unverified;
 * - `x-forwarded-proto`: from the socket; a client's own is replaced, `forwarded` is removed, and so are spellings with `_`,
 *   which CGI and WSGI read as the same name;
 * - fields that only the proxy may set (removed-fields.ts) are removed, the URL map's edits made, the service's custom headers added;
 * - `via`, `x-cloud-trace-context` unless it is there, one `early-data: 1` for whatever the client sent (RFC 8470 section 5.1).
 *
 * Towards HTTP/2 `te: trailers` stays (no other value); HTTP/2 cookie fields are joined towards HTTP/1.1 (RFC 9113 section 8.2.3).
 */
export function backendRequestHeaders(
  request: ForwardedRequest,
  backend: 'http1' | 'http2',
  traceContext: string,
  removed: RemovedFields = ALWAYS_REMOVED,
  custom: HeaderTemplates | null = null,
  edits: HeaderEdits | null = null,
): string[] {
  const source = request.headers;
  const named = connectionNames(source);
  const joinsCookies = backend === 'http1' && request.protocol === 'HTTP/2';
  const headers: string[] = [];
  let forwardedFor = '';
  let cookieAt = -1;
  let hasTrace = false;
  let isEarlyData = false;
  let takesTrailers = false;
  for (let i = 0; i < source.length; i += 2) {
    const name = source[i]!;
    const value = source[i + 1]!;
    if (isHopByHop(name)) {
      if (backend === 'http2' && name === 'te' && value.toLowerCase() === 'trailers') takesTrailers = true;
      continue;
    }
    if (named?.has(name) || removed.has(name)) continue;
    switch (name.length) {
      case 4:
        if (name === 'host') continue;
        break;
      case 6:
        if (name === 'expect') continue;
        if (joinsCookies && name === 'cookie') {
          if (cookieAt !== -1) {
            headers[cookieAt] = `${headers[cookieAt]!}; ${value}`;
            continue;
          }
          cookieAt = headers.length + 1;
        }
        break;
      case 9:
        if (name === 'forwarded') continue;
        break;
      case 10:
        if (name === 'early-data') {
          isEarlyData = true;
          continue;
        }
        break;
      case 14:
        if (name === 'content-length') continue;
        break;
      case 15:
        if (name === 'x-forwarded-for') {
          if (value !== '') forwardedFor = forwardedFor === '' ? value : `${forwardedFor},${value}`;
          continue;
        }
        if (isSpelledWithUnderscore(name, 'x-forwarded-for')) continue;
        break;
      case 17:
        if (isSpelledWithUnderscore(name, 'x-forwarded-proto')) continue;
        break;
      case 21:
        if (name === 'x-cloud-trace-context') hasTrace = true;
        break;
    }
    headers.push(name, value);
  }
  const connection = request.connection;
  connection.hops ??= `${connection.remoteAddress},${connection.localAddress}`;
  const { hops } = connection;
  headers.push('x-forwarded-for', forwardedFor === '' ? hops : `${forwardedFor},${hops}`);
  headers.push('x-forwarded-proto', connection.tls === null ? 'http' : 'https');
  headers.push('via', VIA);
  if (!hasTrace) headers.push('x-cloud-trace-context', traceContext);
  if (takesTrailers) headers.push('te', 'trailers');
  if (isEarlyData) headers.push('early-data', '1');
  if (edits === null) {
    custom?.append(headers, request);
  } else {
    edits.apply(headers, request);
    custom?.overwrite(headers, request);
  }
  return headers;
}

/**
 * The fields that a client gets: the backend's without hop-by-hop and Connection-named ones, then `via`. Without Content-Length
 * where none may be (1xx and 204, RFC 9110 section 8.6); a repeated one is sent once. Null when a field must not be sent
 * (RFC 9110 section 5.5): such a response is corrupted, and leaving the field out would be repairing it.
 *
 * Where Trailer announces trailers, Content-Length goes as well: HTTP/1.1 has none after a body of known length, and the
 * frontend would end an HTTP/2 stream with its last DATA.
 */
export function clientResponseHeaders(source: HeaderList, status: number): string[] | null {
  const named = connectionNames(source);
  const headers: string[] = [];
  const mayHaveLength = status >= 200 && status !== 204;
  let lengthAt = -1;
  let announcesTrailers = false;
  for (let i = 0; i < source.length; i += 2) {
    const name = source[i]!;
    if (isHopByHop(name)) {
      if (name === 'trailer') announcesTrailers = true;
      continue;
    }
    if (named?.has(name)) continue;
    if (name.length === 14 && name === 'content-length') {
      if (!mayHaveLength || lengthAt !== -1) continue;
      lengthAt = headers.length;
    }
    let value = source[i + 1]!;
    if (!isFieldValue(value)) {
      value = withoutOws(value); // parsers leave it at the end; it is no part of the value
      if (!isFieldValue(value)) return null;
    }
    if (!isLowerCaseToken(name)) return null;
    headers.push(name, value);
  }
  if (announcesTrailers && lengthAt !== -1) headers.splice(lengthAt, 2);
  headers.push('via', VIA);
  return headers;
}

/** The Content-Length of a response: -1 without one, -2 when it is no number or two disagree (RFC 9112 section 6.3). */
export function responseContentLength(headers: HeaderList): number {
  let length = -1;
  for (let i = 0; i < headers.length; i += 2) {
    if (headers[i]!.length !== 14 || headers[i] !== 'content-length') continue;
    const declared = decimal(withoutOws(headers[i + 1]!));
    if (declared === -1 || (length !== -1 && length !== declared)) return -2;
    length = declared;
  }
  return length;
}

/**
 * How often a request has passed a Sallyport, by its Via fields. One does not know its siblings, and an edge before a sidecar is
 * no loop, so forward refuses only what has passed more of them than any real chain has.
 */
export function viaCount(headers: HeaderList): number {
  let count = 0;
  for (let i = 0; i < headers.length; i += 2) {
    if (headers[i]!.length !== 3 || headers[i] !== 'via') continue;
    const value = headers[i + 1]!;
    let at = value.indexOf(VIA);
    while (at !== -1) {
      const next = value.charCodeAt(at + VIA.length); // NaN at the end
      if (Number.isNaN(next) || next === COMMA || next === SPACE) count++;
      at = value.indexOf(VIA, at + VIA.length);
    }
  }
  return count;
}

/** True for the name itself and for every spelling of it with `_` instead of `-`. */
function isSpelledWithUnderscore(name: string, own: string): boolean {
  for (let i = 0; i < own.length; i++) {
    const byte = name.charCodeAt(i);
    if ((byte === UNDERSCORE ? DASH : byte) !== own.charCodeAt(i)) return false;
  }
  return true;
}

function withoutOws(text: string): string {
  let from = 0;
  let to = text.length;
  while (from < to && isOws(text.charCodeAt(from))) from++;
  while (to > from && isOws(text.charCodeAt(to - 1))) to--;
  return text.slice(from, to);
}

function isOws(byte: number): boolean {
  return byte === SPACE || byte === TAB;
}

function decimal(text: string): number {
  if (text.length === 0 || text.length > 15) return -1; // 15 digits are exact in a Number
  let value = 0;
  for (let i = 0; i < text.length; i++) {
    const digit = text.charCodeAt(i) - 0x30;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  return value;
}

const VIA = '1.1 sallyport'; // Google writes 1.1 whatever was received (spec 4.2), and so do we
const TAB = 0x09;
const SPACE = 0x20;
const COMMA = 0x2c;
const DASH = 0x2d;
const UNDERSCORE = 0x5f;
