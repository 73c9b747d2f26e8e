// hot path: one pass over the fields of each response.
import { badFieldLine, readFieldLines } from './_http1-lines.ts';

/** The fields of a head or of trailers, and what of them concerns the framing and the connection. */
export class ResponseFields {
  /** Flat, names in lower case, values as latin1 without whitespace around them; in the order of the wire. */
  readonly list: string[] = [];
  /** As `name: value CR LF` of each, whatever whitespace there was. */
  bytes = 0;
  /** -1: none. */
  contentLength = -1;
  isChunked = false;
  /** What the Connection field says. */
  closes = false;
  keepsAlive = false;
  /** Of the Keep-Alive field; -1: none. */
  keepAliveMs = -1;
}

/**
 * Reads field lines, each with its line break, from `at` to the end of the text. What it refuses it names, so that it fits behind
 * "the backend sent": what is no field line (a folded one among them), and more than one framing (RFC 9112 section 6.3).
 */
export function readResponseFields(text: string, at: number): ResponseFields | string {
  const fields = new ResponseFields();
  const { list } = fields;
  if (readFieldLines(text, at, list) !== -1) return `a head in which ${badFieldLine(list.length / 2)}`;
  for (let i = 0; i < list.length; i += 2) {
    const name = list[i]!.toLowerCase();
    const value = list[i + 1]!;
    list[i] = name;
    fields.bytes += name.length + value.length + FIELD_OVERHEAD;
    const fault = readOwnField(fields, name, value);
    if (fault !== null) return fault;
  }
  // what one recipient reads by the one, another reads by the other
  if (fields.isChunked && fields.contentLength !== -1) return 'both Content-Length and Transfer-Encoding';
  return fields;
}

/** Those that say where the body ends, and what becomes of the connection. */
function readOwnField(fields: ResponseFields, name: string, value: string): string | null {
  switch (name.length) {
    case 10:
      if (name === 'connection') readConnection(fields, value);
      else if (name === 'keep-alive') fields.keepAliveMs = keepAliveMs(value);
      return null;
    case 14:
      return name === 'content-length' ? readContentLength(fields, value) : null;
    case 16:
      if (name === 'proxy-connection') readConnection(fields, value);
      return null;
    case 17:
      if (name !== 'transfer-encoding') return null;
      if (fields.isChunked || value.toLowerCase() !== 'chunked') return 'a Transfer-Encoding other than chunked';
      fields.isChunked = true;
      return null;
    default:
      return null;
  }
}

/** Digits only, once: a list of the same length is allowed (RFC 9110 section 8.6), and no server has a reason to send one. */
function readContentLength(fields: ResponseFields, value: string): string | null {
  if (fields.contentLength !== -1) return 'more than one Content-Length';
  if (value.length === 0 || value.length > MAX_LENGTH_DIGITS) return NO_LENGTH;
  let length = 0;
  for (let i = 0; i < value.length; i++) {
    const digit = value.charCodeAt(i) - 0x30;
    if (digit < 0 || digit > 9) return NO_LENGTH;
    length = length * 10 + digit;
  }
  fields.contentLength = length;
  return null;
}

function readConnection(fields: ResponseFields, value: string): void {
  if (value === 'keep-alive') {
    fields.keepsAlive = true;
    return;
  }
  for (const option of value.toLowerCase().split(',')) {
    const word = option.trim();
    if (word === 'close') fields.closes = true;
    else if (word === 'keep-alive') fields.keepsAlive = true;
  }
}

/** `timeout=5, max=100` (RFC 2068 section 19.7.1.1). */
function keepAliveMs(value: string): number {
  for (const parameter of value.split(',')) {
    const [name = '', seconds = ''] = parameter.split('=', 2);
    if (name.trim().toLowerCase() !== 'timeout') continue;
    const read = Number.parseInt(seconds, 10);
    return Number.isNaN(read) ? -1 : read * 1000;
  }
  return -1;
}

const FIELD_OVERHEAD = ': \r\n'.length;
const MAX_LENGTH_DIGITS = 15; // exact in a Number
const NO_LENGTH = 'a Content-Length that is no number';
