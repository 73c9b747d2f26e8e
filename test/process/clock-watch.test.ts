import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { watchClock } from '#src/process/clock-watch.ts';

describe('watchClock()', () => {
  const clock = { wall: 1_000_000, monotonic: 0, wallMs: () => clock.wall, monotonicMs: () => clock.monotonic };
  beforeEach(() => {
    jest.useFakeTimers();
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  function passSecond(stepMs: number): void {
    clock.monotonic += 1000;
    clock.wall += 1000 + stepMs;
    jest.advanceTimersByTime(1000);
  }

  test('tells a step back of more than a minute, once, and by how much', () => {
    const onStepBack = jest.fn();
    const stop = watchClock(clock, onStepBack);
    passSecond(0);
    passSecond(-60_000);
    passSecond(3_600_000);
    expect(onStepBack).not.toHaveBeenCalled();
    passSecond(-60_001);
    passSecond(0);
    expect(onStepBack.mock.calls).toEqual([[60_001]]);
    stop();
    passSecond(-3_600_000);
    expect(onStepBack).toHaveBeenCalledTimes(1);
  });
});
