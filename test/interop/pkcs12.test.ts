// PKCS#12 files as OpenSSL writes them, with today's algorithms and the old ones.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { IssuedKeyType } from '#src/pki/issue/contract.ts';
import { issue } from '#src/pki/issue/issue.ts';
import { readPkcs12 } from '#src/pki/issue/pkcs12.ts';
import { chainPem, type TestPki, testPki } from '../harness/pki.ts';
import { makeTempFolder, type TempFolder } from '../harness/temp-folder.ts';

const PASSPHRASE = 'a passphrase, with "quotes"';

let folder: TempFolder;
let pki: TestPki;
beforeAll(async () => {
  folder = makeTempFolder();
  pki = await testPki();
});
afterAll(() => folder.remove());

describe('`readPkcs12()`', () => {
  test.each([
    ['p256', []],
    ['p384', ['-keypbe', 'AES-128-CBC', '-certpbe', 'AES-128-CBC', '-macalg', 'SHA384']],
    ['rsa-2048', []],
    ['rsa-2048', ['-keypbe', 'PBE-SHA1-3DES', '-certpbe', 'PBE-SHA1-3DES', '-macalg', 'SHA1']], // what Windows and old Java want
    ['p256', ['-certpbe', 'NONE']],
  ] as const)('reads a %s key and its chain, leaf first (openssl pkcs12 -export %j)', async (keyType, options) => {
    const { file, certificates, key } = await exported(keyType, options);
    const contents = readPkcs12(readFileSync(file), PASSPHRASE);
    expect(contents).toEqual({ certificatePem: certificates, privateKeyPem: key });
  });

  test('says that a passphrase is wrong, and nothing of the file', async () => {
    const { file } = await exported('p256', []);
    expect(readPkcs12(readFileSync(file), 'wrong')).toBe('found that the passphrase does not open it');
    expect(readPkcs12(readFileSync(file).subarray(0, 200), PASSPHRASE)).toBe('found no PKCS#12 (DER)');
  });

  test('refuses a passphrase outside ASCII, instead of calling it wrong', () => {
    expect(readPkcs12(Buffer.alloc(0), 'pässword')).toMatch(/other characters than printable ASCII/);
  });

  test('refuses a file without a key', () => {
    const certificate = folder.write('root.crt', pki.root.certificatePem);
    const file = folder.file('nokey.p12');
    openssl(['pkcs12', '-export', '-nokeys', '-in', certificate, '-out', file]);
    expect(readPkcs12(readFileSync(file), PASSPHRASE)).toBe('found 0 private keys, expected one');
  });
});

async function exported(keyType: IssuedKeyType, options: readonly string[]) {
  const leaf = await issue({ subject: 'CN=p12', dnsNames: ['p12.example'], issuer: pki.issuing, keyType });
  const certificate = folder.write('leaf.crt', leaf.certificatePem);
  const key = folder.write('leaf.key', leaf.privateKeyPem);
  // the root before the intermediate: the order in the file means nothing
  const rest = folder.write('rest.crt', chainPem(pki.root, pki.issuing));
  const file = folder.file('leaf.p12');
  openssl(['pkcs12', '-export', '-in', certificate, '-inkey', key, '-certfile', rest, '-out', file, ...options]);
  return { file, certificates: chainPem(leaf, pki.issuing, pki.root), key: leaf.privateKeyPem };
}

function openssl(args: readonly string[]): void {
  const { status, stderr } = spawnSync('openssl', [...args, '-passout', 'env:PASSPHRASE'], {
    env: { ...process.env, PASSPHRASE },
    encoding: 'utf8',
    timeout: 20_000,
  });
  if (status !== 0) throw new Error(`openssl: ${stderr}`);
}
