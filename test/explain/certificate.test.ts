import { clientPresets } from '#src/tls/client-presets.ts';
import { makeWorld, type World } from './_world.ts';

let world: World;
beforeAll(async () => {
  world = await makeWorld();
});
afterAll(() => world.folder.remove());

describe('`sallyport explain certificate`', () => {
  test('says which certificate wins and why, step by step', async () => {
    const { code, stdout } = await world.explainInProcess('certificate', '--proxy', 'pair', '--sni', 'site.example');
    expect(code).toBe(0);
    expect(stdout).toContain('site-rsa can be used: TLSv1.3 TLS_AES_128_GCM_SHA256; exact match, valid now, RSA\n');
    expect(stdout).toContain('site-ecdsa is served\n\nserves sslCertificates/site-ecdsa\n');
    expect(stdout).toContain('group X25519MLKEM768, signature ecdsa_secp256r1_sha256');
    for (const secret of world.secrets) expect(stdout).not.toContain(secret);
  });

  test('explains a certificate map: the entry by the name, the certificate by the client', async () => {
    const { code, stdout } = await world.explain('certificate', '--proxy', 'mapped', '--sni', 'site.example');
    expect(code).toBe(0);
    expect(stdout).toContain('1. entry site of certificate map shop is for site.example\n');
    expect(stdout).toContain('serves certificates/site-ecdsa\n');
    const lost = await world.explain('certificate', '--proxy', 'mapped', '--sni', 'elsewhere.example');
    expect(lost.code).toBe(1);
    expect(lost.stdout).toContain('there is no PRIMARY entry\n');
    expect(lost.stdout).toContain('the handshake fails: sni_unknown (certificate map shop has no entry for the name');
  });

  test('of a target SSL proxy it is the same choice, and no ALPN is answered, whatever is offered', async () => {
    const question = ['--sni', 'site.example', '--client', 'chrome-49-xp'] as const;
    const { code, stdout } = await world.explain('certificate', '--proxy', 'stream', ...question);
    expect(code).toBe(0);
    expect(stdout).toContain('targetSslProxies/stream (sslPolicies/modern), asked by Chrome 49 (Windows XP) for site');
    expect(stdout).toContain('serves sslCertificates/site-rsa\n');
    expect(stdout).toMatch(/\n {2}ALPN +none\n/);
    const ofStream = (await world.explainJson('certificate', '--proxy', 'stream', ...question)).answer as object;
    const ofHttps = (await world.explainJson('certificate', '--proxy', 'pair', ...question)).answer as object;
    const { negotiated } = ofHttps as { negotiated: object };
    expect(negotiated).toMatchObject({ alpn: 'h2' });
    expect(ofStream).toEqual({
      ...ofHttps,
      collection: 'targetSslProxies',
      proxy: 'stream',
      negotiated: { ...negotiated, alpn: 'none' },
    });
  });

  test('gives a client that cannot verify ECDSA on this curve the RSA certificate', async () => {
    const { code, answer } = await world.explainJson(
      'certificate',
      '--proxy',
      'pair',
      '--sni',
      'site.example',
      '--client',
      'chrome-49-xp',
    );
    expect(code).toBe(0);
    expect(answer).toMatchObject({
      ok: true,
      certificate: { name: 'site-rsa', keyType: 'RSA', match: 'exact' },
      negotiated: { version: 'TLSv1.2', suite: 'TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256', group: 'P-256', alpn: 'h2' },
      failure: null,
    });
    expect(Object.keys((answer as { certificate: object }).certificate)).toEqual(
      ['name', 'collection', 'keyType', 'keyBits', 'hostNames', 'notBefore', 'notAfter', 'match'], // and no key
    );
    for (const secret of world.secrets) expect(JSON.stringify(answer)).not.toContain(secret);
  });

  test('exits with 1 and the reason where the handshake would fail', async () => {
    const { code, answer } = await world.explainJson(
      'certificate',
      '--proxy',
      'pair',
      '--sni',
      'www.site.example',
      '--client',
      'java-7',
    );
    expect(code).toBe(1);
    expect(answer).toMatchObject({ ok: false, certificate: null, failure: { reason: 'unsupported_version' } });
  });

  test('notes that a default certificate does not cover the name, and that a client sends none', async () => {
    const uncovered = await world.explain('certificate', '--proxy', 'one', '--sni', 'other.example');
    expect(uncovered.code).toBe(0);
    expect(uncovered.stdout).toContain('note: site-ecdsa does not cover other.example: a client that checks names');
    const nameless = await world.explain(
      'certificate',
      '--proxy',
      'open',
      '--sni',
      'site.example',
      '--client',
      'ie-8-xp',
    );
    expect(nameless.stdout).toContain('asked by Internet Explorer 8 (Windows XP) for no name (no SNI)');
    expect(nameless.stdout).toContain('note: this client sends no SNI');
  });

  test('takes the bytes of a hello, with its own name or another', async () => {
    const hex = clientPresets()
      .find(({ name }) => name === 'go-1.19')!
      .bytes.toString('hex');
    const own = await world.explainJson('certificate', '--proxy', 'pair', '--hello', hex);
    expect(own.answer).toMatchObject({
      sni: 'preset.example',
      client: { name: 'hello' },
      certificate: { match: 'default' },
    });
    const other = await world.explainJson(
      'certificate',
      '--proxy',
      'pair',
      '--hello',
      hex,
      '--sni',
      'WWW.site.example.',
    );
    expect(other.answer).toMatchObject({ sni: 'www.site.example', certificate: { name: 'wild', match: 'wildcard' } });
  });

  test.each([
    [
      ['--proxy', 'nobody'],
      'Cannot find a target proxy nobody behind a forwarding rule, expected one of pair, one, open',
    ],
    [
      ['--proxy', 'pair', '--client', 'java'],
      "'java' fits java-25, java-17, java-11, java-8, java-7; name one of them",
    ],
    [['--proxy', 'pair', '--client', 'lynx'], "Cannot find the client 'lynx', expected one of chromium-156, "],
    [['--proxy', 'pair', '--hello', '1603'], 'Cannot read --hello: need-more, expected one whole ClientHello'],
    [['--proxy', 'pair', '--hello', 'xyz'], 'expected the bytes of a ClientHello record'],
    [['--proxy', 'pair', '--hello', '4745', '--client', 'go'], 'Cannot ask for two clients'],
    [['--proxy', 'pair', '--sni', '10.0.0.1'], "Cannot ask for --sni '10.0.0.1'"],
  ])('refuses %j', async (args, message) => {
    const { code, stdout, stderr } = await world.explain('certificate', ...args);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain(message);
  });

  test('prints what is wrong with a configuration that does not load', async () => {
    const file = world.folder.write('broken.json', '{"sslPolicies": [{"name": "p", "profile": "LAX"}]}');
    const { code, stderr } = await world.explain('certificate', '--config', file, '--proxy', 'pair');
    expect(code).toBe(1);
    expect(stderr).toContain('broken.json:1:');
  });
});
