// hot path: the body of one whole ClientHello. Every read is checked against `end`; lengths are a stranger's.
import { isIP } from 'node:net';
import type { ClientHello } from './client-hello.ts';

/** Parses bytes[start, end) of a ClientHello without its header; a string says what is wrong with it. */
export function parseHello(bytes: Buffer, start: number, end: number, recordVersion: number): ClientHello | string {
  if (end - start < 35) return 'ClientHello shorter than its fixed part';
  const legacyVersion = uint16(bytes, start);
  if (legacyVersion >> 8 !== 3) return `ClientHello of version ${legacyVersion >> 8}.x`;
  let at = start + 34; // version and random
  const sessionIdBytes = bytes[at]!;
  if (sessionIdBytes > 32) return 'session id over 32 bytes';
  at += 1 + sessionIdBytes;
  if (at + 2 > end) return 'truncated at the cipher suites';
  const suitesEnd = at + 2 + uint16(bytes, at);
  at += 2;
  if (suitesEnd > end || suitesEnd === at || (suitesEnd - at) % 2 !== 0) return 'bad length of the cipher suites';
  const cipherSuites = codesBetween(bytes, at, suitesEnd);
  at = suitesEnd;
  if (at >= end) return 'truncated at the compression methods';
  const compressionEnd = at + 1 + bytes[at]!;
  at += 1;
  if (compressionEnd > end || compressionEnd === at) return 'bad length of the compression methods';
  const compressionMethods = bytesBetween(bytes, at, compressionEnd);
  at = compressionEnd;
  if (!compressionMethods.includes(0)) return 'null compression is not offered'; // RFC 5246 §7.4.1.2

  const hello = new Hello(
    recordVersion,
    legacyVersion,
    cipherSuites,
    compressionMethods,
    cipherSuites.includes(FALLBACK_SCSV),
    end - start + 4,
  );
  if (at === end) return hello; // TLS <= 1.2 without extensions
  if (at + 2 > end || at + 2 + uint16(bytes, at) !== end) return 'bad length of the extensions';
  return parseExtensions(hello, bytes, at + 2, end);
}

class Hello implements ClientHello {
  readonly recordVersion: number;
  readonly legacyVersion: number;
  readonly cipherSuites: readonly number[];
  readonly compressionMethods: readonly number[];
  readonly fallbackScsv: boolean;
  readonly byteLength: number;
  extensions: readonly number[] = NONE;
  supportedVersions: number[] | null = null;
  groups: number[] | null = null;
  keyShares: number[] | null = null;
  pointFormats: number[] | null = null;
  signatureAlgorithms: number[] | null = null;
  signatureAlgorithmsCert: number[] | null = null;
  alpn: string[] | null = null;
  serverName: string | null = null;
  serverNameAsSent: string | null = null;
  ticketKeyName: Buffer | null = null;
  hasPreSharedKey = false;
  hasSessionTicket = false;
  statusRequest = false;
  earlyData = false;

  constructor(
    recordVersion: number,
    legacyVersion: number,
    cipherSuites: number[],
    compressionMethods: number[],
    fallbackScsv: boolean,
    byteLength: number,
  ) {
    this.recordVersion = recordVersion;
    this.legacyVersion = legacyVersion;
    this.cipherSuites = cipherSuites;
    this.compressionMethods = compressionMethods;
    this.fallbackScsv = fallbackScsv;
    this.byteLength = byteLength;
  }
}

function parseExtensions(hello: Hello, bytes: Buffer, start: number, end: number): ClientHello | string {
  const types: number[] = [];
  let greased = false;
  let many: Set<number> | null = null; // a 64 KiB hello holds up to 16,000 of them, an ordinary one under 20
  let at = start;
  while (at < end) {
    if (at + 4 > end) return 'truncated extension';
    const type = uint16(bytes, at);
    const dataEnd = at + 4 + uint16(bytes, at + 2);
    if (dataEnd > end) return `extension ${type} reaches past the end`;
    if (many === null ? types.includes(type) : many.has(type)) return `extension ${type} occurs twice`; // RFC 8446 §4.2
    types.push(type);
    if (many !== null) many.add(type);
    else if (types.length === FEW_EXTENSIONS) many = new Set(types);
    if (hello.hasPreSharedKey) return 'pre_shared_key is not the last extension'; // RFC 8446 §4.2.11
    if (isGrease(type)) greased = true;
    const error = parseExtension(hello, type, bytes, at + 4, dataEnd);
    if (error !== '') return error;
    at = dataEnd;
  }
  hello.extensions = greased ? types.filter((type) => !isGrease(type)) : types;
  return hello;
}

