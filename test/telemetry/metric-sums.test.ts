import fc from 'fast-check';
import { type MetricFamily, parseMetricSnapshot } from '#src/telemetry/metric-snapshot.ts';
import { gaugeRule, MetricSums } from '#src/telemetry/metric-sums.ts';
import { Metrics } from '#src/telemetry/metrics.ts';
import { exchange, exchangeRecord } from './support.ts';

function family(name: string, type: MetricFamily['type'], value: number): MetricFamily {
  return { name, help: 'h', type, samples: new Map([[name, value]]) };
}

function valueIn(sums: MetricSums, name: string, own: readonly MetricFamily[] = []): number {
  const line = sums
    .exposition(own)
    .split('\n')
    .find((text) => text.startsWith(`${name} `));
  return Number(line?.slice(name.length + 1));
}

describe('MetricSums', () => {
  test('has the exposition of one process where there is one: names, help, types, values', async () => {
    const metrics = new Metrics('1');
    for (const latencyMs of [1, 40, 60_000]) {
      metrics.requests.started(exchange());
      metrics.requests.finished(exchangeRecord({ latencyMs }));
    }
    metrics.certificates.loaded([certificate('CN="a\\b"\nc')], 1000);
    const isSteady = (line: string) => line.includes('sallyport_');
    const families = parseMetricSnapshot(await metrics.snapshot());
    const text = new MetricSums().exposition(families ?? []);
    const wanted = (await metrics.exposition()).split('\n').filter(isSteady).sort();
    expect(text.split('\n').filter(isSteady).sort()).toEqual(wanted);
    expect(wanted.length).toBeGreaterThan(50);
  });

  test('adds counters and histograms up', async () => {
    const sums = new MetricSums();
    const metrics = new Metrics('1');
    metrics.requests.started(exchange());
    metrics.requests.finished(exchangeRecord({ latencyMs: 40 }));
    const snapshot = parseMetricSnapshot(await metrics.snapshot()) ?? [];
    for (const id of [1, 2, 3]) sums.update(id, snapshot);
    const text = sums.exposition([]);
    expect(text).toContain('sallyport_requests_total{proxy="web",service="api",method="GET",code="200"} 3\n');
    expect(text).toContain('sallyport_request_duration_seconds_bucket{le="+Inf",proxy="web",service="api"} 3\n');
    expect(text).toContain('sallyport_request_duration_seconds_count{proxy="web",service="api"} 3\n');
  });

  test('keeps what a process counted that is gone, and forgets what it had', () => {
    const sums = new MetricSums();
    sums.update(1, [family('c_total', 'counter', 5), family('g', 'gauge', 7)]);
    sums.update(2, [family('c_total', 'counter', 1), family('g', 'gauge', 1)]);
    sums.depart(1);
    sums.depart(1);
    expect([valueIn(sums, 'c_total'), valueIn(sums, 'g')]).toEqual([6, 1]);
    sums.update(3, [family('c_total', 'counter', 0), family('g', 'gauge', 2)]);
    expect([valueIn(sums, 'c_total'), valueIn(sums, 'g')]).toEqual([6, 3]);
  });

  test('counters never go down, whatever starts, counts and ends', () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant('count' as const), slot: fc.nat(2), by: fc.nat(5) }),
      fc.record({ kind: fc.constant('replace' as const), slot: fc.nat(2), by: fc.constant(0) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const sums = new MetricSums();
        const slots = [0, 1, 2].map((id) => ({ id, count: 0 }));
        let before = 0;
        let wanted = 0;
        let nextId = 3;
        for (const { kind, slot, by } of steps) {
          const entry = slots[slot]!;
          if (kind === 'count') {
            entry.count += by;
            wanted += by;
            sums.update(entry.id, [family('c_total', 'counter', entry.count)]);
          } else {
            sums.depart(entry.id);
            slots[slot] = { id: nextId++, count: 0 };
          }
          const now = valueIn(sums, 'c_total', [family('c_total', 'counter', 0)]);
          expect(now).toBeGreaterThanOrEqual(before);
          before = now;
        }
        expect(before).toBe(wanted);
      }),
    );
  });

  test('a gauge is what its meaning asks for', () => {
    const sums = new MetricSums();
    const names = [
      'sallyport_backend_connections',
      'sallyport_backend_endpoint_healthy',
      'nodejs_eventloop_lag_p99_seconds',
      'sallyport_config_last_reload_successful',
      'process_start_time_seconds',
    ];
    sums.update(
      1,
      names.map((name) => family(name, 'gauge', 3)),
    );
    sums.update(
      2,
      names.map((name) => family(name, 'gauge', 4)),
    );
    const own = names.slice(3).map((name) => family(name, 'gauge', 1));
    expect(names.map((name) => valueIn(sums, name, own))).toEqual([7, 3, 4, 1, 1]);
  });

  test.each([
    ['sallyport_certificate_not_after_timestamp_seconds', 'own'],
    ['sallyport_crl_next_update_timestamp_seconds', 'own'],
    ['sallyport_draining', 'own'],
    ['sallyport_requests_in_flight', 'sum'],
    ['process_resident_memory_bytes', 'sum'],
    ['process_open_fds', 'sum'],
  ])('%s: %s', (name, rule) => {
    expect(gaugeRule(name)).toBe(rule);
  });
});

