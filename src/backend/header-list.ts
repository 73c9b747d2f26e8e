// hot path
import type { HeaderList } from '../http/exchange.ts';

/** node:http2's flat raw headers without the pseudo fields; the names are in lower case already (RFC 9113 §8.2). */
export function headerListFromHttp2(raw: readonly string[]): HeaderList {
  const list: string[] = [];
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i]!;
    if (name.charCodeAt(0) !== COLON) list.push(name, raw[i + 1]!);
  }
  return list;
}

/** Of HTTP/2, as HTTP/1.1 writes the fields, the status line left out: the same limit holds for both versions (spec 4.3). */
export function exceedsHeadLimit(headers: HeaderList): boolean {
  let bytes = 0;
  for (let i = 0; i < headers.length; i += 2) bytes += headers[i]!.length + headers[i + 1]!.length + FIELD_OVERHEAD;
  return bytes > MAX_RESPONSE_HEAD_BYTES;
}

/** The declared length, or -1. nghttp2 has refused values that differ or are no numbers. */
export function contentLengthOf(headers: HeaderList): number {
  for (let i = 0; i < headers.length; i += 2) {
    if (headers[i] === 'content-length') return Number(headers[i + 1]);
  }
  return -1;
}

export const MAX_RESPONSE_HEAD_BYTES = 128 * 1024; // spec 4.3
const FIELD_OVERHEAD = ': \r\n'.length;
const COLON = 0x3a;
