import { setTimeout as sleep } from 'node:timers/promises';
import { jest } from '@jest/globals';
import { systemClock } from '#src/base/clock.ts';
import { DeadlineQueue, DeadlineQueues, Expiring } from '#src/base/deadline-queue.ts';

class Entry extends Expiring {
  readonly name: string;
  readonly log: string[];

  constructor(name: string, log: string[]) {
    super();
    this.name = name;
    this.log = log;
  }

  override onExpired(): void {
    this.log.push(this.name);
  }
}

/** Timers and clock of a fake time; base/deadline.ts unrefs its timers, which the fakes allow. */
function frozen() {
  jest.useFakeTimers();
  const clock = { monotonicMs: () => jest.now() as number, wallMs: () => 0 };
  const log: string[] = [];
  return { clock, log, queue: new DeadlineQueue(100, clock), entry: (name: string) => new Entry(name, log) };
}

afterEach(() => {
  jest.useRealTimers();
});

describe('DeadlineQueue', () => {
  test('expires entries in order, each at its own time', () => {
    const { queue, entry, log } = frozen();
    queue.add(entry('a'));
    jest.advanceTimersByTime(40);
    queue.add(entry('b'));
    jest.advanceTimersByTime(59);
    expect(log).toEqual([]);
    jest.advanceTimersByTime(1);
    expect(log).toEqual(['a']);
    jest.advanceTimersByTime(39);
    expect(log).toEqual(['a']);
    jest.advanceTimersByTime(1);
    expect(log).toEqual(['a', 'b']);
  });

  test.each([['a'], ['b'], ['c']])('lets go of %s wherever it stands', (name) => {
    const { queue, entry, log } = frozen();
    const entries = ['a', 'b', 'c'].map(entry);
    for (const each of entries) queue.add(each);
    entries.find((each) => each.name === name)!.cancelDeadline();
    jest.advanceTimersByTime(1000);
    expect(log).toEqual(['a', 'b', 'c'].filter((each) => each !== name));
  });

  test('add() starts the time of an entry anew, also from another queue', () => {
    const { queue, entry, log, clock } = frozen();
    const longer = new DeadlineQueue(300, clock);
    const a = entry('a');
    queue.add(a);
    jest.advanceTimersByTime(90);
    queue.add(a);
    jest.advanceTimersByTime(90);
    longer.add(a);
    jest.advanceTimersByTime(299);
    expect(log).toEqual([]);
    jest.advanceTimersByTime(1);
    expect(log).toEqual(['a']);
  });

  test('an entry that began some time ago expires before those that began later', () => {
    const { queue, entry, log, clock } = frozen();
    jest.advanceTimersByTime(50);
    const nowMs = clock.monotonicMs();
    for (const [name, agoMs] of [
      ['now', 0],
      ['ago', 30],
      ['long ago', 40],
      ['just now', 1],
    ] as const)
      queue.add(entry(name), nowMs, nowMs - agoMs);
    expect(jest.getTimerCount()).toBe(1);
    jest.advanceTimersByTime(59);
    expect(log).toEqual([]);
    jest.advanceTimersByTime(1);
    expect(log).toEqual(['long ago']);
    jest.advanceTimersByTime(10);
    expect(log).toEqual(['long ago', 'ago']);
    jest.advanceTimersByTime(30);
    expect(log).toEqual(['long ago', 'ago', 'just now', 'now']);
  });

  test('an entry whose time is over already expires with the next tick of the clock', () => {
    const { queue, entry, log } = frozen();
    queue.add(entry('later'));
    queue.add(entry('over'), 0, -1000);
    jest.advanceTimersByTime(1);
    expect(log).toEqual(['over']);
  });

  test('keeps one timer for all entries, and none when the last sweep found nobody', () => {
    const { queue, entry } = frozen();
    const entries = Array.from({ length: 1000 }, (_, i) => entry(String(i)));
    for (const each of entries) queue.add(each);
    expect(jest.getTimerCount()).toBe(1);
    for (const each of entries) each.cancelDeadline();
    jest.advanceTimersByTime(1000);
    expect(jest.getTimerCount()).toBe(0);
  });

  test('an entry may be added again while it expires', () => {
    const { queue, log } = frozen();
    class Twice extends Entry {
      override onExpired(): void {
        super.onExpired();
        if (log.length < 2) queue.add(this);
      }
    }
    queue.add(new Twice('again', log));
    jest.advanceTimersByTime(100);
    expect(log).toHaveLength(1);
    jest.advanceTimersByTime(100);
    expect(log).toHaveLength(2);
    jest.advanceTimersByTime(1000);
    expect(log).toHaveLength(2);
  });

  test('cancelDeadline() twice, or in no queue, changes nothing', () => {
    const { queue, entry, log } = frozen();
    const a = entry('a');
    a.cancelDeadline();
    queue.add(a);
    queue.add(entry('b'));
    a.cancelDeadline();
    a.cancelDeadline();
    jest.advanceTimersByTime(100);
    expect(log).toEqual(['b']);
  });

  test('works with the real clock', async () => {
    const log: string[] = [];
    const queue = new DeadlineQueue(10, systemClock);
    queue.add(new Entry('a', log));
    while (log.length === 0) await sleep(2);
    expect(log).toEqual(['a']);
  });
});

test('DeadlineQueues.of() gives one queue per length', () => {
  const queues = new DeadlineQueues(systemClock);
  expect(queues.of(5)).toBe(queues.of(5));
  expect(queues.of(5)).not.toBe(queues.of(6));
});
