import { trustStore } from '#src/pki/trust-store.ts';
import type { Verdict } from '#src/pki/verdict.ts';
import { VerdictCache } from '#src/pki/verdict-cache.ts';
import type { VerifyRequest } from '#src/pki/verify.ts';

const NOW_MS = Date.parse('2026-06-15T12:00:00Z');
const STORE = trustStore({ name: 's', anchors: [], intermediates: [], allowlist: [], publicRoots: false });
const OTHER_STORE = trustStore({ name: 's', anchors: [], intermediates: [], allowlist: [], publicRoots: true });
const QUESTION: VerifyRequest = {
  chain: [Uint8Array.of(1, 2), Uint8Array.of(3)],
  store: STORE,
  purpose: 'server',
  names: { dnsNames: ['a'], uris: [] },
  atMs: NOW_MS,
};
const TRUSTED: Verdict = { ok: true, by: 'anchor', path: [], notAfterMs: NOW_MS + 3_600_000 };
const REFUSED: Verdict = {
  ok: false,
  statusDetails: 'ssl_certificate_chain_verification_failed',
  rule: 'validity',
  depth: 0,
  subject: '',
  reason: '',
  found: '',
  expected: '',
  remedy: '',
};

/** A cache, and how often it had to ask. */
function counted(verdict: Verdict, maxEntries?: number) {
  const asked: VerifyRequest[] = [];
  const cache = new VerdictCache(maxEntries, (request) => {
    asked.push(request);
    return verdict;
  });
  return { cache, asked };
}

test('a positive verdict lasts until the earliest notAfter of its path and not a millisecond longer', () => {
  const { cache, asked } = counted(TRUSTED);
  for (const atMs of [NOW_MS, NOW_MS + 1, TRUSTED.notAfterMs]) cache.verify({ ...QUESTION, atMs });
  expect(asked.length).toBe(1);
  cache.verify({ ...QUESTION, atMs: TRUSTED.notAfterMs + 1 });
  expect(asked.length).toBe(2);
});

test('a negative verdict lasts a second (security rule 29)', () => {
  const { cache, asked } = counted(REFUSED);
  cache.verify(QUESTION);
  cache.verify({ ...QUESTION, atMs: NOW_MS + 1000 });
  expect(asked.length).toBe(1);
  cache.verify({ ...QUESTION, atMs: NOW_MS + 1001 });
  expect(asked.length).toBe(2);
});

test('every part of the question counts', () => {
  const { cache, asked } = counted(TRUSTED);
  const questions: readonly VerifyRequest[] = [
    QUESTION,
    { ...QUESTION, chain: [Uint8Array.of(1), Uint8Array.of(2, 3)] },
    { ...QUESTION, chain: [Uint8Array.of(1, 2)] },
    { ...QUESTION, store: OTHER_STORE },
    { ...QUESTION, purpose: 'client' },
    { ...QUESTION, names: { dnsNames: [], uris: ['a'] } },
    { ...QUESTION, names: { dnsNames: ['a', ''], uris: [] } },
    { ...QUESTION, proof: 'unknown' },
  ];
  for (const question of [...questions, ...questions]) cache.verify(question);
  expect(asked.length).toBe(questions.length);
});

test('a wall clock that steps back by more than 60 s clears it, a smaller step does not (security rule 16)', () => {
  const { cache, asked } = counted(TRUSTED);
  cache.verify(QUESTION);
  cache.verify({ ...QUESTION, atMs: NOW_MS - 60_000 });
  expect(asked.length).toBe(1);
  cache.verify({ ...QUESTION, atMs: NOW_MS - 60_001 });
  expect(asked.length).toBe(2);
  expect(cache.size).toBe(1);
});

test('it is bounded: the entry unused for longest goes first', () => {
  const { cache, asked } = counted(TRUSTED, 2);
  const named = (name: string) => ({ ...QUESTION, names: { dnsNames: [name], uris: [] } });
  for (const name of ['a', 'b', 'a', 'c', 'a']) cache.verify(named(name));
  expect(cache.size).toBe(2);
  expect(asked.length).toBe(3);
  cache.verify(named('b'));
  expect(asked.length).toBe(4);
});

test('it is bounded in bytes too', () => {
  const { cache } = counted(TRUSTED);
  for (let index = 0; index < 600; index++) {
    const der = new Uint8Array(16 * 1024);
    der[0] = index >> 8;
    der[1] = index & 0xff;
    cache.verify({ ...QUESTION, chain: [der] });
  }
  expect(cache.size).toBe(254); // 4 MiB of them, each with the rest of its question
});

test('`clear()` forgets', () => {
  const { cache, asked } = counted(TRUSTED);
  cache.verify(QUESTION);
  cache.clear();
  cache.verify(QUESTION);
  expect(asked.length).toBe(2);
});
