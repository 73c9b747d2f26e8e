import { jest } from '@jest/globals';
import { ConnectQueue } from '#src/backend/connect-queue.ts';

/** A queue whose pool wants `wanted` connections in all and counts what was dialled. */
function queueFor(wanted: number) {
  const pool = { wanted, dialled: 0, nowMs: 0 };
  const clock = { monotonicMs: () => pool.nowMs, wallMs: () => 0 };
  const queue = new ConnectQueue(
    clock,
    () => queue.underWay < pool.wanted,
    () => void pool.dialled++,
  );
  return { queue, pool };
}

describe('`ConnectQueue`', () => {
  beforeEach(() => jest.useFakeTimers());
  afterEach(() => jest.useRealTimers());

  test('one attempt until the first has succeeded, then as many as are wanted', () => {
    const { queue, pool } = queueFor(3);
    queue.dialWanted();
    queue.dialWanted();
    expect([pool.dialled, queue.underWay]).toEqual([1, 1]);
    queue.succeeded();
    queue.dialWanted();
    expect([pool.dialled, queue.underWay]).toEqual([4, 3]);
  });

  test('after a failure it dials again by itself, once the gate allows it', () => {
    const { queue, pool } = queueFor(1);
    queue.dialWanted();
    queue.failed();
    expect(queue.isFailing).toBe(true);
    queue.dialWanted();
    queue.dialWanted();
    expect([pool.dialled, queue.underWay, jest.getTimerCount()]).toEqual([1, 0, 1]);
    pool.nowMs = 1000;
    jest.runOnlyPendingTimers();
    expect([pool.dialled, queue.underWay, jest.getTimerCount()]).toEqual([2, 1, 0]);
  });

  test('an attempt that nobody wants any longer is not made', () => {
    const { queue, pool } = queueFor(1);
    queue.dialWanted();
    queue.failed();
    queue.dialWanted();
    pool.wanted = 0;
    pool.nowMs = 1000;
    jest.runOnlyPendingTimers();
    expect([pool.dialled, jest.getTimerCount()]).toEqual([1, 0]);
  });

  test('a late refusal leaves the number under way and makes the endpoint failing', () => {
    const { queue } = queueFor(2);
    queue.dialWanted();
    queue.succeeded();
    queue.dialWanted();
    queue.refusedLate();
    expect([queue.underWay, queue.isFailing]).toEqual([2, true]);
  });
});
