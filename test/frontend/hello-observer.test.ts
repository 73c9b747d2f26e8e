import { once } from 'node:events';
import { connect as connectTcp } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import type { TlsTermination } from '#src/frontend/contract.ts';
import { type ClientPreset, findClientPreset } from '#src/tls/client-presets.ts';
import { contextOptions } from '#src/tls/context-options.ts';
import { effectivePolicy, type SslPolicy } from '#src/tls/ssl-policy.ts';
import { secondHelloWithOtherSni } from './_second-hello.ts';
import { startTlsDoor, type TlsDoor, type TlsDoorOptions, withTls } from './_tls-door.ts';

const doors: TlsDoor[] = [];
afterEach(async () => {
  await Promise.all(doors.splice(0).map((door) => door.close()));
});

const MODERN = policy('modern', 'MODERN', 'TLS_1_2');
const TLS13 = effectivePolicy(policy('tls13', 'RESTRICTED', 'TLS_1_3'), Date.now());
const FIPS = effectivePolicy(policy('fips', 'FIPS_202205', 'TLS_1_2'), Date.now());

async function start(options: TlsDoorOptions, changes: Partial<TlsTermination> = {}): Promise<TlsDoor> {
  const door = await startTlsDoor(options);
  door.proxy = withTls(door.proxy, changes);
  doors.push(door);
  return door;
}

async function hello(door: TlsDoor, options: ConnectionOptions = {}) {
  const before = door.recorder.hellos.length;
  const client = door.connect(options);
  await door.recorder.until(() => door.recorder.hellos.length > before);
  client.destroy();
  return door.recorder.hellos[before]!;
}

describe('a hello is observed when its handshake is over', () => {
  test('under no shadow policy there are no verdicts', async () => {
    const { observation, hello: seen, connection } = await hello(await start({ policy: MODERN }));
    expect(observation).toEqual({ outcome: 'connected', shadows: [], misprediction: null });
    expect(seen.serverName).toBe('localhost');
    expect(connection.targetProxy).toBe('test-proxy');
  });

  test('shadow policies judge a client that connects, and change nothing for it', async () => {
    const door = await start({ policy: MODERN }, { shadowPolicies: [TLS13, FIPS] });
    const ciphers = 'ECDHE-ECDSA-CHACHA20-POLY1305';
    const { observation } = await hello(door, { maxVersion: 'TLSv1.2', ciphers });
    expect(observation).toMatchObject({
      outcome: 'connected',
      shadows: [
        { policy: 'tls13', refusal: { reason: 'unsupported_version' } },
        { policy: 'fips', refusal: { reason: 'no_shared_cipher' } },
      ],
      misprediction: null,
    });
    expect(door.recorder.handshakes.map(({ tls }) => tls.protocol)).toEqual(['TLSv1.2']);
    const newer = await hello(door, { minVersion: 'TLSv1.3' });
    expect(newer.observation.shadows.map(({ refusal }) => refusal)).toEqual([null, null]);
  });

  test('one that the enforced policy refuses is observed as failed', async () => {
    const compatible = effectivePolicy(policy('compatible', 'COMPATIBLE', 'TLS_1_0'), Date.now());
    const door = await start({ policy: MODERN }, { shadowPolicies: [compatible] });
    const bytes = (findClientPreset('java-7') as ClientPreset).bytes;
    const client = connectTcp(door.port, '127.0.0.1');
    client.on('error', () => {});
    client.write(bytes);
    await door.recorder.until(() => door.recorder.hellos.length === 1);
    client.destroy();
    expect(door.recorder.hellos[0]!.observation).toEqual({
      outcome: 'failed',
      shadows: [{ policy: 'compatible', refusal: null }],
      misprediction: null,
    });
    expect(door.recorder.handshakeFailures).toMatchObject([{ reason: 'unsupported_version' }]);
  });

  test('bytes that are no hello are none', async () => {
    const door = await start({ policy: MODERN }, { shadowPolicies: [TLS13] });
    const client = connectTcp(door.port, '127.0.0.1');
    client.on('error', () => {});
    client.write('GET / HTTP/1.1\r\n\r\n');
    await door.recorder.until(() => door.recorder.handshakeFailures.length === 1);
    client.destroy();
    expect(door.recorder.hellos).toEqual([]);
  });
});

