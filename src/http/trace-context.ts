// hot path: once per request.
import { randomFillSync } from 'node:crypto';
import type { HeaderList } from './exchange.ts';

/** The span that a request continues. */
export interface IncomingTrace {
  /** 32 lower-case hex digits, not all zero. */
  readonly traceId: string;
  /** 16 lower-case hex digits, not all zero. */
  readonly spanId: string;
  /** Null: its sender leaves it open. */
  readonly sampled: boolean | null;
}

/**
 * The value of X-Cloud-Trace-Context for this request, `TRACE_ID/SPAN_ID;o=OPTIONS` (spec 4.2): the client's own, unchanged;
 * else the ids and the sampled flag of its W3C `traceparent` or its B3 fields; else a new trace, not sampled.
 */
export function cloudTraceContext(headers: HeaderList): string {
  let isContinued = false;
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i]!;
    if (name.length === 21 && name === 'x-cloud-trace-context') return headers[i + 1]!;
    if (name.length === 11 ? name === 'traceparent' || name === 'x-b3-spanid' : name.length === 2 && name === 'b3')
      isContinued = true;
  }
  const incoming = isContinued ? incomingTrace(headers) : null;
  if (incoming === null) return newTrace();
  return `${incoming.traceId}/${BigInt(`0x${incoming.spanId}`)};o=${incoming.sampled === true ? 1 : 0}`;
}

/** What the first well-formed of `traceparent`, `b3`, `x-b3-*` and `x-cloud-trace-context` says; null: the trace begins here. */
export function incomingTrace(headers: HeaderList): IncomingTrace | null {
  let w3c = '';
  let b3 = '';
  let b3TraceId = '';
  let b3SpanId = '';
  let b3Sampled = '';
  let cloud = '';
  for (let i = 0; i < headers.length; i += 2) {
    const value = headers[i + 1]!;
    switch (headers[i]) {
      case 'traceparent':
        w3c = value;
        break;
      case 'b3':
        b3 = value;
        break;
      case 'x-b3-traceid':
        b3TraceId = value;
        break;
      case 'x-b3-spanid':
        b3SpanId = value;
        break;
      case 'x-b3-sampled':
        b3Sampled = value;
        break;
      case 'x-cloud-trace-context':
        cloud = value;
        break;
    }
  }
  return fromTraceparent(w3c) ?? fromB3(b3) ?? fromB3Fields(b3TraceId, b3SpanId, b3Sampled) ?? fromCloud(cloud);
}

/** The trace id of such a value, or null: it may be a stranger's, and only 32 hex digits are one. */
export function traceIdOf(context: string): string | null {
  if (context.length < 32 || (context.length > 32 && context.charCodeAt(32) !== SLASH)) return null;
  return isHex(context, 0, 32) ? context.slice(0, 32).toLowerCase() : null;
}

/** `version-traceid-parentid-flags` (W3C Trace Context section 3.2); null unless version 00 and well-formed. */
function fromTraceparent(value: string): IncomingTrace | null {
  if (value.length !== 55 || !value.startsWith('00-')) return null;
  if (value.charCodeAt(35) !== DASH || value.charCodeAt(52) !== DASH || !isHex(value, 53, 55)) return null;
  return trace(value.slice(3, 35), value.slice(36, 52), (Number.parseInt(value.slice(53, 55), 16) & 1) === 1);
}

/** `traceid-spanid[-sampled[-parentspanid]]`, the single field of B3; a lone decision (`0`) names no trace. */
function fromB3(value: string): IncomingTrace | null {
  const first = value.indexOf('-');
  if (first === -1 || value.length > MAX_B3) return null;
  const end = value.indexOf('-', first + 1);
  const spanId = value.slice(first + 1, end === -1 ? value.length : end);
  return fromB3Fields(value.slice(0, first), spanId, end === -1 ? '' : value.slice(end + 1, end + 2));
}

