// `sallyport verify` as a user runs it: exit codes, text, JSON, and thousands of lines in one process.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { parseCertificate } from '#src/pki/certificate.ts';
import { crlPem, issueCrl } from '#src/pki/issue/crl.ts';
import { chainPem, type TestPki, testPki } from '../harness/pki.ts';
import { sallyportOnce } from '../harness/run-sallyport.ts';
import { makeTempFolder, type TempFolder } from '../harness/temp-folder.ts';

describe('sallyport verify', () => {
  let folder: TempFolder;
  let pki: TestPki;

  beforeAll(async () => {
    pki = await testPki();
    folder = makeTempFolder();
    folder.write('root.pem', pki.root.certificatePem);
    folder.write('stranger.pem', pki.stranger.certificatePem);
    folder.write('issuing.pem', pki.issuing.certificatePem);
    folder.write('chain.pem', chainPem(pki.server, pki.issuing));
    folder.write('leaf.pem', pki.server.certificatePem);
  });
  afterAll(() => folder.remove());

  function verify(...args: string[]) {
    return sallyportOnce(['verify', ...args], { cwd: folder.path });
  }

  test('exits 0 for a trusted chain and prints its path', async () => {
    const ended = await verify('--roots', 'root.pem', '--chain', 'chain.pem', '--dns-name', 'backend.example');
    expect(ended).toMatchObject({ code: 0, stderr: '' });
    expect(ended.stdout).toMatch(/CN=test server[\s\S]*CN=Test Issuing CA[\s\S]*CN=Test Root/);
  });

  test('consults CRLs: a missing one refuses unless the mode is if-available, a listed certificate always', async () => {
    const [root, issuing] = [issueCrl({ issuer: pki.root }), issueCrl({ issuer: pki.issuing })];
    const serialHex = parseCertificate(pki.server.der).serial.toString('hex');
    folder.write('both.crl', crlPem(root) + crlPem(issuing));
    folder.write('root.crl', root);
    folder.write('revoked.crl', issueCrl({ issuer: pki.issuing, revoked: [{ serialHex }] }));
    const ask = (...args: string[]) => verify('--roots', 'root.pem', '--chain', 'chain.pem', ...args);
    expect(await ask('--crl', 'both.crl')).toMatchObject({ code: 0 });
    expect(await ask('--crl', 'root.crl')).toMatchObject({
      code: 1,
      stdout: expect.stringContaining('rule crl-missing, depth 0'),
    });
    expect(await ask('--crl', 'root.crl', '--revocation-mode', 'if-available')).toMatchObject({ code: 0 });
    const revoked = await ask('--crl', 'revoked.crl', '--revocation-mode', 'if-available');
    expect(revoked).toMatchObject({ code: 1, stdout: expect.stringContaining('rule revocation, depth 0') });
    expect(await ask('--crl', 'root.pem')).toMatchObject({
      code: 1,
      stderr: 'Cannot read root.pem: found neither DER nor an X509 CRL block in PEM\n',
    });
    expect(await ask('--revocation-mode', 'require')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('without --crl'),
    });
  });

  test('takes intermediates from a file', async () => {
    const args = ['--roots', 'root.pem', '--chain', 'leaf.pem'];
    expect((await verify(...args)).code).toBe(1);
    expect((await verify(...args, '--intermediates', 'issuing.pem')).code).toBe(0);
  });

  test.each([
    ['a wrong root', ['--roots', 'stranger.pem'], 'trust-anchor', 'ssl_certificate_chain_verification_failed'],
    [
      'a wrong name',
      ['--roots', 'root.pem', '--dns-name', 'a.example', 'b.example'],
      'subject-alternative-name',
      'ssl_certificate_san_verification_failed',
    ],
    [
      'a wrong purpose',
      ['--roots', 'root.pem', '--purpose', 'client'],
      'extended-key-usage',
      'client_cert_chain_invalid_eku',
    ],
    [
      'a wrong time',
      ['--roots', 'root.pem', '--at', '2001-01-01T00:00:00Z'],
      'validity',
      'ssl_certificate_chain_verification_failed',
    ],
  ])('exits 1 for %s and names the rule in --json', async (_name, args, rule, statusDetails) => {
    const ended = await verify(...args, '--chain', 'chain.pem', '--json');
    expect(ended.code).toBe(1);
    expect(JSON.parse(ended.stdout)).toMatchObject({ ok: false, rule, statusDetails, path: [] });
  });

  test('an allowlisted leaf needs no root', async () => {
    expect((await verify('--allowlist', 'leaf.pem', '--chain', 'leaf.pem')).code).toBe(0);
  });

  test.each([
    [['--roots', 'root.pem'], '--chain'],
    [['--chain', 'chain.pem'], '--roots'],
    [['--roots', 'missing.pem', '--chain', 'chain.pem'], 'missing.pem: ENOENT'],
    [['--roots', 'root.pem', '--chain', 'chain.pem', '--at', 'yesterday'], "--at 'yesterday'"],
  ])('%j is answered with what is missing', async (args, expected) => {
    const ended = await verify(...args);
    expect(ended).toMatchObject({ code: 1, stdout: '' });
    expect(ended.stderr).toContain(expected);
  });

  test('--batch answers one line for each, in order, whatever they hold', async () => {
    const good = {
      id: 'good',
      roots: [pki.root.certificatePem],
      chain: [pki.server.certificatePem, pki.issuing.certificatePem],
    };
    const lines = [
      JSON.stringify({ ...good, dnsNames: ['backend.example'], purpose: 'server' }),
      JSON.stringify({ ...good, id: 2, roots: [] }),
      'not JSON',
      ...Array.from({ length: 500 }, (_, i) => JSON.stringify({ ...good, id: `n${i}` })),
    ];
    const ended = await sallyportOnce(['verify', '--batch'], { input: `${lines.join('\n')}\n` });
    expect(ended).toMatchObject({ code: 0, stderr: '' });
    const answers = ended.stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(answers).toHaveLength(lines.length);
    expect(answers[0]).toMatchObject({ id: 'good', ok: true, statusDetails: null, rule: null, depth: null });
    expect(answers[1]).toMatchObject({ id: 2, ok: false, rule: 'trust-anchor' });
    expect(answers[2]).toMatchObject({ id: null, ok: false, rule: 'malformed-request' });
    expect(answers.slice(3).every((answer, i) => answer['ok'] === true && answer['id'] === `n${i}`)).toBe(true);
    expect(Object.keys(answers[0] ?? {})).toEqual(['id', 'ok', 'statusDetails', 'rule', 'depth', 'reason']);
  });
});
