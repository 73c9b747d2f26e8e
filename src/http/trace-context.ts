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

function newTrace(): string {
  if (poolAt + ID_BYTES > POOL.length) {
    randomFillSync(POOL);
    poolHex = POOL.toString('hex');
    poolAt = 0;
  }
  const traceId = poolHex.slice(poolAt * 2, poolAt * 2 + 32);
  const spanId = POOL.readUIntBE(poolAt + 16, 6) + 1; // 48 of 64 bits: the most that a Number reads at once; never 0
  poolAt += ID_BYTES;
  return `${traceId}/${spanId};o=0`;
}

function isHex(text: string, from: number, to: number): boolean {
  for (let i = from; i < to; i++) {
    const byte = text.charCodeAt(i);
    const small = byte | 0x20;
    if (!((byte >= 0x30 && byte <= 0x39) || (small >= 0x61 && small <= 0x66))) return false;
  }
  return true;
}

const ID_BYTES = 22;
const POOL = Buffer.alloc(ID_BYTES * 256); // one call into OpenSSL per 256 requests
let poolAt = POOL.length;
let poolHex = '';
const NO_TRACE = '0'.repeat(32);
const NO_SPAN = '0'.repeat(16);
const MAX_B3 = 69; // 32-16-1-16 digits and their dashes
const MAX_CLOUD = 64; // 32 digits, 20 digits, `;o=` and a number
const DASH = 0x2d;
const SLASH = 0x2f;
