// What the README shows has to work as shown.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { issue } from '#src/pki/issue/issue.ts';
import { checkConfiguration } from '#src/process/check.ts';
import { chainPem, testPki } from '../harness/pki.ts';
import { makeTempFolder } from '../harness/temp-folder.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const README = readFileSync(join(ROOT, 'README.md'), 'utf8');

test('its configuration loads without an error or a warning', async () => {
  const [, yaml = ''] = /```yaml\n(.*?)```/s.exec(README) ?? [];
  using folder = makeTempFolder();
  const pki = await testPki();
  const site = await issue({
    subject: 'CN=site',
    issuer: pki.issuing,
    dnsNames: ['www.example'],
    extendedKeyUsage: ['serverAuth'],
  });
  folder.write('site.crt', chainPem(site, pki.issuing));
  folder.write('site.key', site.privateKeyPem);
  folder.write('internal-root.crt', pki.root.certificatePem);
  folder.write('client.crt', pki.client.certificatePem);
  folder.write('client.key', pki.client.privateKeyPem);
  expect(await checkConfiguration(folder.write('sallyport.yaml', yaml), {})).toEqual({ errors: [], warnings: [] });
});

test('every file that it links to is there', () => {
  const links = [...README.matchAll(/\]\(([^)#]+)\)/g)]
    .map((match) => match[1] ?? '')
    .filter((link) => !link.includes('://'));
  expect(links.length).toBeGreaterThan(10);
  expect(links.filter((link) => !existsSync(join(ROOT, link)))).toEqual([]);
});

test('every npm script that it names exists', () => {
  const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
    scripts: Record<string, string>;
  };
  const named = [...README.matchAll(/npm (?:run )?(start|test|[a-z:]+) /g)].map((match) => match[1] ?? '');
  expect(named).toEqual(expect.arrayContaining(['start', 'test', 'sallyport']));
  expect(named.filter((name) => !(name in scripts))).toEqual([]);
});