describe('parseMetricSnapshot()', () => {
  test.each([
    ['no JSON', '{'],
    ['no list', '{}'],
    ['a name that is none', snapshotOf({ name: 'a b' })],
    ['a type that is none', snapshotOf({ type: 'summary' })],
    ['a sample of another metric', snapshotOf({ values: [{ metricName: 'other_total', labels: {}, value: 1 }] })],
    ['a line feed in a name', snapshotOf({ values: [{ metricName: 'x_total\n', labels: {}, value: 1 }] })],
    ['a label name that is none', snapshotOf({ values: [{ labels: { 'a"': 'b' }, value: 1 }] })],
    ['a label value that is no word', snapshotOf({ values: [{ labels: { a: {} }, value: 1 }] })],
    ['a label value without end', snapshotOf({ values: [{ labels: { a: 'x'.repeat(5000) }, value: 1 }] })],
    ['a value that is no number', snapshotOf({ values: [{ labels: {}, value: '1' }] })],
    ['too many metrics', JSON.stringify(Array(1001).fill(JSON.parse(snapshotOf({}))[0]))],
  ])('refuses %s', (_what, text) => {
    expect(parseMetricSnapshot(text)).toBeNull();
  });

  test('never throws, and what it lets through is one line a sample', () => {
    const label = fc.oneof(fc.string(), fc.constantFrom('"', '\\', '\n', '} 1\nx 2'));
    const sample = fc.record({ labels: fc.dictionary(fc.constantFrom('a', 'b', 'le'), label), value: fc.double() });
    fc.assert(
      fc.property(
        fc.oneof(
          fc.json(),
          fc.array(sample).map((values) => snapshotOf({ values })),
        ),
        (text) => {
          const families = parseMetricSnapshot(text);
          if (families === null) return;
          const samples = families.reduce((sum, { samples: { size } }) => sum + size, 0);
          const lines = new MetricSums().exposition(families).split('\n');
          expect(lines.filter((line) => line !== '' && !line.startsWith('#'))).toHaveLength(samples);
        },
      ),
      { numRuns: 1000 },
    );
  });
});

function snapshotOf(fields: Record<string, unknown>): string {
  return JSON.stringify([{ name: 'x_total', help: 'h', type: 'counter', values: [], ...fields }]);
}

function certificate(subject: string) {
  return {
    name: 'site',
    role: 'server' as const,
    digest: 'd',
    keyType: 'P-256',
    hostNames: [],
    notBeforeMs: 0,
    notAfterMs: 1,
    subject,
    serial: '1',
    sha256: 'aa',
    fileModifiedMs: 5,
  };
}
