import fc from 'fast-check';
import { createBalancer } from '#src/backend/lb/balancer.ts';
import { hashOf, NO_HASH } from '#src/backend/lb/hash.ts';
import type { LocalityLbPolicy } from '#src/config/linked.ts';
import { endpoints, seededRandom, TestEndpoint } from './_fleet.ts';

const POLICIES: readonly LocalityLbPolicy[] = ['ROUND_ROBIN', 'LEAST_REQUEST', 'RANDOM', 'RING_HASH', 'MAGLEV'];
const CONSISTENT: readonly LocalityLbPolicy[] = ['RING_HASH', 'MAGLEV'];

function balancer(policy: LocalityLbPolicy, of: readonly TestEndpoint[], seed = 1, minimumRingSize = 4096) {
  return createBalancer({ policy, minimumRingSize }, of, seededRandom(seed));
}

/** How often each was picked, without affinity. */
function shares(policy: LocalityLbPolicy, of: readonly TestEndpoint[], picks: number): number[] {
  const chooser = balancer(policy, of);
  const counts = new Map(of.map((endpoint) => [endpoint, 0]));
  for (let i = 0; i < picks; i++) {
    const picked = chooser.pick([], NO_HASH, false)!;
    counts.set(picked, counts.get(picked)! + 1);
  }
  return [...counts.values()];
}

describe.each(POLICIES)('%s', (policy) => {
  test('gives each of equal endpoints about the same', () => {
    for (const share of shares(policy, endpoints(8), 40_000)) {
      expect(share).toBeGreaterThan(5000 * 0.85);
      expect(share).toBeLessThan(5000 * 1.15);
    }
  });

  test('gives each in proportion to its weight, and a drained one nothing', () => {
    const [drained, one, three, four] = shares(
      policy,
      endpoints(4, (index) => [0, 0.5, 1.5, 2][index]!),
      40_000,
    );
    expect(drained).toBe(0);
    expect(one! / 40_000).toBeCloseTo(1 / 8, 1);
    expect(three! / 40_000).toBeCloseTo(3 / 8, 1);
    expect(four! / 40_000).toBeCloseTo(4 / 8, 1);
  });

  test('picks one that is well and was not tried; failing ones last; null only when there is none', () => {
    const state = fc.record({
      weight: fc.constantFrom(0, 1, 3),
      isHealthy: fc.boolean(),
      isEjected: fc.boolean(),
      isFailing: fc.boolean(),
      wasTried: fc.boolean(),
    });
    const hashes = fc.oneof(fc.constant(NO_HASH), fc.nat({ max: 2 ** 32 - 1 }));
    fc.assert(
      fc.property(fc.array(state, { maxLength: 6 }), hashes, fc.boolean(), (states, hash, ignoresHealth) => {
        const all = states.map(({ weight, isHealthy, isEjected, isFailing }, index) => {
          const endpoint = Object.assign(new TestEndpoint(`10.0.0.${index}`, weight), { isHealthy, isFailing });
          endpoint.conduct.isEjected = isEjected;
          return endpoint;
        });
        const tried = all.filter((_, index) => states[index]!.wasTried);
        const usable = all.filter((one) => one.weight > 0 && (ignoresHealth || one.isWell) && !tried.includes(one));
        const best = usable.some((one) => !one.isFailing) ? usable.filter((one) => !one.isFailing) : usable;
        const picked = balancer(policy, all, 1, 64).pick(tried, hash, ignoresHealth);
        if (best.length === 0) expect(picked).toBeNull();
        else expect(best).toContain(picked);
      }),
    );
  });
});

test('ROUND_ROBIN with weights spreads the turns instead of giving them in a row', () => {
  const [heavy, light] = [new TestEndpoint('10.0.0.1', 3), new TestEndpoint('10.0.0.2', 1)];
  const chooser = balancer('ROUND_ROBIN', [heavy, light]);
  const turns = Array.from({ length: 8 }, () => (chooser.pick([], NO_HASH, false) === heavy ? 'H' : 'l')).join('');
  expect(turns).toBe('HHlHHHlH');
});