function fromB3Fields(traceId: string, spanId: string, sampled: string): IncomingTrace | null {
  if (traceId.length !== 16 && traceId.length !== 32) return null; // B3 also has 64-bit trace ids
  const decision = sampled === '1' || sampled === 'd' || sampled === 'true' ? true : sampled === '' ? null : false;
  return trace(traceId.padStart(32, '0'), spanId, decision);
}

/** `TRACE_ID/SPAN_ID;o=OPTIONS`, the span id in decimal. */
function fromCloud(value: string): IncomingTrace | null {
  if (value.length < 34 || value.length > MAX_CLOUD || value.charCodeAt(32) !== SLASH) return null;
  const end = value.indexOf(';', 33);
  const digits = value.slice(33, end === -1 ? value.length : end);
  for (let i = 0; i < digits.length; i++) if (digits.charCodeAt(i) < 0x30 || digits.charCodeAt(i) > 0x39) return null;
  if (digits === '' || digits.length > 20) return null;
  const spanId = BigInt(digits).toString(16).padStart(16, '0');
  return trace(value.slice(0, 32), spanId, end === -1 ? null : value.startsWith(';o=1', end));
}

function trace(traceId: string, spanId: string, sampled: boolean | null): IncomingTrace | null {
  if (!isHex(traceId, 0, 32) || spanId.length !== 16 || !isHex(spanId, 0, 16)) return null;
  if (traceId === NO_TRACE || spanId === NO_SPAN) return null;
  return { traceId: traceId.toLowerCase(), spanId: spanId.toLowerCase(), sampled };
}

/** Made in stocks: one call into OpenSSL and one string for 256 requests, of which each value is a slice. */
function newTrace(): string {
  if (stockAt === stock.length) {
    stock = newStock();
    stockAt = 0;
  }
  const from = stockAt;
  stockAt += CONTEXT.length;
  return stock.slice(from, stockAt);
}

function newStock(): string {
  randomFillSync(RANDOM);
  const text = Buffer.allocUnsafe(CONTEXT.length * STOCK);
  let at = 0;
  for (let i = 0; i < RANDOM.length; ) {
    text.write(CONTEXT, at, 'latin1');
    for (let k = 0; k < TRACE_ID_BYTES; k++, i++) {
      text[at + 2 * k] = HEX_DIGITS.charCodeAt(RANDOM[i]! >>> 4);
      text[at + 2 * k + 1] = HEX_DIGITS.charCodeAt(RANDOM[i]! & 0x0f);
    }
    for (let k = 0; k < SPAN_ID_DIGITS; k++, i++) text[at + SPAN_ID_AT + k] = 0x30 + (RANDOM[i]! % 10);
    at += CONTEXT.length;
  }
  return text.toString('latin1');
}

function isHex(text: string, from: number, to: number): boolean {
  for (let i = from; i < to; i++) {
    const byte = text.charCodeAt(i);
    const small = byte | 0x20;
    if (!((byte >= 0x30 && byte <= 0x39) || (small >= 0x61 && small <= 0x66))) return false;
  }
  return true;
}

/** What each value is made from. A span id is 64 bits in decimal, not 0: a 1 and fifteen random digits, some 49 bits. */
const CONTEXT = `${'0'.repeat(32)}/1${'0'.repeat(15)};o=0`;
const TRACE_ID_BYTES = 16;
const SPAN_ID_AT = 34;
const SPAN_ID_DIGITS = 15;
const STOCK = 256;
const RANDOM = Buffer.alloc((TRACE_ID_BYTES + SPAN_ID_DIGITS) * STOCK);
const HEX_DIGITS = '0123456789abcdef';
let stock = '';
let stockAt = 0;
const NO_TRACE = '0'.repeat(32);
const NO_SPAN = '0'.repeat(16);
const MAX_B3 = 69; // 32-16-1-16 digits and their dashes
const MAX_CLOUD = 64; // 32 digits, 20 digits, `;o=` and a number
const DASH = 0x2d;
const SLASH = 0x2f;
