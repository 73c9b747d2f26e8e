import fc from 'fast-check';
import type { BackendStatus } from '#src/admin/admin-sources.ts';
import {
  mergeBackends,
  mergeHandshakes,
  parseWorkerStatus,
  type WorkerStatus,
} from '#src/process/cluster/worker-status.ts';
import { handshakeFailure } from '../../telemetry/support.ts';

describe('mergeBackends()', () => {
  test('shows each service once; an endpoint is healthy where every worker finds it so', () => {
    const healthy = { endpoint: '10.0.0.1:80', isHealthy: true, isProbed: true, reason: '' };
    const ill = { endpoint: '10.0.0.1:80', isHealthy: false, isProbed: true, reason: 'no answer' };
    for (const health of [
      [healthy, ill],
      [ill, healthy],
    ]) {
      const merged = mergeBackends(health.map((status) => of([backend({ health: [status] })])));
      expect(merged).toEqual([backend({ health: [ill] })]);
    }
    expect(mergeBackends([of([backend({ health: [healthy] })]), of([backend({ health: [healthy] })])])).toEqual([
      backend({ health: [healthy] }),
    ]);
  });

  test('adds up what is in flight, and shows an endpoint as ejected that one worker has ejected', () => {
    const share = (inFlight: number, isEjected: boolean) => ({
      endpoint: '10.0.0.1:80',
      weight: 2,
      inFlight,
      isEjected,
    });
    const balanced = (inFlight: number, isEjected: boolean) =>
      of([backend({ balance: { ...BALANCE, endpoints: [share(inFlight, isEjected)] } })]);
    const merged = mergeBackends([balanced(1, true), balanced(4, false)]);
    expect(merged[0]?.balance).toEqual({ ...BALANCE, endpoints: [share(5, true)] });
  });

  test('keeps the newest refusal of an endpoint, and the endpoints that only one worker knows', () => {
    const refusal = (time: string) => ({
      endpoint: '10.0.0.1:80',
      time,
      statusDetails: 'x',
      rule: 'expired',
      depth: 0,
      reason: time,
      isEnforced: true,
    });
    const merged = mergeBackends([
      of([backend({ refusals: [refusal('2026-11-22T00:00:02Z')] })]),
      of([backend({ endpoints: ['10.0.0.1:80', '10.0.0.2:80'], refusals: [refusal('2026-11-22T00:00:01Z')] })]),
    ]);
    expect(merged[0]?.endpoints).toEqual(['10.0.0.1:80', '10.0.0.2:80']);
    expect(merged[0]?.refusals.map(({ time }) => time)).toEqual(['2026-11-22T00:00:02Z']);
  });
});

describe('mergeHandshakes()', () => {
  test('has the newest failures of all workers, and a client that several met once', () => {
    const failure = (time: string) => ({ ...handshakeFailure({}), time });
    const client = (firstSeen: string, lastSeen: string, count: number) => ({
      targetProxy: 'web',
      sslPolicy: 'strict',
      reason: 'r',
      detail: '',
      ja4: 'j',
      network: '10.0.0.0/24',
      sni: null,
      offeredVersions: [],
      count,
      firstSeen,
      lastSeen,
    });
    const merged = mergeHandshakes([
      { backends: [], handshakes: { failures: [failure('3'), failure('1')], shadow: [client('1', '5', 2)] } },
      { backends: [], handshakes: { failures: [failure('2')], shadow: [client('2', '4', 3)] } },
    ]);
    expect(merged.failures.map(({ time }) => time)).toEqual(['3', '2', '1']);
    expect(merged.shadow).toEqual([client('1', '5', 5)]);
  });

  test('shows no more than one process does', () => {
    const failures = Array.from({ length: 500 }, (_, i) => ({ ...handshakeFailure({}), time: String(i) }));
    const status = { backends: [], handshakes: { failures, shadow: [] } };
    expect(mergeHandshakes([status, status, status]).failures).toHaveLength(500);
  });
});

describe('parseWorkerStatus()', () => {
  test('takes what a worker sends, and never throws on what it does not', () => {
    const status = of([backend({})]);
    expect(parseWorkerStatus(JSON.stringify(status))).toEqual(status);
    expect(parseWorkerStatus('{"backends":[null],"handshakes":{"failures":[],"shadow":[]}}')).toBeNull();
    expect(parseWorkerStatus('{"backends":[],"handshakes":{"failures":[1],"shadow":[]}}')).toBeNull();
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        const parsed = parseWorkerStatus(text);
        if (parsed !== null) mergeBackends([parsed, parsed]);
      }),
      { numRuns: 1000 },
    );
  });

  test('whatever passes can be merged', () => {
    const word = fc.oneof(fc.string(), fc.anything());
    const list = (item: fc.Arbitrary<unknown>) => fc.oneof(fc.array(item, { maxLength: 3 }), fc.anything());
    const endpoint = fc.record({ endpoint: word, time: word, isHealthy: fc.anything(), isProbed: fc.anything() });
    const share = fc.record({ endpoint: word, inFlight: fc.anything(), isEjected: fc.anything() });
    const candidate = fc.record({
      backends: list(
        fc.record({
          service: word,
          endpoints: list(word),
          health: list(endpoint),
          balance: fc.record({ endpoints: list(share) }),
          refusals: list(endpoint),
        }),
      ),
      handshakes: fc.record({ failures: list(fc.record({ time: word })), shadow: list(fc.anything()) }),
    });
    fc.assert(
      fc.property(candidate, (value) => {
        const parsed = parseWorkerStatus(JSON.stringify(value) ?? '');
        if (parsed === null) return;
        mergeBackends([parsed, parsed]);
        mergeHandshakes([parsed, parsed]);
      }),
      { numRuns: 1000 },
    );
  });
});

const BALANCE: BackendStatus['balance'] = { policy: 'ROUND_ROBIN', affinity: 'NONE', isInPanic: false, endpoints: [] };

function backend(fields: Partial<BackendStatus>): BackendStatus {
  return {
    service: 'api',
    protocol: 'HTTP',
    endpoints: ['10.0.0.1:80'],
    health: [],
    balance: BALANCE,
    refusals: [],
    ...fields,
  };
}

function of(backends: readonly BackendStatus[]): WorkerStatus {
  return { backends, handshakes: { failures: [], shadow: [] } };
}
