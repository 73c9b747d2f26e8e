import { describe, expect, test } from '@jest/globals';
import { ProxyError } from '#src/base/errors.ts';
import { BackendRefusals, refusedVerdict } from '#src/telemetry/backend-refusals.ts';

const VERDICT = {
  statusDetails: 'ssl_certificate_chain_verification_failed',
  rule: 'validity',
  depth: 1,
  reason: 'because',
};

describe('BackendRefusals', () => {
  test('keeps the last refusal of each endpoint until a connection to it is accepted', () => {
    const refusals = new BackendRefusals();
    refusals.refused('api', 'a:1', VERDICT, true, 0);
    refusals.refused('api', 'b:1', VERDICT, false, 0);
    refusals.refused('api', 'a:1', { ...VERDICT, rule: 'trust-anchor' }, true, 1000);
    expect(refusals.of('api')).toEqual([
      { ...VERDICT, endpoint: 'b:1', time: '1970-01-01T00:00:00.000Z', isEnforced: false },
      { ...VERDICT, endpoint: 'a:1', time: '1970-01-01T00:00:01.000Z', isEnforced: true, rule: 'trust-anchor' },
    ]);
    refusals.accepted('api', 'a:1');
    expect(refusals.of('api').map(({ endpoint }) => endpoint)).toEqual(['b:1']);
    expect(refusals.of('other')).toEqual([]);
  });

  test('is bounded: the oldest address of a name leaves', () => {
    const refusals = new BackendRefusals();
    for (let i = 0; i < 1000; i++) refusals.refused('api', `10.0.0.1:${i}`, VERDICT, true, 0);
    const kept = refusals.of('api').map(({ endpoint }) => endpoint);
    expect([kept.length, kept.at(0), kept.at(-1)]).toEqual([256, '10.0.0.1:744', '10.0.0.1:999']);
  });
});

test('refusedVerdict() knows a verdict from any other cause', () => {
  const cause = { ok: false, ...VERDICT };
  expect(refusedVerdict(new ProxyError('ssl_certificate_chain_verification_failed', { cause }))).toBe(cause);
  expect(refusedVerdict(new ProxyError('backend_connect_refused', { cause: new Error('ECONNREFUSED') }))).toBeNull();
  expect(refusedVerdict(new ProxyError('internal_error'))).toBeNull();
});
