import { SessionStore, sessionKey } from '#src/backend/session-store.ts';

function storeAt(startMs: number, capacity?: number) {
  const clock = { nowMs: startMs, wallMs: () => clock.nowMs, monotonicMs: () => 0 };
  return { clock, store: new SessionStore(clock, capacity) };
}

const session = Buffer.from('session');
const made = { session, chain: [], crls: '' };

describe('SessionStore', () => {
  test('gives back what was put, until its certificate has expired', () => {
    const { clock, store } = storeAt(1000);
    store.put('a', { ...made, notAfterMs: 2000 });
    expect(store.take('a')?.session).toBe(session);
    expect(store.take('a')?.session).toBe(session);
    clock.nowMs = 2000;
    expect(store.take('a')).toBeNull();
    expect(store.size).toBe(0);
  });

  test('does not take a session whose certificate has expired already', () => {
    const { store } = storeAt(1000);
    store.put('a', { ...made, notAfterMs: 1000 });
    expect(store.size).toBe(0);
  });

  test('holds no more than its capacity; the one unused longest leaves', () => {
    const { store } = storeAt(0, 2);
    store.put('a', { ...made, notAfterMs: 1 });
    store.put('b', { ...made, notAfterMs: 1 });
    store.take('a');
    store.put('c', { ...made, notAfterMs: 1 });
    expect([store.take('a'), store.take('b'), store.take('c')].map((entry) => entry !== null)).toEqual([
      true,
      false,
      true,
    ]);
  });

  test('forgets everything when the wall clock steps back by more than a minute', () => {
    const { clock, store } = storeAt(1_000_000);
    store.put('a', { ...made, notAfterMs: 2_000_000 });
    clock.nowMs -= 60_000;
    expect(store.take('a')).not.toBeNull();
    clock.nowMs -= 1;
    expect(store.take('a')).toBeNull();
  });

  test('drop() forgets one', () => {
    const { store } = storeAt(0);
    store.put('a', { ...made, notAfterMs: 1 });
    store.drop('a');
    expect(store.take('a')).toBeNull();
  });
});

test('`sessionKey()` differs by address, server name, protocol and identity', () => {
  const keys = [
    sessionKey('127.0.0.1:1', 'a', 'h2', 'x'),
    sessionKey('127.0.0.1:2', 'a', 'h2', 'x'),
    sessionKey('127.0.0.1:1', null, 'h2', 'x'),
    sessionKey('127.0.0.1:1', 'a', 'http/1.1', 'x'),
    sessionKey('127.0.0.1:1', 'a', 'h2', 'y'),
  ];
  expect(new Set(keys).size).toBe(keys.length);
});
