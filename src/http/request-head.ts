// hot path
/**
 * Reads a request head once, for both protocols: the fields of an Exchange, or why it is refused. Node's parsers accept more
 * than is safe to forward (two Hosts, `a/b@c` as authority, `gzip, chunked`, HTTP/0.9 and "HTTP/2.0" request lines, fragments);
 * what they accept is checked here, what they refuse never gets here.
 */
import { METHODS } from 'node:http';
import { isIPv6 } from 'node:net';
import type { ErrorCode } from '../base/errors.ts';
import { ProxyError } from '../base/errors.ts';
import type { HeaderList } from './exchange.ts';
import { isFieldValue, isLowerCaseToken, isToken } from './field-value.ts';

export class RequestHead {
  method: string;
  /** host[:port]; empty only for an HTTP/1.0 request without Host. */
  authority: string;
  /** Origin-form as received, or '*'. */
  target: string;
  headers: HeaderList;
  /** As one would write it in HTTP/1.1; spec 4.3 limits this. */
  bytes: number;
  /** 0: no body; -1: length unknown until it ends. */
  contentLength: number;
  expectsContinue: boolean;
  isWebSocket: boolean;
  /** The connection cannot carry another request: HTTP/1.0, `Connection: close`, or a refused HTTP/1 head (its framing is not trusted). */
  isLast: boolean;
  rejection: ProxyError | null;

  constructor(method: string, target: string) {
    this.method = method;
    this.authority = '';
    this.target = target;
    this.headers = NO_HEADERS;
    this.bytes = 0;
    this.contentLength = 0;
    this.expectsContinue = false;
    this.isWebSocket = false;
    this.isLast = false;
    this.rejection = null;
  }
}

/**
 * @param rawHeaders flat, names as received, values without surrounding whitespace
 * @param secure false on a plaintext connection
 */
export function readHttp1Head(
  method: string,
  requestTarget: string,
  versionMajor: number,
  versionMinor: number,
  rawHeaders: readonly string[],
  secure: boolean,
): RequestHead {
  const head = new RequestHead(method, requestTarget);
  if (versionMajor !== 1 || versionMinor > 1) {
    // RFC 9112 section 2.6; Node's parser lets 0.9 and 2.0 through
    return refuseLast(head, 'http_version_not_supported', `HTTP/${versionMajor}.${versionMinor}`);
  }
  head.isLast = versionMinor === 0; // RFC 9112 section 9.3: a proxy keeps no connection to an HTTP/1.0 client

  const headers: string[] = [];
  let size = method.length + requestTarget.length + REQUEST_LINE_OVERHEAD;
  let hosts = 0;
  let lengths = 0;
  let codings = 0;
  let expects = 0;
  let upgrades = 0;
  let length = 0;
  let coding = '';
  let expectation = '';
  let upgrade = '';
  let connectionOptions = 0;
  let disguised = '';
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!.toLowerCase();
    const value = rawHeaders[i + 1]!;
    size += name.length + value.length + FIELD_LINE_OVERHEAD;
    switch (name) {
      case 'host':
        hosts++;
        head.authority = value;
        continue;
      case 'content-length':
        lengths++;
        length = readLength(value);
        break;
      case 'transfer-encoding':
        codings++;
        coding = value;
        break;
      case 'expect':
        expects++;
        expectation = value;
        break;
      case 'connection':
        connectionOptions |= readConnectionOptions(value);
        break;
      case 'upgrade':
        upgrades++;
        upgrade = value;
        continue; // added back below for the one upgrade that is carried
      case 'http2-settings':
        continue; // RFC 9113 section 3.1 withdrew the upgrade to h2c
      case 'content_length':
      case 'transfer_encoding':
        disguised = name;
        break;
    }
    headers.push(name, value);
  }
  head.headers = headers;
  head.bytes = size;

  if (size > MAX_HEAD_BYTES || headers.length > MAX_FIELDS * 2)
    return refuseLast(head, 'headers_too_long', `${size} bytes`);
  if (hosts > 1) return refuseLast(head, 'invalid_request_headers', `${hosts} Host fields`);
  if (hosts === 0 && versionMinor === 1) return refuseLast(head, 'invalid_request_headers', 'no Host field');
  if (lengths > 1) return refuseLast(head, 'invalid_request_headers', `${lengths} Content-Length fields`);
  if (length < 0) return refuseLast(head, 'invalid_request_headers', 'Content-Length is not a number');
  // servers that hand fields to CGI or WSGI read `_` as `-`, some of them before they look for the framing
  if (disguised !== '') return refuseLast(head, 'invalid_request_headers', `${disguised}, which some servers frame by`);
  if (codings > 0) {
    // RFC 9112 section 6.1: in HTTP/1.0, with Content-Length, or as anything but `chunked` it is how requests are smuggled
    if (versionMinor === 0) return refuseLast(head, 'invalid_request_headers', 'Transfer-Encoding in HTTP/1.0');
    if (lengths > 0) return refuseLast(head, 'invalid_request_headers', 'Transfer-Encoding and Content-Length');
    if (codings > 1 || !equalsIgnoreCase(coding, 'chunked')) {
      return refuseLast(head, 'invalid_request_headers', 'Transfer-Encoding other than chunked');
    }
    head.contentLength = -1;
  } else {
    head.contentLength = length;
  }
  if (!METHOD_IS_CARRIED.has(method)) return refuseLast(head, 'unsupported_method', '');
  if (!readTarget(head, requestTarget, secure)) return head;
  if ((hosts > 0 || head.authority !== '') && !isAuthority(head.authority)) {
    return refuseLast(head, 'invalid_request_headers', 'the authority is not host[:port]');
  }
  if (method === 'TRACE' && head.contentLength !== 0) return refuseLast(head, 'body_not_allowed', 'TRACE'); // RFC 9110 section 9.3.8

  if (expects > 0 && versionMinor === 1) {
    // RFC 9110 section 10.1.1: an HTTP/1.0 client that asks is not to be answered
    if (expects > 1 || !equalsIgnoreCase(expectation, '100-continue')) {
      return refuseLast(head, 'unsupported_100_continue', 'Expect other than 100-continue');
    }
    head.expectsContinue = head.contentLength !== 0;
  }
  if (upgrades > 0 && versionMinor === 1 && (connectionOptions & OPTION_UPGRADE) !== 0) {
    if (upgrades === 1 && equalsIgnoreCase(upgrade, 'websocket')) {
      if (method !== 'GET' || head.contentLength !== 0) {
        return refuseLast(head, 'upgrade_header_rejected', 'WebSocket needs GET without a body');
      }
      head.isWebSocket = true;
      headers.push('upgrade', upgrade);
    } // h2c and the rest: a server may ignore Upgrade (RFC 9110 section 7.8), so it is an ordinary request
  }
  if ((connectionOptions & OPTION_CLOSE) !== 0) head.isLast = true;
  return head;
}