describe('LEAST_REQUEST', () => {
  test('takes the less loaded of two', () => {
    const [busy, idle] = [new TestEndpoint('10.0.0.1'), new TestEndpoint('10.0.0.2')];
    busy.load = 5;
    const chooser = balancer('LEAST_REQUEST', [busy, idle]);
    const picked = Array.from({ length: 1000 }, () => chooser.pick([], NO_HASH, false));
    expect(picked.filter((one) => one === busy).length).toBeLessThan(150); // only where four draws in a row found the same one
  });

  test('keeps loads within a few of each other where requests last differently long', () => {
    const all = endpoints(10);
    const chooser = balancer('LEAST_REQUEST', all);
    const random = seededRandom(2);
    for (let i = 0; i < 20_000; i++) {
      chooser.pick([], NO_HASH, false)!.load++;
      for (let ended = 0; ended < 3; ended++) {
        const done = all[Math.floor(random() ** 2 * all.length)]!; // the first ones are faster
        if (done.load > 0) done.load--;
      }
    }
    const loads = all.map(({ load }) => load);
    expect(Math.max(...loads) - Math.min(...loads)).toBeLessThan(10);
  });

  test('load counts in proportion to weight', () => {
    const [heavy, light] = [new TestEndpoint('10.0.0.1', 4), new TestEndpoint('10.0.0.2', 1)];
    heavy.load = 5;
    light.load = 2;
    const chooser = balancer('LEAST_REQUEST', [heavy, light]);
    const picked = Array.from({ length: 1000 }, () => chooser.pick([], NO_HASH, false));
    expect(picked.filter((one) => one === heavy).length).toBeGreaterThan(850);
  });
});

describe.each(CONSISTENT)('%s', (policy) => {
  const keys = Array.from({ length: 20_000 }, (_, index) => hashOf(`client ${index}`));

  test('gives the same hash the same endpoint, in every process', () => {
    const [one, other] = [balancer(policy, endpoints(20), 1), balancer(policy, endpoints(20), 2)];
    const differs = keys.filter((key) => one.pick([], key, false)!.name !== other.pick([], key, false)!.name);
    expect(differs).toEqual([]);
  });

  test('an endpoint that leaves moves hardly any request of the others', () => {
    const all = endpoints(20);
    const [leaving, ...staying] = all;
    const [before, after] = [balancer(policy, all, 1, 16_384), balancer(policy, staying, 1, 16_384)];
    let moved = 0;
    for (const key of keys) {
      const was = before.pick([], key, false);
      if (was !== leaving && was !== after.pick([], key, false)) moved++;
    }
    // The ring moves nobody else; Maglev trades a little of that for evenness (section 5.3 of the paper).
    expect(moved / keys.length).toBeLessThan(policy === 'RING_HASH' ? 0.001 : 0.06);
  });

  test('an endpoint that is down moves its own requests only, to all others', () => {
    const all = endpoints(10);
    const chooser = balancer(policy, all, 1, 16_384);
    const before = keys.map((key) => chooser.pick([], key, false)!);
    all[3]!.isHealthy = false;
    const after = keys.map((key) => chooser.pick([], key, false)!);
    expect(after.filter((now, index) => before[index] !== all[3] && before[index] !== now)).toEqual([]);
    expect(new Set(after.filter((_, index) => before[index] === all[3])).size).toBe(9);
  });
});

test('hashes of neighbouring texts are far apart', () => {
  const buckets = Array.from({ length: 16 }, () => 0);
  for (let i = 0; i < 16_000; i++) buckets[hashOf(`10.0.${i >> 8}.${i & 255}`) >>> 28]!++;
  for (const count of buckets) expect(Math.abs(count - 1000)).toBeLessThan(150);
});
