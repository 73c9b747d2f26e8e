// hot path
import type { HeaderList } from '../http/exchange.ts';

/** A response head as undici has parsed it, and what the fields say of the message and the connection: all of it in one pass. */
export class ParsedHead {
  /**
   * Flat: names in lower case, values as latin1, every byte of them kept. Fields of one name stand together in their order, which is all
   * that their order means (RFC 9110 section 5.3). Making strings of the raw buffers again would cost two calls into C++ for each field.
   */
  readonly list: string[] = [];
  bytes = 0;
  /** The declared length, or -1. llhttp has refused values that differ or are no numbers. */
  contentLength = -1;
  /** `other`: what no client of ours can undo, and framing that servers and proxies read differently (RFC 9112 section 6.1). */
  coding: 'none' | 'chunked' | 'other' = 'none';

  constructor(parsed: Readonly<Record<string, string | string[] | undefined>>) {
    const names = Object.keys(parsed);
    for (let i = 0; i < names.length; i++) {
      const name = names[i]!;
      const value = parsed[name];
      if (typeof value === 'string') this.#add(name, value);
      else if (value !== undefined) for (let k = 0; k < value.length; k++) this.#add(name, value[k]!);
    }
  }

  get isTooLong(): boolean {
    return this.bytes > MAX_RESPONSE_HEAD_BYTES;
  }

  #add(name: string, value: string): void {
    this.list.push(name, value);
    this.bytes += name.length + value.length + FIELD_OVERHEAD;
    if (name.length === 14) {
      if (name === 'content-length' && this.contentLength === -1) this.contentLength = Number(value);
    } else if (name.length === 17 && name === 'transfer-encoding') {
      this.coding = this.coding === 'none' && value.trim().toLowerCase() === 'chunked' ? 'chunked' : 'other';
    }
  }
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

/** Of HTTP/2: as HTTP/1.1 writes the fields, the status line left out; the same limit holds for both versions (spec 4.3). */
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
