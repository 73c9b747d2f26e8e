import fc from 'fast-check';
import { cloudTraceContext, traceIdOf } from '#src/http/trace-context.ts';

const PARENT = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
const NEW_TRACE = /^[0-9a-f]{32}\/[1-9][0-9]*;o=0$/;

describe('cloudTraceContext()', () => {
  test("keeps the client's own, even beside a traceparent", () => {
    expect(cloudTraceContext(['traceparent', PARENT, 'x-cloud-trace-context', 'what/ever'])).toBe('what/ever');
  });

  test('takes ids and the sampled flag of a traceparent', () => {
    expect(cloudTraceContext(['traceparent', PARENT])).toBe('4bf92f3577b34da6a3ce929d0e0e4736/67667974448284343;o=1');
    expect(cloudTraceContext(['traceparent', `${PARENT.slice(0, -2)}02`])).toMatch(/;o=0$/);
  });

  test.each([
    ['another version', `01${PARENT.slice(2)}`],
    ['no trace', `00-${'0'.repeat(32)}-00f067aa0ba902b7-01`],
    ['no parent', `00-4bf92f3577b34da6a3ce929d0e0e4736-${'0'.repeat(16)}-01`],
    ['a letter that is no digit', PARENT.replace('4bf', 'xbf')],
    ['too short', PARENT.slice(0, -1)],
    ['wrong separators', PARENT.replaceAll('-', '_')],
  ])('starts a trace for a traceparent with %s', (_what, value) => {
    expect(cloudTraceContext(['traceparent', value])).toMatch(NEW_TRACE);
  });

  test('starts traces that differ', () => {
    const seen = new Set(Array.from({ length: 2000 }, () => cloudTraceContext([])));
    expect(seen.size).toBe(2000);
    for (const context of seen) expect(context).toMatch(NEW_TRACE);
    for (const part of [/^[^/]+/, /\d+(?=;)/])
      expect(new Set([...seen].map((of) => part.exec(of)![0])).size).toBe(2000);
    for (const context of seen) expect(BigInt(/\d+(?=;)/.exec(context)![0])).toBeLessThan(2n ** 64n);
  });

  test('is well-formed whatever the traceparent', () => {
    fc.assert(
      fc.property(fc.string(), (value) => {
        expect(traceIdOf(cloudTraceContext(['traceparent', value]))).not.toBeNull();
      }),
    );
  });
});

describe('traceIdOf()', () => {
  test.each([
    ['4BF92f3577b34da6a3ce929d0e0e4736/1;o=1', '4bf92f3577b34da6a3ce929d0e0e4736'],
    ['4bf92f3577b34da6a3ce929d0e0e4736', '4bf92f3577b34da6a3ce929d0e0e4736'],
    ['4bf92f3577b34da6a3ce929d0e0e47361', null],
    ['short/1', null],
    ['zbf92f3577b34da6a3ce929d0e0e4736/1', null],
    ['', null],
  ])('%j is %j', (context, expected) => {
    expect(traceIdOf(context)).toBe(expected);
  });
});
