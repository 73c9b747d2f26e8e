import { describe, expect, jest, test } from '@jest/globals';
import { Lease } from '#src/base/lease.ts';

describe('Lease', () => {
  test('runs whenUnused once, after retire() and the last release()', () => {
    const whenUnused = jest.fn();
    const lease = new Lease('snapshot', whenUnused);
    expect(lease.take()).toBe('snapshot');
    lease.take();
    lease.retire();
    lease.retire();
    lease.release();
    expect(whenUnused).not.toHaveBeenCalled();
    lease.release();
    expect(whenUnused.mock.calls).toEqual([['snapshot']]);
  });

  test('runs whenUnused at once when nobody holds it', () => {
    const whenUnused = jest.fn();
    new Lease('snapshot', whenUnused).retire();
    expect(whenUnused).toHaveBeenCalledTimes(1);
  });
});
