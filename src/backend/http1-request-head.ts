// hot path: once per attempt.
import { isFieldByte, isToken, isTokenByte } from '../http/field-value.ts';
import type { BackendRequest } from './contract.ts';

/**
 * The head of a request as it is sent, up to the field that frames its body, whose CR LF ends it; null when it has what must not be sent
 * (RFC 9112 section 3, RFC 9110 section 5.5). Everything was checked where it came in: this is where a mistake there would split a request.
 */
export function requestHead(request: BackendRequest, closes: boolean): string | null {
  const { method, target, scheme, authority, headers, isWebSocket } = request;
  // RFC 9112 section 3.2.2 obliges servers to take the absolute-form, which here says the same as the asterisk-form.
  const path = target === '*' ? `${scheme}://${authority}` : target;
  if (!isToken(method) || !isPath(path) || !isValue(authority)) return null;
  const connection = isWebSocket ? 'upgrade\r\nupgrade: websocket' : closes ? 'close' : 'keep-alive';
  let head = `${method} ${path} HTTP/1.1\r\nhost: ${authority}\r\nconnection: ${connection}\r\n`;
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i]!;
    const value = headers[i + 1]!;
    if (!isFieldName(name) || isOurs(name) || !isValue(value)) return null;
    head += `${name}: ${value}\r\n`;
  }
  return head;
}

/** RFC 9110 section 9.3: what these carry is what they are for; a body of any other method may be ignored and read as the next request. */
export function expectsBody(method: string): boolean {
  switch (method) {
    case 'POST':
    case 'PUT':
    case 'PATCH':
    case 'QUERY':
    case 'PROPFIND':
    case 'PROPPATCH':
      return true;
    default:
      return false;
  }
}

/** Fields that are this connection's own, or say where the message ends. */
function isOurs(name: string): boolean {
  switch (name.length) {
    case 4:
      return name === 'host';
    case 6:
      return name === 'expect';
    case 7:
      return name === 'upgrade';
    case 10:
      return name === 'connection' || name === 'keep-alive';
    case 14:
      return name === 'content-length';
    case 17:
      return name === 'transfer-encoding';
    default:
      return false;
  }
}

/** In lower case, as all names are here: isOurs() compares them so. */
function isFieldName(name: string): boolean {
  for (let i = 0; i < name.length; i++) {
    const byte = name.charCodeAt(i);
    if (!isTokenByte(byte) || (byte >= 0x41 && byte <= 0x5a)) return false;
  }
  return name.length > 0;
}

function isValue(value: string): boolean {
  for (let i = 0; i < value.length; i++) if (!isFieldByte(value.charCodeAt(i))) return false;
  return true;
}

/** What ends a request line early, or a proxy further on would read otherwise; a byte above ASCII is passed on as it came. */
function isPath(path: string): boolean {
  for (let i = 0; i < path.length; i++) {
    const byte = path.charCodeAt(i);
    if (byte <= 0x20 || byte === 0x7f || byte > 0xff) return false;
  }
  const first = path.charCodeAt(0);
  return first === SLASH || path.startsWith('http://') || path.startsWith('https://');
}

const SLASH = 0x2f;
