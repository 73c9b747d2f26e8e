// Shadow policies on a real process: clients connect as before, and an operator sees who would not under a stricter policy.
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { get } from 'node:https';
import type { AddressInfo } from 'node:net';
import { type ConnectionOptions, connect } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { HandshakeStatus } from '#src/admin/admin-sources.ts';
import { type Scenario, type ScenarioService, startScenario } from '../harness/scenario.ts';

const TLS13 = { name: 'tls13', profile: 'RESTRICTED', minTlsVersion: 'TLS_1_3' };
const RESTRICTED = { name: 'restricted', profile: 'RESTRICTED', minTlsVersion: 'TLS_1_2' };
const SHADOW = 'sallyport_ssl_policy_shadow_total';

describe('shadow policies of a running proxy', () => {
  let backend: Server;
  let scenario: Scenario;
  let services: readonly ScenarioService[];

  beforeAll(async () => {
    backend = createServer((_request, response) => response.end('served'));
    backend.listen(0, '127.0.0.1');
    await once(backend, 'listening');
    services = [{ name: 'one', protocol: 'HTTP', ports: [(backend.address() as AddressInfo).port] }];
    scenario = await startScenario({ services, shadowSslPolicies: [TLS13, RESTRICTED] });
  });
  afterAll(async () => {
    await scenario?.stop();
    backend.close();
    backend.closeAllConnections();
  });

  test('clients that they would refuse are served, counted and listed', async () => {
    expect(await body({ maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-SHA' })).toBe('served');
    expect(await body({ maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-SHA' })).toBe('served');
    expect(await body({ minVersion: 'TLSv1.3' })).toBe('served');
    const by = (policy: string, verdict: string, reason: string) =>
      scenario.metric(SHADOW, { proxy: 'web', policy, verdict, reason });
    expect(await by('tls13', 'refuse', 'unsupported_version')).toBe(2);
    expect(await by('restricted', 'refuse', 'no_shared_cipher')).toBe(2);
    expect(await by('tls13', 'accept', '')).toBe(1);
    expect(await by('restricted', 'accept', '')).toBe(1);
    expect(await scenario.metric(SHADOW)).toBe(6);
    const { shadow, failures } = await handshakes();
    expect(failures).toEqual([]);
    expect(shadow.map(({ sslPolicy, reason, count }) => [sslPolicy, reason, count])).toEqual([
      ['restricted', 'no_shared_cipher', 2],
      ['tls13', 'unsupported_version', 2],
    ]);
    expect(shadow[0]).toMatchObject({
      targetProxy: 'web',
      network: '127.0.0.0/24',
      sni: 'localhost',
      offeredVersions: ['TLSv1.2'],
      ja4: expect.stringMatching(/^t12d\d{4}00_[0-9a-f]{12}_[0-9a-f]{12}$/),
    });
    expect(Date.parse(shadow[0]!.lastSeen)).toBeGreaterThanOrEqual(Date.parse(shadow[0]!.firstSeen));
    expect(JSON.stringify(shadow)).not.toContain('127.0.0.1');
  });

  test('one that is refused today is counted, and not listed as one that would be lost', async () => {
    const before = await scenario.metric(SHADOW, { policy: 'tls13', verdict: 'refuse' });
    const client = connect({
      port: scenario.port,
      host: '127.0.0.1',
      servername: 'old.proxy.test',
      maxVersion: 'TLSv1.1',
      minVersion: 'TLSv1.1',
      ciphers: 'ALL:@SECLEVEL=0',
    });
    await once(client, 'error');
    expect(await scenario.metric(SHADOW, { policy: 'tls13', verdict: 'refuse' })).toBe(before + 1);
    const { shadow, failures } = await handshakes();
    expect(failures.map(({ sni }) => sni)).toEqual(['old.proxy.test']);
    expect(shadow.map(({ sni }) => sni)).not.toContain('old.proxy.test');
    expect(await scenario.metric('sallyport_client_hello_offers_total', { feature: 'tls11' })).toBe(1);
  });

  test('what hellos offer is counted, and no prediction was wrong', async () => {
    const offers = (feature: string) =>
      scenario.metric('sallyport_client_hello_offers_total', { proxy: 'web', feature });
    const [hellos, tls13, before] = await Promise.all([offers('sni'), offers('tls13'), offers('alpn_h2')]);
    expect(hellos).toBe(4);
    expect(tls13).toBe(1);
    const client = connect({
      port: scenario.port,
      host: '127.0.0.1',
      ALPNProtocols: ['h2'],
      rejectUnauthorized: false,
    });
    await once(client, 'data'); // SETTINGS: the server's side of the handshake is over as well
    client.destroy();
    expect(await offers('sni')).toBe(hellos);
    expect(await offers('alpn_h2')).toBe(before + 1);
    expect(await scenario.metric('sallyport_sni_total', { match: 'absent' })).toBe(1);
    expect(await scenario.metric('sallyport_sni_total', { match: 'exact' })).toBe(3);
    const exposition = await (await fetch(`http://127.0.0.1:${scenario.adminPort}/metrics`)).text();
    expect(exposition).toContain('sallyport_ssl_policy_prediction_mismatch_total{proxy="web"} 0');
  });

  test('a reload takes others without touching anything else', async () => {
    await scenario.rewrite({ services, shadowSslPolicies: [{ ...RESTRICTED, name: 'another' }] });
    await scenario.proxy.waitForLog((line) => line.msg === 'reloaded');
    const before = await scenario.metric(SHADOW, { policy: 'tls13' });
    expect(await body({ minVersion: 'TLSv1.3' })).toBe('served');
    expect(await scenario.metric(SHADOW, { policy: 'another', verdict: 'accept' })).toBe(1);
    expect(await scenario.metric(SHADOW, { policy: 'tls13' })).toBe(before);
  });

  async function body(options: ConnectionOptions): Promise<string> {
    const ca = await readFile(scenario.rootFile);
    const request = get(scenario.url, { agent: false, ca, ...options });
    const [response] = (await once(request, 'response')) as [AsyncIterable<Buffer>];
    let text = '';
    for await (const chunk of response) text += String(chunk);
    return text;
  }

  async function handshakes(): Promise<HandshakeStatus> {
    const response = await fetch(`http://127.0.0.1:${scenario.adminPort}/handshakes`);
    return (await response.json()) as HandshakeStatus;
  }
});
