// Security rule 39: what the primary takes from a worker.
import fc from 'fast-check';
import { MAX_METRICS, MAX_REASON, MAX_STATUS, parseWorkerMessage } from '#src/process/cluster/messages.ts';

const GOOD = [
  { type: 'prepared', version: 1 },
  { type: 'committed', version: 2 },
  { type: 'refused', version: 3, message: 'Cannot listen on 127.0.0.1:80' },
  { type: 'metrics', id: 0, connections: 5, text: '[]' },
  { type: 'status', id: 1, text: '{}' },
] as const;

describe('parseWorkerMessage()', () => {
  test.each(GOOD)('takes $type', (message) => {
    expect(parseWorkerMessage(message)).toEqual(message);
  });

  test('keeps nothing that it does not know: neither a path nor an address', () => {
    const extra = { path: '/etc/passwd', address: '0.0.0.0', port: 1, __proto__: { version: 9 } };
    for (const message of GOOD) expect(parseWorkerMessage({ ...message, ...extra })).toEqual(message);
  });

  test.each([
    { type: 'prepare', version: 1 },
    { type: 'bind', address: '0.0.0.0', port: 443 },
    { type: 'prepared', version: -1 },
    { type: 'prepared', version: 1.5 },
    { type: 'prepared', version: '1' },
    { type: 'refused', version: 1, message: 'x'.repeat(MAX_REASON + 1) },
    { type: 'metrics', id: 0, connections: Number.NaN, text: '' },
    { type: 'metrics', id: 0, connections: 1, text: 'x'.repeat(MAX_METRICS + 1) },
    { type: 'metrics', id: 0, connections: 1, text: Buffer.from('[]') },
    { type: 'status', id: 1, text: 'x'.repeat(MAX_STATUS + 1) },
    null,
    undefined,
    'prepared',
    [],
  ])('refuses %#', (message) => {
    expect(parseWorkerMessage(message)).toBeNull();
  });

  test('never throws, and what it lets through has bounded fields of the known shapes only', () => {
    const fuzzed = fc.oneof(
      fc.anything(),
      fc.record(
        {
          type: fc.oneof(fc.constantFrom(...GOOD.map(({ type }) => type)), fc.anything()),
          version: fc.oneof(fc.integer(), fc.anything()),
          id: fc.oneof(fc.integer(), fc.anything()),
          connections: fc.oneof(fc.integer(), fc.anything()),
          message: fc.oneof(fc.string(), fc.anything()),
          text: fc.oneof(fc.string(), fc.anything()),
        },
        { requiredKeys: ['type'] },
      ),
    );
    fc.assert(
      fc.property(fuzzed, (value) => {
        const message = parseWorkerMessage(value);
        if (message === null) return;
        for (const [name, field] of Object.entries(message)) {
          if (name === 'type' || name === 'message' || name === 'text') expect(typeof field).toBe('string');
          else expect(Number.isSafeInteger(field) && (field as number) >= 0).toBe(true);
        }
      }),
      { numRuns: 2000 },
    );
  });
});
