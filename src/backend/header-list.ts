// hot path
import type { HeaderList } from '../http/exchange.ts';

/**
 * What undici has parsed of a response head, flat: names in lower case, values as latin1, every byte of them kept. Fields of one name stand
 * together in their order, which is all that their order means (RFC 9110 section 5.3). Making strings of the raw buffers again would cost
 * two calls into C++ for each field.
 */
export function headerListFromParsed(parsed: Readonly<Record<string, string | string[] | undefined>>): HeaderList {
  const names = Object.keys(parsed);
  const list: string[] = [];
  for (let i = 0; i < names.length; i++) {
    const name = names[i]!;
    const value = parsed[name];
    if (typeof value === 'string') list.push(name, value);
    else if (value !== undefined) for (let k = 0; k < value.length; k++) list.push(name, value[k]!);
  }
  return list;
}

/** undici's raw header buffers as a flat list: names in lower case, values as latin1, every byte of them kept. */
export function headerListFromBuffers(raw: readonly Buffer[]): HeaderList {
  const list: string[] = [];
  for (let i = 0; i < raw.length; i += 2) {
    list.push(raw[i]!.toString('latin1').toLowerCase(), raw[i + 1]!.toString('latin1'));
  }
  return list;
}

/** node:http2's flat raw headers without the pseudo fields; the names are in lower case already (RFC 9113 §8.2). */
export function headerListFromHttp2(raw: readonly string[]): HeaderList {
  const list: string[] = [];
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i]!;
    if (name.charCodeAt(0) !== COLON) list.push(name, raw[i + 1]!);
  }
  return list;
}

/** As HTTP/1.1 writes the fields, the status line left out: the same limit holds for both versions (spec 4.3). */
export function exceedsHeadLimit(headers: HeaderList): boolean {
  let bytes = 0;
  for (let i = 0; i < headers.length; i += 2) bytes += headers[i]!.length + headers[i + 1]!.length + FIELD_OVERHEAD;
  return bytes > MAX_RESPONSE_HEAD_BYTES;
}

/** The declared length, or -1. The parsers below have refused values that differ or are no numbers. */
export function contentLengthOf(headers: HeaderList): number {
  for (let i = 0; i < headers.length; i += 2) {
    if (headers[i] === 'content-length') return Number(headers[i + 1]);
  }
  return -1;
}

export const MAX_RESPONSE_HEAD_BYTES = 128 * 1024; // spec 4.3
const FIELD_OVERHEAD = ': \r\n'.length;
const COLON = 0x3a;
