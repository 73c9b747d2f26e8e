import { clientPresets } from '#src/tls/client-presets.ts';
import { FEATURES } from '#src/tls/profiles.ts';
import { makeWorld, type World } from './_world.ts';

let world: World;
beforeAll(async () => {
  world = await makeWorld();
});
afterAll(() => world.folder.remove());

describe('`sallyport explain policy`', () => {
  test('shows what the policy comes down to, and every preset', async () => {
    const { code, answer } = await world.explainJson('policy', '--proxy', 'one');
    expect(code).toBe(0);
    const { clients, ...policy } = answer as { clients: readonly Record<string, unknown>[] };
    expect(policy).toMatchObject({
      sslPolicy: 'newest',
      profile: 'RESTRICTED',
      minVersion: 'TLSv1.3',
      suites: [],
      groups: ['X25519MLKEM768', 'X25519', 'P-256', 'P-384'],
      warnings: [],
      sni: 'site.example',
    });
    expect(clients.map(({ name }) => name)).toEqual(clientPresets().map(({ name }) => name));
    expect(clients.find(({ name }) => name === 'java-8')).toMatchObject({
      ok: false,
      failure: { reason: 'unsupported_version' },
    });
    expect(clients.find(({ name }) => name === 'node-26')).toMatchObject({
      ok: true,
      negotiated: { version: 'TLSv1.3', group: 'X25519MLKEM768', helloRetryRequest: false },
    });
  });

  test('counts who connects and who is safe against quantum computers', async () => {
    const { stdout } = await world.explainInProcess('policy', '--proxy', 'one');
    const rows = stdout.split('\n').filter((line) => /^ {2}\S+ +(TLSv1\S* {2}|fails)/.test(line));
    expect(rows).toHaveLength(clientPresets().length);
    const connected = rows.filter((row) => !row.includes(' fails ')).length;
    const hybrid = rows.filter((row) => row.includes('MLKEM')).length;
    expect(hybrid).toBeGreaterThanOrEqual(3);
    expect(stdout).toContain(
      `${connected} of ${rows.length} clients connect, ${hybrid} with post-quantum key exchange\n`,
    );
  });

  test('warns of what weakens the policy and names suites that this runtime lacks', async () => {
    const { stdout } = await world.explain('policy', '--proxy', 'open', '--client', 'java-7');
    expect(stdout).toContain('warning NO_POLICY_ATTACHED: ');
    expect(stdout).toContain('warning FEATURE_UNAVAILABLE: TLS_RSA_WITH_3DES_EDE_CBC_SHA');
    expect(stdout).toContain(`enabledFeatures    ${FEATURES.filter(({ suite }) => suite.available).length} suites`);
    expect(stdout).toContain('negotiates   TLSv1 TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, group P-256\n');
  });

  test('of a target SSL proxy it is the same for every preset, without ALPN', async () => {
    type Answer = { readonly clients: readonly { negotiated: object | null }[] };
    const { clients, ...policy } = (await world.explainJson('policy', '--proxy', 'stream')).answer as Answer;
    const https = (await world.explainJson('policy', '--proxy', 'pair')).answer as Answer;
    expect(policy).toMatchObject({ collection: 'targetSslProxies', proxy: 'stream', sslPolicy: 'modern' });
    expect(clients).toEqual(
      https.clients.map((client) => {
        return { ...client, negotiated: client.negotiated && { ...client.negotiated, alpn: 'none' } };
      }),
    );
  });

  test('names the collection that the certificate is of: a certificate map has certificates', async () => {
    const served = async (proxy: string) =>
      (await world.explain('policy', '--proxy', proxy, '--sni', 'site.example', '--client', 'java-8')).stdout;
    expect(await served('mapped')).toMatch(/\n {2}certificate +certificates\/site-ecdsa\n/);
    expect(await served('pair')).toMatch(/\n {2}certificate +sslCertificates\/site-ecdsa\n/);
    expect(await served('stream')).toMatch(/\n {2}certificate +sslCertificates\/site-ecdsa\n/);
  });

  test('exits with 1 where the one client that was named cannot connect', async () => {
    const { code, stdout } = await world.explain('policy', '--proxy', 'pair', '--client', 'openssl-0.9.8');
    expect(code).toBe(1);
    expect(stdout).toContain(
      'fails  unsupported_version: the client offers TLSv1, the policy allows TLSv1.2 to TLSv1.3\n',
    );
  });
});
