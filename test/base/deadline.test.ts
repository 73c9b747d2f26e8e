import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { startDeadline } from '#src/base/deadline.ts';

describe('startDeadline()', () => {
  beforeEach(() => {
    jest.useFakeTimers();
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  test('fires once, when the delay is over', () => {
    const expired = jest.fn();
    startDeadline(1000, expired);
    jest.advanceTimersByTime(999);
    expect(expired).not.toHaveBeenCalled();
    jest.advanceTimersByTime(1_000_000);
    expect(expired).toHaveBeenCalledTimes(1);
  });

  test('sleeps through a delay of more than 2^31-1 ms', () => {
    const days60Ms = 60 * 24 * 3600 * 1000;
    const expired = jest.fn();
    startDeadline(days60Ms, expired);
    jest.advanceTimersByTime(days60Ms - 1);
    expect(expired).not.toHaveBeenCalled();
    jest.advanceTimersByTime(1);
    expect(expired).toHaveBeenCalledTimes(1);
  });

  test('does not fire when cancelled, even in its second chunk', () => {
    const expired = jest.fn();
    const deadline = startDeadline(2 ** 31 + 5000, expired);
    jest.advanceTimersByTime(2 ** 31);
    deadline.cancel();
    jest.advanceTimersByTime(2 ** 31);
    expect(expired).not.toHaveBeenCalled();
  });
});
