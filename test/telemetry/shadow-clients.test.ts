import { ShadowClients } from '#src/telemetry/shadow-clients.ts';
import { type ClientPreset, findClientPreset, presetHello } from '#src/tls/client-presets.ts';
import { ja4 } from '#src/tls/ja4.ts';
import type { PredictedFailure } from '#src/tls/predict.ts';
import { connectionFacts, tlsFacts } from './support.ts';

const REFUSAL: PredictedFailure = {
  ok: false,
  reason: 'unsupported_version',
  detail: 'the client offers TLSv1.2, the policy allows TLSv1.3 to TLSv1.3',
  certificate: null,
};
const JAVA = presetHello(findClientPreset('java-8') as ClientPreset, 'first.example');
const START = Date.parse('2026-11-21T12:00:00.000Z');

test('`ShadowClients` counts a client by policy, JA4 and network, and shows the newest name', () => {
  const clients = new ShadowClients();
  clients.add(connectionFacts({ tls: null, remoteAddress: '203.0.113.7' }), JAVA, 'tls13', REFUSAL, START);
  const later = { ...JAVA, serverName: 'second.example' };
  clients.add(connectionFacts({ tls: null, remoteAddress: '203.0.113.200' }), later, 'tls13', REFUSAL, START + 5000);
  expect(clients.newestFirst()).toEqual([
    {
      targetProxy: 'web',
      sslPolicy: 'tls13',
      reason: 'unsupported_version',
      detail: REFUSAL.detail,
      ja4: ja4(JAVA),
      network: '203.0.113.0/24',
      sni: 'second.example',
      offeredVersions: ['TLSv1.2'],
      count: 2,
      firstSeen: '2026-11-21T12:00:00.000Z',
      lastSeen: '2026-11-21T12:00:05.000Z',
    },
  ]);
});

test('`ShadowClients` keeps apart what differs in proxy, policy, network or JA4', () => {
  const clients = new ShadowClients();
  const go = presetHello(findClientPreset('go-1.19') as ClientPreset, 'first.example');
  clients.add(connectionFacts({ tls: null }), JAVA, 'tls13', REFUSAL, START);
  clients.add(connectionFacts({ tls: null }), JAVA, 'restricted', REFUSAL, START);
  clients.add(connectionFacts({ tls: null, targetProxy: 'other' }), JAVA, 'tls13', REFUSAL, START);
  clients.add(connectionFacts({ tls: null, remoteAddress: '2001:db8::1' }), JAVA, 'tls13', REFUSAL, START);
  clients.add(connectionFacts({ tls: null }), go, 'tls13', REFUSAL, START);
  expect(clients.newestFirst().map(({ count }) => count)).toEqual([1, 1, 1, 1, 1]);
});

test('`ShadowClients` holds 100: whoever was seen longest ago leaves', () => {
  const clients = new ShadowClients();
  const address = (i: number) => `198.51.${i}.1`;
  for (let i = 0; i < 100; i++)
    clients.add(connectionFacts({ tls: null, remoteAddress: address(i) }), JAVA, 'tls13', REFUSAL, START);
  clients.add(connectionFacts({ tls: null, remoteAddress: address(0) }), JAVA, 'tls13', REFUSAL, START + 1);
  for (let i = 100; i < 110; i++)
    clients.add(connectionFacts({ tls: null, remoteAddress: address(i) }), JAVA, 'tls13', REFUSAL, START + 2);
  const networks = clients.newestFirst().map(({ network }) => network);
  expect(networks.length).toBe(100);
  expect(networks[0]).toBe('198.51.109.0/24');
  expect(networks[10]).toBe('198.51.0.0/24');
  expect(networks.at(-1)).toBe('198.51.11.0/24');
  expect(networks).not.toContain('198.51.10.0/24');
});

test('`ShadowClients` keeps little of a hello that offers a lot', () => {
  const clients = new ShadowClients();
  const huge = { ...JAVA, supportedVersions: Array.from({ length: 127 }, (_, i) => 0x7000 + i) };
  clients.add(connectionFacts({ tls: null }), huge, 'tls13', { ...REFUSAL, detail: 'x'.repeat(100_000) }, START);
  expect(JSON.stringify(clients.newestFirst()).length).toBeLessThan(1000);
});

test('`ShadowClients` takes the fingerprint that the connection has already', () => {
  const clients = new ShadowClients();
  clients.add(connectionFacts({ tls: tlsFacts({ ja4: 'known' }) }), JAVA, 'tls13', REFUSAL, START);
  expect(clients.newestFirst()).toMatchObject([{ ja4: 'known' }]);
});
