import fc from 'fast-check';
import { beginSpan, cloudContextOf, continueTrace } from '#src/http/span-context.ts';
import { incomingTrace } from '#src/http/trace-context.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const SPAN = '00f067aa0ba902b7';

describe('incomingTrace()', () => {
  test.each<[string, string[], object | null]>([
    ['nothing', ['accept', '*/*'], null],
    ['W3C', ['traceparent', `00-${TRACE}-${SPAN}-01`], { traceId: TRACE, spanId: SPAN, sampled: true }],
    ['B3', ['b3', `${TRACE}-${SPAN}-1-${SPAN}`], { traceId: TRACE, spanId: SPAN, sampled: true }],
    ['B3 debug', ['b3', `${TRACE}-${SPAN}-d`], { traceId: TRACE, spanId: SPAN, sampled: true }],
    ['B3 without a decision', ['b3', `${TRACE}-${SPAN}`], { traceId: TRACE, spanId: SPAN, sampled: null }],
    ['B3 that only decides', ['b3', '0'], null],
    [
      'B3 with a 64-bit trace id',
      ['x-b3-traceid', SPAN, 'x-b3-spanid', SPAN, 'x-b3-sampled', '0'],
      { traceId: `${'0'.repeat(16)}${SPAN}`, spanId: SPAN, sampled: false },
    ],
    [
      'Google',
      ['x-cloud-trace-context', `${TRACE}/1;o=1`],
      { traceId: TRACE, spanId: '0000000000000001', sampled: true },
    ],
    [
      'Google without options',
      ['x-cloud-trace-context', `${TRACE}/1`],
      { traceId: TRACE, spanId: '0000000000000001', sampled: null },
    ],
    ['Google beyond 64 bits', ['x-cloud-trace-context', `${TRACE}/18446744073709551616`], null],
    ['Google with a span of zero', ['x-cloud-trace-context', `${TRACE}/0;o=1`], null],
    [
      'W3C before the others',
      ['b3', `${'a'.repeat(32)}-${SPAN}-1`, 'traceparent', `00-${TRACE}-${SPAN}-00`],
      { traceId: TRACE, spanId: SPAN, sampled: false },
    ],
  ])('%s', (_name, headers, expected) => {
    expect(incomingTrace(headers)).toEqual(expected);
  });

  test('whatever a stranger sends, it is null or well-formed', () => {
    const name = fc.constantFrom(
      'traceparent',
      'b3',
      'x-b3-traceid',
      'x-b3-spanid',
      'x-b3-sampled',
      'x-cloud-trace-context',
    );
    const value = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 80 }),
      fc.stringMatching(/^[0-9a-f]{0,33}[-/;]{0,2}[0-9a-f]{0,21}(-[01d])?(;o=1)?$/),
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(name, value), { maxLength: 6 }), (fields) => {
        const trace = incomingTrace(fields.flat());
        if (trace === null) return;
        expect(trace.traceId).toMatch(/^[0-9a-f]{32}$/);
        expect(trace.spanId).toMatch(/^[0-9a-f]{16}$/);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('beginSpan()', () => {
  const follow = { sampleRate: 0, followIncomingSampling: true };
  const own = { sampleRate: 0, followIncomingSampling: false };

  test('believes what a request says of its sampling only where it is told to', () => {
    const headers = ['traceparent', `00-${TRACE}-${SPAN}-01`];
    expect(beginSpan(headers, own)).toMatchObject({ traceId: TRACE, parentSpanId: SPAN, sampled: false });
    expect(beginSpan(headers, follow).sampled).toBe(true);
    expect(beginSpan(['traceparent', `00-${TRACE}-${SPAN}-00`], { ...follow, sampleRate: 1 }).sampled).toBe(false);
    expect(beginSpan(['b3', `${TRACE}-${SPAN}`], { ...follow, sampleRate: 1 }).sampled).toBe(true);
  });

  test('samples by the trace id: the same trace alike everywhere, and about the share that was asked for', () => {
    const sampling = { sampleRate: 0.25, followIncomingSampling: false };
    const spans = Array.from({ length: 4000 }, () => beginSpan([], sampling));
    const share = spans.filter(({ sampled }) => sampled).length / spans.length;
    expect(share).toBeGreaterThan(0.2); // seven standard deviations
    expect(share).toBeLessThan(0.3);
    for (const { traceId, sampled } of spans.slice(0, 100))
      expect(beginSpan(['traceparent', `00-${traceId}-${SPAN}-01`], sampling).sampled).toBe(sampled);
  });
});

test('continueTrace() puts our span where the client had its own, and nowhere twice', () => {
  const span = { traceId: TRACE, spanId: SPAN, parentSpanId: null, sampled: true };
  const headers = ['a', '1', 'traceparent', 'old', 'tracestate', 'x=1', 'b3', 'old'];
  continueTrace(headers, span);
  expect(headers).toEqual([
    'a',
    '1',
    'traceparent',
    `00-${TRACE}-${SPAN}-01`,
    'tracestate',
    'x=1',
    'b3',
    `${TRACE}-${SPAN}-1`,
  ]);
  const none: string[] = [];
  continueTrace(none, { ...span, sampled: false });
  expect(none).toEqual(['traceparent', `00-${TRACE}-${SPAN}-00`]);
  expect(cloudContextOf(span)).toBe(`${TRACE}/67667974448284343;o=1`);
});
