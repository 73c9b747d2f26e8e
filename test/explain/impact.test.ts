import { once } from 'node:events';
import { type ConnectionOptions, connect } from 'node:tls';
import type { ImpactExplanation } from '#src/explain/impact.ts';
import { judgeNegotiated } from '#src/explain/impact-inference.ts';
import { readLogLine } from '#src/explain/log-lines.ts';
import { effectivePolicy, type SslPolicy } from '#src/tls/ssl-policy.ts';
import { runSallyport } from '../harness/run-sallyport.ts';
import { until } from '../harness/until.ts';
import { makeWorld, type World, worldPorts } from './_world.ts';

let world: World;
beforeAll(async () => {
  world = await makeWorld();
});
afterAll(() => world.folder.remove());

async function impactOf(proxy: string, to: string, lines: readonly unknown[]) {
  const file = world.folder.write('log.json', lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
  const { code, answer } = await world.explainJson('impact', '--proxy', proxy, '--to', to, '--from-log', file);
  return { code, impact: answer as ImpactExplanation };
}

test('`sallyport explain impact` says of real clients, from the log of a running proxy, who would be lost', async () => {
  const firstPort = await worldPorts();
  const port = firstPort + 2;
  using live = {
    ...(await makeWorld({ port: firstPort, sallyport: { accessLog: { handshakeSampleRate: 1 } } })),
    [Symbol.dispose]: () => live.folder.remove(),
  };
  const proxy = await runSallyport({ config: live.config });
  await request(port, {}); // node's own: TLS 1.3, X25519MLKEM768
  await request(port, { ecdhCurve: 'P-256' });
  await request(port, { maxVersion: 'TLSv1.2', ciphers: 'AES128-GCM-SHA256' }); // key exchange by RSA
  await request(port, { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-RSA-AES128-GCM-SHA256' });
  const isSuccess = (line: { msg?: string }) => line.msg === 'handshake' && !('reason' in line);
  await proxy.stop();
  const log = live.folder.write('log', proxy.log.map((line) => `${JSON.stringify(line)}\n`).join(''));
  expect(proxy.log.filter(isSuccess)).toHaveLength(4);

  const strict = await live.explainInProcess(
    'impact',
    '--proxy',
    'open',
    '--to',
    'strict',
    '--from-log',
    log,
    '--json',
  );
  expect(strict.code).toBe(1);
  expect(JSON.parse(strict.stdout)).toMatchObject({
    basis: 'handshakes',
    counted: 4,
    connect: 3,
    lost: 1,
    unknown: 0,
    lostClients: [{ reason: 'no_shared_cipher', count: 1, networks: ['127.0.0.0/24'] }],
    postQuantum: { today: 1, afterwards: 1, unknown: 0 },
    unreadableLines: 0,
  });

  const newest = await live.explain('impact', '--proxy', 'open', '--to', 'newest', '--from-log', log);
  expect(newest.code).toBe(1);
  expect(newest.stdout).toContain('from no SSL policy to sslPolicies/newest\ncounted: 4 logged handshakes\n');
  expect(newest.stdout).toContain('  would no longer connect  2 (50.0 %)\n');
  expect(newest.stdout).toContain(
    'unsupported_version: the client offers TLSv1.2, the policy allows TLSv1.3 to TLSv1.3\n',
  );
  expect(newest.stdout).toContain('post-quantum key exchange: 1 (25.0 %) today, 1 (25.0 %) then\n');

  const fips = await live.explainJson('impact', '--proxy', 'open', '--to', 'fips', '--from-log', log);
  expect(fips.answer).toMatchObject({ lost: 1, connect: 3, postQuantum: { today: 1, afterwards: 0 } });
});

test('of a target SSL proxy the logged handshakes tell as much', async () => {
  const firstPort = await worldPorts();
  using live = {
    ...(await makeWorld({ port: firstPort, sallyport: { accessLog: { handshakeSampleRate: 1 } } })),
    [Symbol.dispose]: () => live.folder.remove(),
  };
  const proxy = await runSallyport({ config: live.config });
  const ofStreams = { port: firstPort + 4, host: '127.0.0.1', servername: 'site.example', rejectUnauthorized: false };
  for (const maxVersion of ['TLSv1.3', 'TLSv1.2'] as const) {
    const client = connect({ ...ofStreams, maxVersion, ALPNProtocols: ['h2'] });
    client.on('error', () => {}); // nobody listens behind it
    const logged = proxy.log.length;
    await once(client, 'secureConnect');
    expect(client.alpnProtocol).toBe(false);
    await until(() => proxy.log.slice(logged).some(({ msg }) => msg === 'handshake')); // TLS 1.3: later than the client's
    client.destroy();
  }
  await proxy.stop();
  const log = live.folder.write('log', proxy.log.map((line) => `${JSON.stringify(line)}\n`).join(''));
  const { code, answer } = await live.explainJson('impact', '--proxy', 'stream', '--to', 'newest', '--from-log', log);
  expect(code).toBe(1);
  expect(answer).toMatchObject({
    collection: 'targetSslProxies',
    basis: 'handshakes',
    counted: 2,
    connect: 1,
    lost: 1,
    lostClients: [{ reason: 'unsupported_version', count: 1 }],
  });
});

describe('`sallyport explain impact` without logged handshakes', () => {
  const tls13 = { protocol: 'TLSv1.3', cipher: 'TLS_AES_128_GCM_SHA256', ja4: 't13d0505h2_aaaaaaaaaaaa_bbbbbbbbbbbb' };
  const tls12 = { protocol: 'TLSv1.2', cipher: 'TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA', group: 'P-256' };
  const requestLine = (tls: object, userAgent = 'ua', remoteIp = '203.0.113.7') => {
    return {
      msg: 'request',
      targetProxy: 'open',
      httpRequest: { userAgent, remoteIp },
      tls: { resumed: false, ...tls },
    };
  };

  test('counts requests, knows what is certain and says what it cannot tell', async () => {
    const { code, impact } = await impactOf('open', 'strict', [
      requestLine({ ...tls13, group: 'X25519' }),
      requestLine({ ...tls13, group: 'X25519MLKEM768' }),
      requestLine(
        { protocol: 'TLSv1', cipher: 'TLS_RSA_WITH_AES_128_CBC_SHA', ja4: 't10d0505_a_b' },
        'old/1',
        '2001:db8:1:2::3',
      ),
      requestLine({ ...tls12, ja4: 't12d0505h2_a_b' }, 'middle/1'),
      { ...requestLine(tls13), targetProxy: 'pair' },
      { msg: 'listening' },
    ]);
    expect(code).toBe(1);
    expect(impact).toMatchObject({
      basis: 'requests',
      counted: 4,
      connect: 2,
      lost: 1,
      unknown: 1,
      lostClients: [
        { ja4: 't10d0505_a_b', userAgents: ['old/1'], networks: ['2001:db8:1::/48'], reason: 'unsupported_version' },
      ],
      unknownClients: [{ ja4: 't12d0505h2_a_b', userAgents: ['middle/1'], reason: 'suite' }],
      postQuantum: { today: 1, afterwards: 1, unknown: 0 },
      otherLines: 2,
    });
  });

  test('lets the preset of the same JA4 stand in where the line does not tell', async () => {
    const { answer } = await world.explainJson(
      ...'certificate --proxy open --sni site.example --client java-8'.split(' '),
    );
    const { ja4 } = (answer as { client: { ja4: string } }).client;
    const { impact } = await impactOf('open', 'strict', [requestLine({ ...tls12, ja4 })]);
    expect(impact).toMatchObject({ connect: 1, lost: 0, unknown: 0 }); // Java 8 offers GCM as well
  });

  test('shows nothing of a log that a terminal would obey (security rule 15)', async () => {
    const evil = '\u001b[2Jua\u202e\u009b';
    const line = requestLine({ protocol: evil, cipher: evil, group: evil, ja4: `t10${evil}` }, evil, evil);
    const file = world.folder.write('evil.json', JSON.stringify(line));
    const { stdout } = await world.explain('impact', '--proxy', 'open', '--to', 'strict', '--from-log', file);
    expect(stdout).toContain('would no longer connect:\n');
    expect(stdout).toMatch(/^[\n -~…]+$/);
  });

  test('exits with 0 where nobody is lost', async () => {
    const { code, impact } = await impactOf('open', 'fips', [requestLine({ ...tls13, group: 'P-256' })]);
    expect(code).toBe(0);
    expect(impact).toMatchObject({ connect: 1, lost: 0 });
  });

  test('says that an empty log says nothing', async () => {
    const file = world.folder.write('empty.json', '');
    const { code, stdout } = await world.explain('impact', '--proxy', 'open', '--to', 'fips', '--from-log', file);
    expect(code).toBe(1);
    expect(stdout).toContain('nothing can be said');
  });

  test('finds failed handshakes that the other policy would let in', async () => {
    const failed = {
      msg: 'handshake',
      targetProxy: 'one',
      remoteIp: '::ffff:203.0.113.9',
      reason: 'unsupported_version',
      suppressed: 9,
      tls: { sni: 'site.example', ja4: 't12d', offer: '771,49195,0-10-13,23,|-|-|0403|-|-' },
    };
    const { impact } = await impactOf('one', 'strict', [failed, { ...failed, tls: { ...failed.tls, offer: 'junk' } }]);
    expect(impact.gainedClients).toEqual([
      {
        ja4: 't12d',
        preset: null,
        userAgents: [],
        networks: ['203.0.113.0/24'],
        count: 10,
        reason: 'unsupported_version',
        detail: 'TLSv1.2 TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 would be negotiated',
      },
    ]);
  });

  test.each([
    [
      ['--to', 'nothing', '--from-log', 'x'],
      'Cannot find sslPolicies/nothing, expected one of modern, newest, strict, fips',
    ],
    [['--to', 'fips', '--from-log', '/nonexistent'], 'Cannot read --from-log /nonexistent: ENOENT'],
  ])('refuses %j', async (args, message) => {
    const { code, stderr } = await world.explain('impact', '--proxy', 'open', ...args);
    expect(code).toBe(1);
    expect(stderr).toContain(message);
  });
});

test('`readLogLine()` takes anything', () => {
  expect(['', 'x', '[]', '1', 'null'].map(readLogLine)).toEqual([null, null, null, null, null]);
  expect(readLogLine('{"msg":"handshake","targetProxy":"p","tls":{"ja4":1}}')).toMatchObject({ ja4: '', offer: null });
  expect(readLogLine('{"msg":"request","targetProxy":1}')).toEqual({ kind: 'other' });
});

describe('`judgeNegotiated()`', () => {
  const policy = (profile: SslPolicy['profile'], minTlsVersion: SslPolicy['minTlsVersion']) =>
    effectivePolicy({ profile, minTlsVersion, customFeatures: [], postQuantumKeyExchange: 'DEFAULT' }, Date.now());
  const compatible = policy('COMPATIBLE', 'TLS_1_0');
  const line = {
    kind: 'request',
    targetProxy: 'p',
    remoteIp: '',
    userAgent: null,
    protocol: 'TLSv1.2',
    cipher: 'TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256',
    group: 'X25519',
    sni: null,
    ja4: 't12d',
  } as const;

  test.each([
    ['what was negotiated is still there', {}, 'connects', undefined],
    ['the group is gone', { group: 'X448' }, 'unknown', 'group'],
    ['the suite is gone', { cipher: 'TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA' }, 'unknown', 'suite'],
    ['the key exchange by RSA is gone', { cipher: 'TLS_RSA_WITH_AES_128_GCM_SHA256', group: null }, 'unknown', 'suite'],
    ['the newest version is too old', { ja4: 't11d', protocol: 'TLSv1.1' }, 'lost', 'unsupported_version'],
    ['the version does not say', { ja4: 't00d', protocol: 'TLSv1' }, 'unknown', 'version'],
    ['the session was resumed and all groups stay', { group: null }, 'connects', undefined],
  ])('where %s', (_name, facts, outcome, reason) => {
    const verdict = judgeNegotiated({ ...line, ...facts }, compatible, policy('RESTRICTED', 'TLS_1_2'));
    expect(verdict.outcome).toBe(outcome);
    expect('reason' in verdict ? verdict.reason : undefined).toBe(reason);
  });

  test('does not know the group of a resumed session that the other policy may not have', () => {
    const verdict = judgeNegotiated({ ...line, group: null }, compatible, policy('FIPS_202205', 'TLS_1_2'));
    expect(verdict).toMatchObject({ outcome: 'unknown', reason: 'group' });
  });
});

async function request(port: number, options: ConnectionOptions): Promise<void> {
  const socket = connect({
    port,
    host: '127.0.0.1',
    servername: 'site.example',
    rejectUnauthorized: false,
    ...options,
  });
  await once(socket, 'secureConnect');
  socket.end();
  await once(socket, 'close');
}