describe('OpenSSL against its prediction', () => {
  test.each<[string, ConnectionOptions]>([
    ['TLS 1.3', {}],
    ['TLS 1.3 with HelloRetryRequest', { ecdhCurve: 'P-521:P-384' }],
    ['TLS 1.2', { maxVersion: 'TLSv1.2' }],
    [
      'TLS 1.2, ChaCha20 first',
      { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES128-GCM-SHA256' },
    ],
    ['TLS 1.2 with CBC', { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-SHA' }],
    ['no version in common', { minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'ALL:@SECLEVEL=0' }],
    ['no suite in common', { maxVersion: 'TLSv1.2', ciphers: 'AES128-SHA' }],
    ['no group in common', { maxVersion: 'TLSv1.2', ecdhCurve: 'P-521', ciphers: 'ECDHE-ECDSA-AES128-GCM-SHA256' }],
    ['no protocol in common', { ALPNProtocols: ['spdy/3.1'] }],
    [
      'h2 where HTTP/2 is forbidden',
      { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-SHA', ALPNProtocols: ['h2'] },
    ],
  ])('%s: as predicted', async (_case, options) => {
    const { observation } = await hello(await start({ policy: MODERN }), options);
    expect(observation.misprediction).toBeNull();
  });

  test('an engine that takes another suite than the policy is found out', async () => {
    const other = effectivePolicy(
      { ...MODERN, profile: 'CUSTOM', customFeatures: ['TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384'] },
      Date.now(),
    );
    const door = await start(
      { policy: MODERN },
      { engineOptions: (certificate, tickets) => contextOptions(other, certificate, tickets) },
    );
    const { observation } = await hello(door, { maxVersion: 'TLSv1.2' });
    expect(observation).toMatchObject({
      outcome: 'connected',
      misprediction: {
        kind: 'cipher',
        predicted: 'TLSv1.2 TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256',
        found: 'TLSv1.2 TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384',
      },
    });
    const refused = await hello(door, { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-GCM-SHA256' });
    expect(refused.observation).toMatchObject({
      outcome: 'failed',
      misprediction: { kind: 'failed', found: 'no_shared_cipher' },
    });
  });

  test('an engine that takes what the policy forbids is found out', async () => {
    const stricter = effectivePolicy(policy('tls13', 'RESTRICTED', 'TLS_1_3'), Date.now());
    const door = await start({ policy: MODERN }, { policy: stricter });
    const { observation } = await hello(door, { maxVersion: 'TLSv1.2' });
    expect(observation).toMatchObject({
      outcome: 'connected',
      misprediction: { kind: 'succeeded', predicted: 'unsupported_version' },
    });
  });

  test.each(['TLSv1.2', 'TLSv1.3'] as const)('a resumed %s session is not compared', async (version) => {
    const door = await start({ policy: MODERN });
    const first = door.connect({ minVersion: version, maxVersion: version });
    const [session] = (await once(first, 'session')) as [Buffer];
    first.destroy();
    await door.recorder.until(() => door.recorder.hellos.length === 1);
    door.proxy = withTls(door.proxy, { policy: TLS13 }); // what is predicted from now on would be wrong
    const client = door.connect({ session, minVersion: version, maxVersion: version });
    await once(client, 'secureConnect');
    expect(client.isSessionReused()).toBe(true);
    await door.recorder.until(() => door.recorder.hellos.length === 2);
    expect(door.recorder.hellos[1]!.observation.misprediction).toBeNull();
  });

  test('a second hello is not compared', async () => {
    const door = await start({ policy: MODERN });
    await secondHelloWithOtherSni(door.port, 'localhost', 'evil.example');
    await door.recorder.until(() => door.recorder.hellos.length === 1);
    expect(door.recorder.hellos[0]!.observation).toMatchObject({ outcome: 'failed', misprediction: null });
  });
});

function policy(name: string, profile: SslPolicy['profile'], minTlsVersion: SslPolicy['minTlsVersion']): SslPolicy {
  return { name, profile, minTlsVersion, customFeatures: [], postQuantumKeyExchange: 'DEFAULT' };
}
