// `sallyport check` as a user, an editor or CI runs it.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { issue } from '#src/pki/issue/issue.ts';
import { chainPem, testPki } from '../harness/pki.ts';
import { sallyportOnce } from '../harness/run-sallyport.ts';
import { scenarioConfiguration } from '../harness/scenario.ts';
import { makeTempFolder, type TempFolder } from '../harness/temp-folder.ts';

describe('sallyport check', () => {
  let folder: TempFolder;

  beforeAll(async () => {
    const pki = await testPki();
    folder = makeTempFolder();
    const front = await issue({ subject: 'CN=front', issuer: pki.issuing, dnsNames: ['localhost', '*.proxy.test'] });
    folder.write('front.crt', chainPem(front, pki.issuing));
    folder.write('front.key', front.privateKeyPem, 0o600);
    const service = { name: 'api', ports: [8080], protocol: 'HTTP' as const };
    folder.write('good.json', JSON.stringify(scenarioConfiguration({ services: [service] }, 8443, 9901)));
    const unauthenticated = { ...service, protocol: 'HTTPS' as const };
    folder.write('weak.json', JSON.stringify(scenarioConfiguration({ services: [unauthenticated] }, 8443, 9901)));
    folder.write('bad.yaml', 'forwardingRules:\n  - { name: https, IPAddres: 127.0.0.1 }\nsslPolicys: []\n');
  });
  afterAll(() => folder.remove());

  test('0 and a summary when all is good', async () => {
    const ended = await sallyportOnce(['check', '--config', folder.file('good.json')]);
    expect(ended).toMatchObject({ code: 0, stderr: '' });
    expect(ended.stdout).toMatch(/good\.json: 0 errors, 0 warnings\n$/);
  });

  test('1 and every problem with its place and the nearest word', async () => {
    const ended = await sallyportOnce(['check', '--config', folder.file('bad.yaml')]);
    expect(ended.code).toBe(1);
    expect(ended.stdout).toMatch(/bad\.yaml:2:\d+: error: forwardingRules\/https: .*IPAddress/);
    expect(ended.stdout).toMatch(/bad\.yaml:3:1: error:.*sslPolicies/);
  });

  test('a warning is 0, with --strict 1', async () => {
    const file = folder.file('weak.json');
    expect((await sallyportOnce(['check', '--config', file])).code).toBe(0);
    const strict = await sallyportOnce(['check', '--config', file, '--strict', '--json']);
    expect(strict.code).toBe(1);
    const report = JSON.parse(strict.stdout) as { ok: boolean; errors: unknown[]; warnings: { message: string }[] };
    expect(report).toMatchObject({ ok: false, errors: [] });
    expect(report.warnings[0]?.message).toContain('authenticationConfig');
  });

  test('2 and a hint for a command line that cannot be read', async () => {
    expect(await sallyportOnce(['check'])).toMatchObject({ code: 2, stdout: '' });
    expect((await sallyportOnce(['chek'])).stderr).toContain('check');
  });
});
