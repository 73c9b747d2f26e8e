import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import { watchSecretAge } from '#src/process/stale-secrets.ts';

const DAY_MS = 86_400_000;

beforeEach(() => {
  jest.useFakeTimers();
});
afterEach(() => {
  jest.useRealTimers();
});

test('`watchSecretAge()` says once a day that ticket secrets are over a week old, until they are changed', () => {
  let nowMs = 0;
  let modifiedMs: number | null = 0;
  const warn = jest.fn<(message: string) => void>();
  const clock = { wallMs: () => nowMs, monotonicMs: () => nowMs };
  const stop = watchSecretAge(clock, () => modifiedMs, warn);
  const passDays = (days: number) => {
    for (let day = 0; day < days; day++) {
      nowMs += DAY_MS;
      jest.advanceTimersByTime(DAY_MS);
    }
  };
  passDays(6);
  expect(warn).not.toHaveBeenCalled();
  passDays(2);
  expect(warn.mock.calls.map(([message]) => message.slice(0, 37))).toEqual([
    'The ticket secrets are 7 days old: pu',
    'The ticket secrets are 8 days old: pu',
  ]);
  modifiedMs = nowMs;
  passDays(3);
  modifiedMs = null; // no file
  passDays(30);
  expect(warn).toHaveBeenCalledTimes(2);
  stop();
});