/**
 * A WebSocket's extended CONNECT (RFC 8441) is read as the GET with Upgrade that it stands for.
 *
 * @param rawHeaders flat, pseudo-header fields included
 * @param endStream true when HEADERS had END_STREAM, so that no body follows
 */
export function readHttp2Head(rawHeaders: readonly string[], endStream: boolean): RequestHead {
  const head = new RequestHead('', '');
  const headers: string[] = [];
  let size = REQUEST_LINE_OVERHEAD;
  let authority: string | null = null;
  let host: string | null = null;
  let hosts = 0;
  let lengths = 0;
  let length = 0;
  let expects = 0;
  let expectation = '';
  let malformed = '';
  let protocol: string | null = null;
  let hasScheme = false;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!;
    const value = rawHeaders[i + 1]!;
    size += name.length + value.length + FIELD_LINE_OVERHEAD;
    if (name.charCodeAt(0) === COLON) {
      if (name === ':method') head.method = value;
      else if (name === ':path') head.target = value;
      else if (name === ':authority') authority = value;
      else if (name === ':protocol') protocol = value;
      else if (name === ':scheme') hasScheme = true;
      else malformed = 'unknown pseudo-header field';
      continue;
    }
    if (!isLowerCaseToken(name) || !isFieldValue(value)) {
      malformed = 'a field violates RFC 9113 section 8.2.1';
      continue;
    }
    switch (name) {
      case 'host':
        hosts++;
        host = value;
        continue;
      case 'content-length':
        lengths++;
        length = readLength(value);
        break;
      case 'expect':
        expects++;
        expectation = value;
        break;
      case 'te':
        if (!equalsIgnoreCase(value, 'trailers')) malformed = 'te other than trailers';
        break;
      case 'connection':
      case 'keep-alive':
      case 'proxy-connection':
      case 'transfer-encoding':
      case 'upgrade':
        malformed = 'a connection-specific field (RFC 9113 section 8.2.2)';
        continue;
      case 'content_length':
      case 'transfer_encoding':
        malformed = `${name}, which some servers frame by`;
        continue;
      case 'http2-settings':
      case 'sec-websocket-key': // means nothing in HTTP/2 (RFC 8441 section 5): the backend gets one of ours
        continue;
    }
    headers.push(name, value);
  }
  head.headers = headers;
  head.bytes = size;
  head.authority = authority ?? host ?? '';
  head.contentLength = endStream ? 0 : lengths > 0 ? length : -1;

  if (size > MAX_HEAD_BYTES || headers.length > MAX_FIELDS * 2)
    return refuse(head, 'headers_too_long', `${size} bytes`);
  if (malformed !== '') return refuse(head, 'invalid_http2_client_header_format', malformed);
  if (lengths > 1 || length < 0 || (endStream && length > 0)) {
    return refuse(head, 'invalid_http2_client_header_format', 'content-length');
  }
  if (protocol !== null) {
    const found = extendedConnectRefusal(head, protocol, hasScheme && authority !== null, lengths > 0 || endStream);
    if (found !== '') return refuse(head, 'upgrade_header_rejected', found);
    head.method = 'GET';
    head.isWebSocket = true;
    head.contentLength = 0;
  }
  if (!METHOD_IS_CARRIED.has(head.method)) {
    return refuse(head, isToken(head.method) ? 'unsupported_method' : 'failed_parsing_client_headers', 'method');
  }
  if (hosts > 1) return refuse(head, 'invalid_request_headers', `${hosts} host fields`);
  if (authority !== null && host !== null && !equalsIgnoreCase(authority, host)) {
    return refuse(head, 'invalid_request_headers', ':authority and host differ'); // RFC 9113 section 8.3.1
  }
  if (!isAuthority(head.authority)) return refuse(head, 'invalid_request_headers', ':authority is not host[:port]');
  if (!isOriginForm(head.target) && !(head.target === '*' && head.method === 'OPTIONS')) {
    return refuse(head, 'invalid_http2_client_request_path', '');
  }
  if (head.method === 'TRACE' && head.contentLength !== 0) return refuse(head, 'body_not_allowed', 'TRACE');
  if (expects > 0) {
    if (expects > 1 || !equalsIgnoreCase(expectation, '100-continue')) {
      return refuse(head, 'unsupported_100_continue', 'expect other than 100-continue');
    }
    head.expectsContinue = head.contentLength !== 0;
  }
  return head;
}