/** Empty: fine (or an extension that nobody here reads). */
function parseExtension(hello: Hello, type: number, bytes: Buffer, at: number, end: number): string {
  switch (type) {
    case 0:
      return parseServerName(hello, bytes, at, end);
    case 5:
      hello.statusRequest = true;
      return '';
    case 10:
      hello.groups = codeList(bytes, at, end, 2);
      return hello.groups === null ? 'bad supported_groups' : '';
    case 11:
      hello.pointFormats = byteList(bytes, at, end);
      return hello.pointFormats === null ? 'bad ec_point_formats' : '';
    case 13:
      hello.signatureAlgorithms = codeList(bytes, at, end, 2);
      return hello.signatureAlgorithms === null ? 'bad signature_algorithms' : '';
    case 16:
      hello.alpn = protocolNames(bytes, at, end);
      return hello.alpn === null ? 'bad application_layer_protocol_negotiation' : '';
    case 35:
      hello.hasSessionTicket = end > at; // an empty one only asks for a ticket
      if (end - at >= TICKET_KEY_NAME_BYTES) hello.ticketKeyName = copyOf(bytes, at);
      return '';
    case 41:
      return parsePreSharedKey(hello, bytes, at, end);
    case 42:
      hello.earlyData = true;
      return '';
    case 43:
      hello.supportedVersions = codeList(bytes, at, end, 1);
      return hello.supportedVersions === null ? 'bad supported_versions' : '';
    case 50:
      hello.signatureAlgorithmsCert = codeList(bytes, at, end, 2);
      return hello.signatureAlgorithmsCert === null ? 'bad signature_algorithms_cert' : '';
    case 51:
      hello.keyShares = keyShareGroups(bytes, at, end);
      return hello.keyShares === null ? 'bad key_share' : '';
    default:
      return '';
  }
}

/** RFC 6066 §3 allows one name a type and knows one type. */
function parseServerName(hello: Hello, bytes: Buffer, start: number, end: number): string {
  if (end - start < 5 || start + 2 + uint16(bytes, start) !== end) return 'bad server_name';
  if (bytes[start + 2] !== 0) return 'server_name of an unknown type';
  const nameStart = start + 5;
  const nameEnd = nameStart + uint16(bytes, start + 3);
  if (nameEnd > end) return 'bad server_name';
  if (nameEnd < end) return 'several server names';
  if (nameEnd - nameStart > MAX_NAME_BYTES + 1) return 'server name over 253 bytes';
  let colon = false;
  let upperCase = false;
  let emptyLabel = nameEnd === nameStart;
  for (let i = nameStart; i < nameEnd; i++) {
    const byte = bytes[i]!;
    if (byte === COLON) colon = true;
    else if (byte >= UPPER_A && byte <= UPPER_Z) upperCase = true;
    else if (!isNameByte(byte)) return 'server name with bytes outside [A-Za-z0-9._-]';
    if (byte === DOT && (i === nameStart || bytes[i - 1] === DOT)) emptyLabel = true;
  }
  if (emptyLabel) return 'server name with an empty label';
  const sent = bytes.toString('latin1', nameStart, nameEnd);
  hello.serverNameAsSent = sent;
  if (colon) return isIP(sent) === 6 ? '' : 'server name with bytes outside [A-Za-z0-9._-]';
  const name = bytes[nameEnd - 1] === DOT ? sent.slice(0, -1) : sent;
  if (name.length > MAX_NAME_BYTES) return 'server name over 253 bytes';
  // RFC 6066 §3: literals are not permitted; it counts as none. One of IPv4 ends with a digit
  if (isDigit(name.charCodeAt(name.length - 1)) && isIP(name) !== 0) return '';
  hello.serverName = upperCase ? name.toLowerCase() : name;
  return '';
}

function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39;
}

/** But for the upper-case letters. */
function isNameByte(byte: number): boolean {
  return (byte >= 0x61 && byte <= 0x7a) || isDigit(byte) || byte === DOT || byte === 0x2d || byte === 0x5f;
}

