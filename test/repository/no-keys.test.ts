// Security: no key is tracked by git or packed by npm. Keys for tests and the demo are made at run time; public conformance suites
// publish theirs on purpose.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { issue } from '#src/pki/issue/issue.ts';
import { makeTempFolder } from '../harness/temp-folder.ts';

const ROOT = join(import.meta.dirname, '..', '..');
/** A header with key bytes behind it: the words alone stand in code and documentation. */
const KEY_MATERIAL = /-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----(?:\\n|\s)+(?:[A-Za-z-]+: .*\s+)*[A-Za-z0-9+/]{40}/;
const KEY_FILE = /\.(?:key|p12|pfx|jks|keystore)$|(?:^|\/)id_(?:rsa|ecdsa|ed25519)$/;
const PUBLIC_SUITES = 'test/conformance/data/';

function keysAmong(root: string, files: readonly string[]): readonly string[] {
  return files.filter((file) => {
    if (KEY_FILE.test(file)) return true;
    return existsSync(join(root, file)) && KEY_MATERIAL.test(readFileSync(join(root, file), 'latin1'));
  });
}

test('the search finds keys in every form that we write', async () => {
  using folder = makeTempFolder();
  const { privateKeyPem } = await issue({ subject: 'CN=a' });
  folder.write('plain.pem', privateKeyPem);
  folder.write('legacy.pem', privateKeyPem.replaceAll('PRIVATE KEY', 'EC PRIVATE KEY'));
  folder.write('inline.json', JSON.stringify({ pem: privateKeyPem }));
  folder.write('yaml.yaml', `key: |\n${privateKeyPem.replace(/^/gm, '    ')}`);
  folder.write('store.p12', 'anything');
  folder.write('words.md', 'It begins with -----BEGIN PRIVATE KEY----- and so on.');
  const files = ['plain.pem', 'legacy.pem', 'inline.json', 'yaml.yaml', 'store.p12', 'words.md'];
  expect(keysAmong(folder.path, files)).toEqual(files.slice(0, 5));
});

test('git tracks no private key', () => {
  const tracked = execFileSync('git', ['ls-files', '-z'], { cwd: ROOT, encoding: 'utf8' })
    .split('\0')
    .filter((file) => file !== '');
  expect(tracked).toContain('package.json');
  expect(
    keysAmong(
      ROOT,
      tracked.filter((file) => !file.startsWith(PUBLIC_SUITES)),
    ),
  ).toEqual([]);
});

test('git ignores every folder that keys are written to', () => {
  for (const file of ['.demo/certs/a.key', 'certs/generated/a.key']) {
    expect(execFileSync('git', ['check-ignore', file], { cwd: ROOT, encoding: 'utf8' }).trim()).toBe(file);
  }
});

test('npm packs no private key, and nothing but what package.json names', () => {
  const output = execFileSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts', '--loglevel=error'], {
    cwd: ROOT,
    encoding: 'utf8',
    env: { ...process.env, npm_config_offline: 'true' },
  });
  const [packed] = JSON.parse(output) as [{ files: { path: string }[] }];
  const paths = packed.files.map((file) => file.path);
  expect(paths).toContain('bin/sallyport.mjs');
  expect(keysAmong(ROOT, paths)).toEqual([]);
  expect(
    paths.filter(
      (path) =>
        !/^(?:bin|dist|certs)\/|^config\/(?:schema\.json|README\.md)$|^[A-Z]+(?:\.md)?$|^package\.json$/.test(path),
    ),
  ).toEqual([]);
});
