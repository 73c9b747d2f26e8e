import { PassThrough } from 'node:stream';
import fc from 'fast-check';
import { relayLines } from '#src/process/cluster/line-relay.ts';

async function relayed(chunks: readonly Buffer[]): Promise<{ lines: string[]; tornBytes: number }> {
  const from = new PassThrough();
  const lines: string[] = [];
  const over = relayLines(from, { line: (text) => lines.push(text) });
  for (const chunk of chunks) from.write(chunk);
  from.end();
  return { lines, ...(await over) };
}

describe('relayLines()', () => {
  test('gives the same lines however they were cut on the way', async () => {
    const line = fc.string({ unit: fc.constantFrom('a', '"', ' ', '{', 'z'), maxLength: 40 });
    await fc.assert(
      fc.asyncProperty(fc.array(line), fc.array(fc.nat(200)), async (wanted, cuts) => {
        const bytes = Buffer.from(wanted.map((text) => `${text}\n`).join(''));
        const at = [0, ...cuts.map((cut) => Math.min(cut, bytes.length)).sort((a, b) => a - b), bytes.length];
        const chunks = at.slice(1).map((end, i) => bytes.subarray(at[i], end));
        expect(await relayed(chunks)).toEqual({ lines: wanted, tornBytes: 0 });
      }),
      { numRuns: 200 },
    );
  });

  test('passes no part of a line: a process that was killed leaves one', async () => {
    expect(await relayed([Buffer.from('{"whole":1}\n{"par')])).toEqual({ lines: ['{"whole":1}'], tornBytes: 5 });
  });

  test('holds no more than a megabyte of a line that never ends', async () => {
    const { lines, tornBytes } = await relayed([...Array(40)].map(() => Buffer.alloc(65_536, 'x')));
    expect(lines).toEqual([]);
    expect(tornBytes).toBe(40 * 65_536);
  });
});