/** Two-byte codes behind a length of `lengthBytes`; at least one of them (RFC 8446 §4.2); GREASE left out; null: bad. */
function codeList(bytes: Buffer, start: number, end: number, lengthBytes: 1 | 2): number[] | null {
  if (end - start < lengthBytes) return null;
  const at = start + lengthBytes;
  const length = lengthBytes === 1 ? bytes[start]! : uint16(bytes, start);
  if (at + length !== end || length === 0 || length % 2 !== 0) return null;
  return codesBetween(bytes, at, end);
}

function codesBetween(bytes: Buffer, start: number, end: number): number[] {
  const codes: number[] = [];
  for (let at = start; at < end; at += 2) {
    const code = uint16(bytes, at);
    if (!isGrease(code)) codes.push(code);
  }
  return codes;
}

function bytesBetween(bytes: Buffer, start: number, end: number): number[] {
  const list: number[] = [];
  for (let at = start; at < end; at++) list.push(bytes[at]!);
  return list;
}

function byteList(bytes: Buffer, start: number, end: number): number[] | null {
  if (end - start < 2 || start + 1 + bytes[start]! !== end) return null;
  return bytesBetween(bytes, start + 1, end);
}

function protocolNames(bytes: Buffer, start: number, end: number): string[] | null {
  if (end - start < 4 || start + 2 + uint16(bytes, start) !== end) return null;
  const names: string[] = [];
  let at = start + 2;
  while (at < end) {
    const nameEnd = at + 1 + bytes[at]!;
    if (nameEnd > end || nameEnd === at + 1) return null; // RFC 7301 §3.1: no empty names
    if (nameEnd - at !== 3 || !isGrease(uint16(bytes, at + 1))) names.push(bytes.toString('latin1', at + 1, nameEnd));
    at = nameEnd;
  }
  return names;
}

function keyShareGroups(bytes: Buffer, start: number, end: number): number[] | null {
  if (end - start < 2 || start + 2 + uint16(bytes, start) !== end) return null;
  const groups: number[] = [];
  let at = start + 2; // may be empty: the client asks for a HelloRetryRequest
  while (at < end) {
    if (at + 4 > end) return null;
    const group = uint16(bytes, at);
    const shareBytes = uint16(bytes, at + 2);
    at += 4 + shareBytes;
    if (shareBytes === 0 || at > end) return null;
    if (!isGrease(group)) groups.push(group);
  }
  return groups;
}

function parsePreSharedKey(hello: Hello, bytes: Buffer, start: number, end: number): string {
  if (end - start < 2) return 'bad pre_shared_key';
  const identitiesEnd = start + 2 + uint16(bytes, start);
  if (identitiesEnd > end || identitiesEnd - start < 4) return 'bad pre_shared_key';
  const identityBytes = uint16(bytes, start + 2);
  if (identityBytes === 0 || start + 4 + identityBytes > identitiesEnd) return 'bad pre_shared_key';
  hello.hasPreSharedKey = true;
  if (identityBytes >= TICKET_KEY_NAME_BYTES) hello.ticketKeyName = copyOf(bytes, start + 4);
  return '';
}

/** A copy: a slice would keep the whole hello alive. */
function copyOf(bytes: Buffer, at: number): Buffer {
  return Buffer.from(bytes.subarray(at, at + TICKET_KEY_NAME_BYTES));
}

/** Without the checks of readUInt16BE: whoever calls has compared `at` with the end. */
function uint16(bytes: Buffer, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!;
}

/** RFC 8701: 0x0a0a, 0x1a1a, … 0xfafa. */
function isGrease(code: number): boolean {
  return (code & 0x0f0f) === 0x0a0a && code >> 8 === (code & 0xff);
}

const NONE: readonly number[] = [];
const FALLBACK_SCSV = 0x5600; // RFC 7507
const TICKET_KEY_NAME_BYTES = 16; // RFC 5077 §4, and OpenSSL
const MAX_NAME_BYTES = 253; // RFC 1035 §2.3.4 as text
const FEW_EXTENSIONS = 32; // up to here an array is searched faster than a set is filled
const UPPER_A = 0x41;
const UPPER_Z = 0x5a;
const DOT = 0x2e;
const COLON = 0x3a;