/** Why an extended CONNECT (RFC 8441 section 4) is no WebSocket request, or ''. */
function extendedConnectRefusal(head: RequestHead, protocol: string, isWhole: boolean, hasLength: boolean): string {
  if (head.method !== 'CONNECT') return ':protocol with a method other than CONNECT';
  if (protocol !== 'websocket') return ':protocol other than websocket';
  if (!isWhole || head.target === '') return 'an extended CONNECT without :scheme, :authority or :path';
  return hasLength ? 'an extended CONNECT with a body, or whose stream has ended' : '';
}

/**
 * host[:port] with a registered name, an IPv4 address or a bracketed IPv6 address. Narrower than RFC 3986: no userinfo, no
 * percent-encoding, no sub-delims, no empty port. Nothing real uses them, and they are read differently by different parsers.
 */
export function isAuthority(text: string): boolean {
  const end = text.length;
  if (end === 0 || end > MAX_AUTHORITY_LENGTH) return false;
  let i = 0;
  if (text.charCodeAt(0) === OPEN_BRACKET) {
    const close = text.indexOf(']');
    const address = text.slice(1, close);
    if (close < 0 || address.includes('%') || !isIPv6(address)) return false; // a zone (RFC 6874) means nothing outside one host
    i = close + 1;
  } else {
    while (i < end) {
      const byte = text.charCodeAt(i);
      if (byte > 0x7f || HOST_BYTE[byte]! === 0) break;
      i++;
    }
    if (i === 0) return false;
  }
  if (i === end) return true;
  if (text.charCodeAt(i) !== COLON) return false;
  const digits = end - i - 1;
  if (digits < 1 || digits > 5) return false;
  let port = 0;
  for (i++; i < end; i++) {
    const digit = text.charCodeAt(i) - 0x30;
    if (digit < 0 || digit > 9) return false;
    port = port * 10 + digit;
  }
  return port <= 65535;
}

