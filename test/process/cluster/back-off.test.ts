import { BackOff } from '#src/process/cluster/back-off.ts';

describe('BackOff', () => {
  test('doubles up to half a minute', () => {
    const backOff = new BackOff();
    expect(Array.from({ length: 10 }, () => backOff.nextDelayMs(0))).toEqual([
      200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000,
    ]);
  });

  test('begins anew after a minute of health, and when something has changed', () => {
    const backOff = new BackOff();
    for (let i = 0; i < 5; i++) backOff.nextDelayMs(59_999);
    expect(backOff.nextDelayMs(60_000)).toBe(200);
    expect(backOff.nextDelayMs(0)).toBe(400);
    backOff.reset();
    expect(backOff.nextDelayMs(0)).toBe(200);
  });
});
