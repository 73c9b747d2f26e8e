// hot path: once per request.
import { randomFillSync } from 'node:crypto';
import type { HeaderList } from './exchange.ts';

/**
 * The value of X-Cloud-Trace-Context for this request, `TRACE_ID/SPAN_ID;o=OPTIONS` (spec 4.2): the client's own, unchanged;
 * else the ids and the sampled flag of its W3C `traceparent`; else a new trace, not sampled.
 */
export function cloudTraceContext(headers: HeaderList): string {
  let parent = '';
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i]!;
    if (name.length === 21 && name === 'x-cloud-trace-context') return headers[i + 1]!;
    if (name.length === 11 && name === 'traceparent') parent = headers[i + 1]!;
  }
  return parent === '' ? newTrace() : (fromTraceparent(parent) ?? newTrace());
}

/** The trace id of such a value, or null: it may be a stranger's, and only 32 hex digits are one. */
export function traceIdOf(context: string): string | null {
  if (context.length < 32 || (context.length > 32 && context.charCodeAt(32) !== SLASH)) return null;
  return isHex(context, 0, 32) ? context.slice(0, 32).toLowerCase() : null;
}

/** `version-traceid-parentid-flags` (W3C Trace Context section 3.2); null unless version 00 and well-formed. */
function fromTraceparent(value: string): string | null {
  if (value.length !== 55 || !value.startsWith('00-')) return null;
  if (value.charCodeAt(35) !== DASH || value.charCodeAt(52) !== DASH) return null;
  if (!isHex(value, 3, 35) || !isHex(value, 36, 52) || !isHex(value, 53, 55)) return null;
  const traceId = value.slice(3, 35);
  const parentId = BigInt(`0x${value.slice(36, 52)}`);
  if (traceId === NO_TRACE || parentId === 0n) return null;
  return `${traceId}/${parentId};o=${Number.parseInt(value.slice(53, 55), 16) & 1}`;
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
const DASH = 0x2d;
const SLASH = 0x2f;