/** Origin-form, `*` for OPTIONS, or absolute-form, whose authority replaces Host (RFC 9112 section 3.2.2). False: refused. */
function readTarget(head: RequestHead, target: string, secure: boolean): boolean {
  const first = target.charCodeAt(0);
  if (first === SLASH) {
    if (isOriginForm(target)) return true;
    refuseLast(
      head,
      'failed_parsing_client_headers',
      'the request target has a fragment or a byte outside visible ASCII',
    );
    return false;
  }
  if (target === '*' && head.method === 'OPTIONS') return true;
  const schemeLength = startsWithIgnoreCase(target, 'https://') ? 8 : startsWithIgnoreCase(target, 'http://') ? 7 : 0;
  if (schemeLength === 0) {
    refuseLast(head, 'failed_parsing_client_headers', 'the request target is neither origin-form nor absolute-form');
    return false;
  }
  if (schemeLength === 8 && !secure) {
    refuseLast(head, 'secure_url_rejected', '');
    return false;
  }
  let end = schemeLength;
  while (end < target.length && target.charCodeAt(end) !== SLASH && target.charCodeAt(end) !== QUESTION_MARK) end++;
  head.authority = target.slice(schemeLength, end);
  const rest = target.slice(end);
  // RFC 9112 section 3.2.4: an OPTIONS of a bare authority is for the server as a whole
  if (rest === '') head.target = head.method === 'OPTIONS' ? '*' : '/';
  else head.target = rest.charCodeAt(0) === SLASH ? rest : `/${rest}`;
  if (head.authority !== '' && (head.target === '*' || isOriginForm(head.target))) return true;
  refuseLast(head, 'failed_parsing_client_headers', 'the absolute-form target is malformed');
  return false;
}

function isOriginForm(target: string): boolean {
  if (target.charCodeAt(0) !== SLASH) return false;
  for (let i = 1; i < target.length; i++) {
    const byte = target.charCodeAt(i);
    if (byte <= 0x20 || byte >= 0x7f || byte === HASH) return false;
  }
  return true;
}

/** Digits only (RFC 9110 section 8.6); -1 for anything else and for what no Number holds exactly. */
function readLength(value: string): number {
  if (value.length === 0 || value.length > 15) return -1;
  let length = 0;
  for (let i = 0; i < value.length; i++) {
    const digit = value.charCodeAt(i) - 0x30;
    if (digit < 0 || digit > 9) return -1;
    length = length * 10 + digit;
  }
  return length;
}

/** The options of a Connection field that concern us, as bits. */
function readConnectionOptions(value: string): number {
  if (value.length === 10 && equalsIgnoreCase(value, 'keep-alive')) return 0;
  let options = 0;
  let start = 0;
  for (let i = 0; i <= value.length; i++) {
    if (i < value.length && value.charCodeAt(i) !== COMMA) continue;
    const option = value.slice(start, i).trim();
    if (equalsIgnoreCase(option, 'close')) options |= OPTION_CLOSE;
    else if (equalsIgnoreCase(option, 'upgrade')) options |= OPTION_UPGRADE;
    start = i + 1;
  }
  return options;
}

function equalsIgnoreCase(text: string, lowerCase: string): boolean {
  return text.length === lowerCase.length && (text === lowerCase || text.toLowerCase() === lowerCase);
}

function startsWithIgnoreCase(text: string, lowerCase: string): boolean {
  return text.length >= lowerCase.length && text.slice(0, lowerCase.length).toLowerCase() === lowerCase;
}

function refuse(head: RequestHead, code: ErrorCode, detail: string): RequestHead {
  head.rejection = new ProxyError(code, detail === '' ? { phase: 'head' } : { phase: 'head', detail });
  return head;
}

function refuseLast(head: RequestHead, code: ErrorCode, detail: string): RequestHead {
  head.isLast = true;
  head.expectsContinue = false;
  return refuse(head, code, detail);
}

export const MAX_HEAD_BYTES = 60 * 1024; // spec 4.3: request line and headers
const MAX_FIELDS = 1000; // ours: no browser comes near; Node would drop fields beyond 1000 in silence
const MAX_AUTHORITY_LENGTH = 261; // 255 bytes of a DNS name (RFC 1035), a colon and five digits
const REQUEST_LINE_OVERHEAD = ' '.length + ' HTTP/1.1\r\n'.length + '\r\n'.length;
const FIELD_LINE_OVERHEAD = ': \r\n'.length;
const NO_HEADERS: HeaderList = [];
const METHOD_IS_CARRIED: ReadonlySet<string> = new Set(METHODS.filter((method) => method !== 'CONNECT'));

const OPTION_CLOSE = 1;
const OPTION_UPGRADE = 2;

const HASH = 0x23;
const COMMA = 0x2c;
const SLASH = 0x2f;
const COLON = 0x3a;
const QUESTION_MARK = 0x3f;
const OPEN_BRACKET = 0x5b;

const HOST_BYTE = new Uint8Array(128);
for (const character of '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-._~')
  HOST_BYTE[character.charCodeAt(0)] = 1;
