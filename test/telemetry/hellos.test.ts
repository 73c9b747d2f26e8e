import type { FrontendEvents } from '#src/frontend/contract.ts';
import { AccessLog } from '#src/telemetry/access-log.ts';
import { FrontendTelemetry } from '#src/telemetry/frontend-telemetry.ts';
import { HandshakeLog } from '#src/telemetry/handshake-log.ts';
import type { HelloObservation } from '#src/telemetry/hello-observation.ts';
import { createLog } from '#src/telemetry/log.ts';
import { Metrics } from '#src/telemetry/metrics.ts';
import { RecentFailures } from '#src/telemetry/recent-failures.ts';
import { ShadowClients } from '#src/telemetry/shadow-clients.ts';
import { type ClientPreset, findClientPreset, presetHello } from '#src/tls/client-presets.ts';
import { HELLO_FEATURES } from '#src/tls/hello-features.ts';
import { offeredHello } from '#src/tls/hello-offer.ts';
import type { Misprediction } from '#src/tls/misprediction.ts';
import type { PredictedFailure } from '#src/tls/predict.ts';
import { connectionFacts, Lines, StillClock } from './support.ts';

const NOTHING: HelloObservation = { outcome: 'connected', shadows: [], misprediction: null };
const REFUSAL: PredictedFailure = { ok: false, reason: 'no_shared_cipher', detail: 'none', certificate: null };
const MISPREDICTION: Misprediction = { kind: 'cipher', predicted: 'TLSv1.2 A', found: 'TLSv1.2 B' };
const chromium = presetHello(findClientPreset('chromium') as ClientPreset, 'a.example');
const java8 = presetHello(findClientPreset('java-8') as ClientPreset, 'b.example');

function telemetry() {
  const metrics = new Metrics('1');
  const lines = new Lines();
  const clock = new StillClock();
  const shadowClients = new ShadowClients();
  const events: FrontendEvents = new FrontendTelemetry({
    clock,
    log: createLog(lines),
    accessLog: new AccessLog(lines, { clock, sampleRate: 1 }),
    handshakeLog: new HandshakeLog(lines, clock),
    recentFailures: new RecentFailures(),
    shadowClients,
    handshakes: metrics.handshakes,
    hellos: metrics.hellos,
    requests: metrics.requests,
  });
  return { metrics, events, lines, clock, shadowClients };
}

async function samples(metrics: Metrics, name: string): Promise<readonly string[]> {
  return (await metrics.exposition()).split('\n').filter((line) => line.startsWith(`${name}{`));
}

test('`onHello()` counts what each hello offers, whether its handshake succeeded or not', async () => {
  const { metrics, events } = telemetry();
  events.onHello(connectionFacts(), chromium, NOTHING);
  events.onHello(connectionFacts(), java8, { ...NOTHING, outcome: 'failed' });
  const found = await samples(metrics, 'sallyport_client_hello_offers_total');
  const line = (feature: string, value: number) =>
    `sallyport_client_hello_offers_total{proxy="web",feature="${feature}"} ${value}`;
  expect(found).toHaveLength(HELLO_FEATURES.length);
  expect(found).toEqual(
    expect.arrayContaining([
      line('tls13', 1),
      line('tls12', 2),
      line('tls10', 0),
      line('x25519mlkem768_keyshare', 1),
      line('chacha20_only', 0),
      line('sni', 2),
    ]),
  );
});

test('`onHello()` counts shadow verdicts by reason; accepted ones have none', async () => {
  const { metrics, events } = telemetry();
  const shadows = [
    { policy: 'restricted', refusal: null },
    { policy: 'tls13', refusal: REFUSAL },
  ];
  events.onHello(connectionFacts(), java8, { ...NOTHING, shadows });
  events.onHello(connectionFacts(), java8, { ...NOTHING, outcome: 'failed', shadows });
  expect(await samples(metrics, 'sallyport_ssl_policy_shadow_total')).toEqual([
    'sallyport_ssl_policy_shadow_total{proxy="web",policy="restricted",verdict="accept",reason=""} 2',
    'sallyport_ssl_policy_shadow_total{proxy="web",policy="tls13",verdict="refuse",reason="no_shared_cipher"} 2',
  ]);
});

test('`onHello()` lists the clients that would be lost, not those that are refused already', () => {
  const { events, shadowClients } = telemetry();
  const shadows = [{ policy: 'tls13', refusal: REFUSAL }];
  events.onHello(connectionFacts(), java8, { ...NOTHING, outcome: 'failed', shadows });
  expect(shadowClients.newestFirst()).toEqual([]);
  events.onHello(connectionFacts(), java8, { ...NOTHING, shadows });
  expect(shadowClients.newestFirst()).toMatchObject([{ sslPolicy: 'tls13', sni: 'b.example', count: 1 }]);
});

test('`onHello()` counts every misprediction, and logs each kind once an hour with the hello', async () => {
  const { metrics, events, lines, clock } = telemetry();
  events.onHello(connectionFacts(), chromium, NOTHING);
  const counter = 'sallyport_ssl_policy_prediction_mismatch_total';
  expect(await samples(metrics, counter)).toEqual([`${counter}{proxy="web"} 0`]);
  const observation = { ...NOTHING, misprediction: MISPREDICTION };
  for (let i = 0; i < 50; i++) events.onHello(connectionFacts(), java8, observation);
  events.onHello(connectionFacts(), java8, { ...NOTHING, misprediction: { ...MISPREDICTION, kind: 'failed' } });
  expect(await samples(metrics, counter)).toEqual([`${counter}{proxy="web"} 51`]);
  expect(lines.parsed.map((line) => [line['level'], line['targetProxy'], line['kind']])).toEqual([
    ['warn', 'web', 'cipher'],
    ['warn', 'web', 'failed'],
  ]);
  const [first] = lines.parsed;
  expect(first).toMatchObject({ predicted: 'TLSv1.2 A', found: 'TLSv1.2 B' });
  expect(offeredHello(first!['offer'] as string, null)?.cipherSuites).toEqual(java8.cipherSuites);
  clock.advance(3_600_000);
  events.onHello(connectionFacts(), java8, observation);
  expect(lines.all).toHaveLength(3);
});
