import { ConnectGate } from '#src/backend/connect-gate.ts';

function gateAt(random: number) {
  const clock = { nowMs: 0, monotonicMs: () => clock.nowMs, wallMs: () => 0 };
  return { clock, gate: new ConnectGate(clock, () => random) };
}

describe('`ConnectGate`', () => {
  test('lets one attempt through until one has succeeded, then all', () => {
    const { gate } = gateAt(0);
    expect(gate.waitMs(0)).toBe(0);
    expect(gate.waitMs(1)).toBe(Number.POSITIVE_INFINITY);
    gate.succeeded();
    expect(gate.waitMs(7)).toBe(0);
  });

  test.each([
    [0, [100, 200, 400, 500, 500]],
    [0.9999, [199.99, 399.98, 799.96, 999.95, 999.95]],
  ])('spaces attempts after failures by 100 ms to 1 s, with jitter (random %d)', (random, waits) => {
    const { gate } = gateAt(random);
    for (const wait of waits) {
      gate.failed();
      expect(gate.waitMs(0)).toBeCloseTo(wait);
      expect(gate.isFailing).toBe(true);
    }
  });

  test('a failure ends the side-by-side of a working endpoint, a success the spacing', () => {
    const { gate, clock } = gateAt(0);
    gate.succeeded();
    gate.failed();
    expect(gate.waitMs(1)).toBe(Number.POSITIVE_INFINITY);
    clock.nowMs = 100;
    expect(gate.waitMs(0)).toBe(0);
    gate.succeeded();
    expect(gate.isFailing).toBe(false);
    gate.failed();
    expect(gate.waitMs(0)).toBe(100);
  });
});
