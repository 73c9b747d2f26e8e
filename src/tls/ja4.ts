// hot path: for every connection.
import { hash } from 'node:crypto';
import type { ClientHello } from './client-hello.ts';

/** JA4 (FoxIO, technical_details/JA4.md): readable prefix, hash of the sorted suites, hash of the sorted extensions and signature algorithms. */
export function ja4(hello: ClientHello): string {
  const [prefix, suites, extensions] = ja4Parts(hello);
  return `${prefix}_${shortHash(suites)}_${shortHash(extensions)}`;
}

/** JA4_r: the same with the hashed texts readable. */
export function ja4Raw(hello: ClientHello): string {
  return ja4Parts(hello).join('_');
}

function ja4Parts(hello: ClientHello): [string, string, string] {
  const name = hello.extensions.includes(SERVER_NAME) ? 'd' : 'i';
  const suiteCount = count(hello.cipherSuites.length);
  const extensionCount = count(hello.extensions.length);
  const prefix = `t${versionMark(hello)}${name}${suiteCount}${extensionCount}${alpnMark(hello)}`;
  const suites = hexList(Uint16Array.from(hello.cipherSuites).sort());
  const sorted = Uint16Array.from(hello.extensions).sort();
  const extensions = hexList(sorted.filter((type) => type !== SERVER_NAME && type !== ALPN));
  const schemes = hello.signatureAlgorithms;
  if (extensions === '' || schemes === null || schemes.length === 0) return [prefix, suites, extensions];
  return [prefix, suites, `${extensions}_${hexList(schemes)}`];
}

function versionMark(hello: ClientHello): string {
  let highest = 0;
  if (hello.supportedVersions === null) highest = hello.legacyVersion;
  else for (const version of hello.supportedVersions) if (version > highest) highest = version;
  return VERSION_MARKS.get(highest) ?? '00';
}

function alpnMark(hello: ClientHello): string {
  const first = hello.alpn?.[0];
  if (first === undefined) return '00';
  if (isAlphanumeric(first.charCodeAt(0)) && isAlphanumeric(first.charCodeAt(first.length - 1))) {
    return first.charAt(0) + first.charAt(first.length - 1);
  }
  const hex = Buffer.from(first, 'latin1').toString('hex');
  return hex.charAt(0) + hex.charAt(hex.length - 1);
}

function isAlphanumeric(code: number): boolean {
  return (code >= 0x30 && code <= 0x39) || (code >= 0x41 && code <= 0x5a) || (code >= 0x61 && code <= 0x7a);
}

function count(items: number): string {
  return String(Math.min(items, 99)).padStart(2, '0');
}

/** Four lower-case hex digits each, between commas. */
function hexList(codes: readonly number[] | Uint16Array): string {
  let text = '';
  for (let i = 0; i < codes.length; i++) {
    const code = codes[i]!;
    text += (i === 0 ? '' : ',') + HEX[code >> 8] + HEX[code & 0xff];
  }
  return text;
}

function shortHash(text: string): string {
  return text === '' ? '000000000000' : hash('sha256', text).slice(0, 12);
}

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));
const SERVER_NAME = 0x0000;
const ALPN = 0x0010;
const VERSION_MARKS: ReadonlyMap<number, string> = new Map([
  [0x0304, '13'],
  [0x0303, '12'],
  [0x0302, '11'],
  [0x0301, '10'],
  [0x0300, 's3'],
]);
