import { OutlierDetection } from '#src/backend/lb/outlier-detection.ts';
import type { LinkedOutlierDetection } from '#src/config/linked.ts';
import { endpoints, seededRandom } from './_fleet.ts';

const DEFAULTS: LinkedOutlierDetection = {
  baseEjectionTimeMs: 30_000,
  intervalMs: 10_000,
  consecutiveErrors: 5,
  consecutiveGatewayFailure: 5,
  enforcingConsecutiveErrors: 100,
  enforcingConsecutiveGatewayFailure: 0,
  enforcingSuccessRate: 100,
  maxEjectionPercent: 10,
  successRateMinimumHosts: 5,
  successRateRequestVolume: 100,
  successRateStdevFactor: 1900,
};

function detection(count: number, settings: Partial<LinkedOutlierDetection> = {}) {
  const all = endpoints(count);
  const events: string[] = [];
  const clock = { nowMs: 0, monotonicMs: () => clock.nowMs, wallMs: () => 0 };
  const outliers = new OutlierDetection({
    settings: { ...DEFAULTS, ...settings },
    clock,
    random: seededRandom(1),
    endpoints: () => all,
    onEjection: ({ address }, cause, forMs) =>
      events.push(`${address} ${cause === null ? 'back' : `${cause} ${forMs}`}`),
  });
  const fail = (index: number, times: number, outcome: 'error' | 'gateway' | 'success' = 'error') => {
    for (let i = 0; i < times; i++) outliers.record(all[index]!, outcome);
  };
  /** Interval by interval. */
  const pass = (ms: number) => {
    for (let passed = 0; passed < ms; passed += 10_000) {
      clock.nowMs += 10_000;
      outliers.sweep();
    }
  };
  return { all, events, outliers, fail, pass };
}

test('five errors in a row eject an endpoint, for 30 s; a success between them does not let it come to that', () => {
  const { all, events, fail, pass } = detection(3);
  fail(0, 4);
  fail(0, 1, 'success');
  fail(0, 4);
  expect(events).toEqual([]);
  fail(0, 1);
  expect(all[0]!.isWell).toBe(false);
  pass(20_000);
  expect(all[0]!.isWell).toBe(false);
  pass(10_000);
  expect(all[0]!.isWell).toBe(true);
  expect(events).toEqual(['10.0.0.0 consecutive-errors 30000', '10.0.0.0 back']);
});

test('each ejection lasts longer by the base time; what is long ago is forgotten', () => {
  const { events, fail, pass } = detection(3);
  fail(0, 5);
  pass(30_000);
  fail(0, 5);
  pass(60_000);
  pass(30_000); // three intervals without one: nothing is left of two
  fail(0, 5);
  expect(events.filter((line) => !line.endsWith('back'))).toEqual([
    '10.0.0.0 consecutive-errors 30000',
    '10.0.0.0 consecutive-errors 60000',
    '10.0.0.0 consecutive-errors 30000',
  ]);
});

test('consecutive gateway failures are counted, and eject only when that is enforced', () => {
  const silent = detection(3, { consecutiveErrors: 100 });
  silent.fail(0, 50, 'gateway');
  expect(silent.events).toEqual([]);
  const enforced = detection(3, { consecutiveErrors: 100, enforcingConsecutiveGatewayFailure: 100 });
  enforced.fail(0, 4, 'gateway');
  enforced.fail(0, 1, 'error');
  enforced.fail(0, 4, 'gateway');
  expect(enforced.events).toEqual([]);
  enforced.fail(0, 1, 'gateway');
  expect(enforced.events).toEqual(['10.0.0.0 consecutive-gateway-failures 30000']);
});

test('an enforcing percentage is a share of the cases', () => {
  const { all, events, fail } = detection(400, { enforcingConsecutiveErrors: 25, maxEjectionPercent: 100 });
  for (const index of all.keys()) fail(index, 5);
  expect(events.length).toBeGreaterThan(70);
  expect(events.length).toBeLessThan(130);
});

test('at most maxEjectionPercent are out, one if that is less than one, none if it is 0', () => {
  for (const [count, percent, most] of [
    [40, 10, 4],
    [4, 10, 1],
    [10, 50, 5],
    [10, 0, 0],
  ] as const) {
    const { all, events, fail } = detection(count, { maxEjectionPercent: percent });
    for (const index of all.keys()) fail(index, 5);
    expect([count, percent, events.length]).toEqual([count, percent, most]);
  }
});

test('the last that is well is never ejected', () => {
  const { all, events, fail } = detection(3, { maxEjectionPercent: 100 });
  all[1]!.isHealthy = false;
  fail(0, 5);
  fail(2, 5);
  expect(events).toEqual(['10.0.0.0 consecutive-errors 30000']);
  expect(all[2]!.isWell).toBe(true);
});

describe('success rate', () => {
  const rates = (of: ReturnType<typeof detection>, volume: number, failures: readonly number[]) => {
    for (const [index, failed] of failures.entries()) {
      for (let i = 0; i < volume; i++) of.fail(index, 1, i % 20 < failed ? 'error' : 'success');
    }
    of.pass(10_000);
  };

  test('an endpoint far below the others is ejected at the next interval', () => {
    const of = detection(10, { consecutiveErrors: 1000 });
    rates(of, 100, [0, 0, 0, 6, 0, 0, 0, 0, 0, 0]);
    expect(of.events).toEqual(['10.0.0.3 success-rate 30000']);
  });

  test.each([
    ['with a larger factor', { successRateStdevFactor: 3100 }, 100],
    ['not enforced', { enforcingSuccessRate: 0 }, 100],
    ['with too few requests', {}, 99],
    ['among too few endpoints', { successRateMinimumHosts: 11 }, 100],
  ])('nobody is: %s', (_why, settings, volume) => {
    const of = detection(10, { consecutiveErrors: 1000, ...settings });
    rates(of, volume, [0, 0, 0, 6, 0, 0, 0, 0, 0, 0]);
    expect(of.events).toEqual([]);
  });

  test('all of them equally bad: nobody stands out', () => {
    const of = detection(10, { consecutiveErrors: 1000 });
    rates(of, 100, Array(10).fill(10));
    expect(of.events).toEqual([]);
  });
});
