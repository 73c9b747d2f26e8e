// A short run of `npm run soak`, so that the long one works whenever somebody wants it; growth is not judged here.
import { parseOptions, USAGE } from './options.ts';
import { formatReport } from './report.ts';
import { soak } from './soak.ts';
import { growthOf, type Vitals } from './vitals.ts';

test('twenty seconds of mixed traffic with faults: every request is accounted for, nothing hangs', async () => {
  const report = await soak({ minutes: 1 / 3, workers: 1, users: 12, seed: 7 });
  expect(report.mistakes).toEqual([]);
  expect(report.accounts.begun).toBeGreaterThan(50);
  expect(report.reloads.taken).toBeGreaterThan(0);
  expect(formatReport(report)).toMatch(/passed$/);
}, 240_000);

describe('growthOf()', () => {
  const at = (index: number, growth: number): Vitals => ({
    atSeconds: index,
    rssMiB: 200 + growth * index,
    heapMiB: 40 + (index % 7) + growth * index,
    descriptors: 50,
    handles: 30,
  });
  const vitals = (growth: number) => Array.from({ length: 100 }, (_, index) => at(index, growth));

  test('a level that swings holds; one that climbs does not', () => {
    expect(growthOf(vitals(0)).map(({ holds }) => holds)).toEqual([true, true, true, true]);
    expect(growthOf(vitals(1)).map(({ what, holds }) => [what, holds])).toEqual([
      ['resident MiB', false],
      ['heap MiB, lowest', false],
      ['descriptors', true],
      ['active handles', true],
    ]);
  });
});

describe('parseOptions()', () => {
  test('half an hour with one worker unless told otherwise', () => {
    expect(parseOptions(['--seed', '3'])).toEqual({ minutes: 30, workers: 1, users: 20, seed: 3 });
    expect(parseOptions(['--minutes', '0.5', '--workers', '2']).minutes).toBe(0.5);
    expect(USAGE).toContain('30 by default');
  });

  test.each([
    [['--minutes', '0'], 'Cannot soak for 0 minutes'],
    [['--minutes', 'x'], 'Cannot soak for x minutes'],
    [['--workers', '0'], 'Cannot soak with --workers 0'],
    [['--fast'], '--fast'],
  ])('refuses %p', (args, message) => {
    expect(() => parseOptions(args)).toThrow(message);
  });
});
