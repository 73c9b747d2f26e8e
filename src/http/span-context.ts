import { randomBytes } from 'node:crypto';
import type { HeaderList } from './exchange.ts';
import { incomingTrace } from './trace-context.ts';

/** The span of one request at this proxy: what its backend continues, and what is exported of it. */
export interface RequestSpan {
  /** 32 lower-case hex digits. */
  readonly traceId: string;
  /** 16 lower-case hex digits. */
  readonly spanId: string;
  /** Null: the trace begins here. */
  readonly parentSpanId: string | null;
  readonly sampled: boolean;
}

export interface SpanSampling {
  /** Share of traces that are exported, from 0 to 1; decided by the trace id, so that every proxy on the way decides alike. */
  readonly sampleRate: number;
  /** True: a request that says it is sampled, or is not, is believed. A stranger could then have every request of his exported. */
  readonly followIncomingSampling: boolean;
}

/** A new span under the trace that the client's fields name (W3C, B3 or Google's), or the first of a new trace. */
export function beginSpan(headers: HeaderList, sampling: SpanSampling): RequestSpan {
  const parent = incomingTrace(headers);
  const traceId = parent?.traceId ?? randomBytes(16).toString('hex');
  const believed = sampling.followIncomingSampling ? (parent?.sampled ?? null) : null;
  return {
    traceId,
    spanId: randomBytes(8).toString('hex'),
    parentSpanId: parent?.spanId ?? null,
    sampled: believed ?? isWithin(traceId, sampling.sampleRate),
  };
}

/** Puts our span where the client's was: `traceparent` always, `b3` where there was one; `tracestate` stays (W3C Trace Context section 3.5). */
export function continueTrace(headers: string[], { traceId, spanId, sampled }: RequestSpan): void {
  const traceparent = `00-${traceId}-${spanId}-0${sampled ? 1 : 0}`;
  let hasParent = false;
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i];
    if (name === 'traceparent') {
      headers[i + 1] = traceparent;
      hasParent = true;
    } else if (name === 'b3') headers[i + 1] = `${traceId}-${spanId}-${sampled ? 1 : 0}`;
    else if (name === 'x-b3-spanid') headers[i + 1] = spanId;
    else if (name === 'x-b3-sampled') headers[i + 1] = sampled ? '1' : '0';
  }
  if (!hasParent) headers.push('traceparent', traceparent);
}

/** The value of X-Cloud-Trace-Context for it. */
export function cloudContextOf({ traceId, spanId, sampled }: RequestSpan): string {
  return `${traceId}/${BigInt(`0x${spanId}`)};o=${sampled ? 1 : 0}`;
}

/** By the last 56 bits of the id, which W3C Trace Context level 2 asks to be random. */
function isWithin(traceId: string, rate: number): boolean {
  if (rate >= 1) return true;
  return Number.parseInt(traceId.slice(18, 31), 16) < rate * 2 ** 52;
}
