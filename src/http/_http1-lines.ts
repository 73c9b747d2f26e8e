// hot path
import { isFieldByte, isTokenByte } from './field-value.ts';

interface RequestLine {
  readonly method: string;
  readonly target: string;
  readonly versionMajor: number;
  readonly versionMinor: number;
}

/** `end`: where the line ends. null: it is not `METHOD SP target SP HTTP/x.y` (RFC 9112 section 3), byte for byte. */
export function requestLineOf(text: string, end: number): RequestLine | null {
  let methodEnd = 0;
  while (methodEnd < end && isTokenByte(text.charCodeAt(methodEnd))) methodEnd++;
  if (methodEnd === 0 || methodEnd >= end || text.charCodeAt(methodEnd) !== SPACE) return null;
  const targetEnd = end - VERSION_LENGTH - 1;
  if (targetEnd <= methodEnd + 1 || text.charCodeAt(targetEnd) !== SPACE) return null;
  for (let i = methodEnd + 1; i < targetEnd; i++) {
    const byte = text.charCodeAt(i);
    if (byte === SPACE || byte === TAB || !isFieldByte(byte)) return null;
  }
  if (!text.startsWith('HTTP/', targetEnd + 1) || text.charCodeAt(end - 2) !== DOT) return null;
  const versionMajor = text.charCodeAt(end - 3) - ZERO;
  const versionMinor = text.charCodeAt(end - 1) - ZERO;
  if (versionMajor < 0 || versionMajor > 9 || versionMinor < 0 || versionMinor > 9) return null;
  const target = text.slice(methodEnd + 1, targetEnd);
  return { method: text.slice(0, methodEnd), target, versionMajor, versionMinor };
}

/**
 * Field lines (RFC 9112 section 5), each with its line break, into `fields`. Returns where the first one begins that is none, or -1.
 * No tab stands beside the value of Transfer-Encoding: parsers differ in whether it is part of it.
 */
export function readFieldLines(text: string, from: number, fields: string[]): number {
  let lineStart = from;
  while (lineStart < text.length) {
    let at = lineStart;
    while (isTokenByte(text.charCodeAt(at))) at++; // every line has an end, which is no token
    if (at === lineStart || text.charCodeAt(at) !== COLON) return lineStart;
    const name = text.slice(lineStart, at);
    at++;
    while (text.charCodeAt(at) === SPACE || text.charCodeAt(at) === TAB) at++;
    const valueStart = at;
    let valueEnd = at;
    let byte = text.charCodeAt(at);
    while (isFieldByte(byte)) {
      at++;
      if (byte !== SPACE && byte !== TAB) valueEnd = at;
      byte = text.charCodeAt(at);
    }
    if (byte !== CR || text.charCodeAt(at + 1) !== LF) return lineStart;
    if (isTransferEncoding(name) && text.slice(lineStart, at).includes('\t')) return lineStart;
    fields.push(name, text.slice(valueStart, valueEnd));
    lineStart = at + 2;
  }
  return -1;
}

export function badFieldLine(before: number): string {
  return `field line ${before + 1} is not NAME: value`;
}

function isTransferEncoding(name: string): boolean {
  return name.length === 'transfer-encoding'.length && name.toLowerCase() === 'transfer-encoding';
}

const VERSION_LENGTH = 'HTTP/1.1'.length;

const TAB = 0x09;
const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;
const DOT = 0x2e;
const ZERO = 0x30;
const COLON = 0x3a;
