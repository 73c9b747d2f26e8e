import { createPrivateKey, randomBytes } from 'node:crypto';
import { utimesSync } from 'node:fs';
import type { Issued, IssueRequest } from '#src/pki/issue/contract.ts';
import { issue } from '#src/pki/issue/issue.ts';
import { mmdb } from '../harness/mmdb.ts';
import { makePkcs12 } from '../harness/pkcs12.ts';
import { makeTempFolder, type TempFolder } from '../harness/temp-folder.ts';
import { writeCrls } from './golden-crls.ts';

/** Every certificate that a golden case names, in a folder that the cases know as `${PKI}`. */
export interface GoldenPki {
  readonly folder: TempFolder;
  /** Lines of private keys: none may appear in any output. */
  readonly secrets: readonly string[];
}

export const GOLDEN_NOW_MS = Date.UTC(2026, 10, 21, 12);

/**
 *   root ── issuing ── server, server-p384, …, client, client-…
 */
export async function makeGoldenPki(): Promise<GoldenPki> {
  const folder = makeTempFolder();
  const secrets: string[] = [];
  const write = (name: string, ...chain: readonly Issued[]) => {
    folder.write(`${name}.crt`, chain.map(({ certificatePem }) => certificatePem).join(''), 0o644);
    const key = chain[0]?.privateKeyPem ?? '';
    folder.write(`${name}.key`, key, 0o600);
    secrets.push(...key.split('\n').filter((line) => line !== '' && !line.startsWith('-----')));
  };
  const make = (request: IssueRequest) => issue({ notBefore: FROM, notAfter: UNTIL, ...request });
  const root = await make({ subject: 'CN=Golden Root', ca: true });
  const issuing = await make({ subject: 'CN=Golden Issuing CA', ca: true, issuer: root });
  const other = await make({ subject: 'CN=Golden Stranger', ca: true });
  const leaf = (request: Partial<IssueRequest>) =>
    make({
      subject: 'CN=site',
      dnsNames: ['site.example'],
      issuer: issuing,
      extendedKeyUsage: ['serverAuth'],
      ...request,
    });
  const client = (request: Partial<IssueRequest>) =>
    make({ subject: 'CN=proxy', issuer: issuing, extendedKeyUsage: ['clientAuth'], ...request });

  const server = await leaf({});
  const weak = await leaf({ keyType: 'rsa-1024' });
  const places = mmdb({ '198.51.100.0/24': { country: { iso_code: 'US' } } });
  folder.write('places.mmdb', places, 0o644);
  folder.write('places-part.mmdb', places.subarray(200), 0o644);
  write('root', root);
  write('issuing', issuing);
  writeCrls(folder, root, issuing);
  write('stranger', other);
  write('server', server, issuing);
  write('server-alone', server);
  write('server-chain', server, issuing);
  write('server-chain-wrong', server, other);
  write('server-chain-6', server, issuing, root, root, root, root);
  write('server-p384', await leaf({ keyType: 'p384', dnsNames: ['*.site.example', 'SITE.example'] }), issuing);
  write('server-p521', await leaf({ keyType: 'p521' }), issuing);
  write('server-ed25519', await leaf({ keyType: 'ed25519' }), issuing);
  const rsa = await leaf({ keyType: 'rsa-2048' });
  write('server-rsa', rsa, issuing);
  write('server-rsa1024', weak, issuing);
  write('server-rsa1024-alone', weak);
  write('server-expired', await leaf({ notAfter: new Date(Date.UTC(2026, 5, 30)) }), issuing);
  write('server-future', await leaf({ notBefore: new Date(Date.UTC(2027, 0, 1)) }), issuing);
  write('server-client-usage', await leaf({ extendedKeyUsage: ['clientAuth'] }), issuing);
  write('server-nameless', await leaf({ subject: 'CN=no host name', dnsNames: [] }), issuing);
  write(
    'server-sha1',
    await make({ subject: 'CN=site', dnsNames: ['site.example'], issuer: root, signatureHash: 'SHA-1' }),
  );
  write('server-soon', await leaf({ notAfter: new Date(Date.UTC(2026, 10, 29)) }), issuing);
  const weakCa = await make({ subject: 'CN=Weak CA', ca: true, issuer: root, signatureHash: 'SHA-1' });
  const expiredCa = await make({
    subject: 'CN=Expired CA',
    ca: true,
    issuer: weakCa,
    notAfter: new Date(Date.UTC(2026, 5, 30)),
  });
  write('server-weak-chain', await leaf({ issuer: expiredCa }), expiredCa, weakCa);
  const rsaAlone = await make({ subject: 'CN=site', dnsNames: ['site.example'], keyFrom: rsa });
  folder.write('server-rsa.p12', makePkcs12(rsaAlone, GOLDEN_PASSPHRASE), 0o600);
  folder.write('passphrase.txt', `${GOLDEN_PASSPHRASE}\n`, 0o600);
  folder.write('world-readable.txt', `${GOLDEN_PASSPHRASE}\n`, 0o644);
  secrets.push(GOLDEN_PASSPHRASE);
  writeTicketSecrets(folder, secrets);
  writeAdminTokens(folder, secrets);
  write('client', await client({}));
  write('client-server-usage', await client({ extendedKeyUsage: ['serverAuth'] }));
  write('client-no-usage', await client({ extendedKeyUsage: null }));
  write('client-codesigning', await client({ extendedKeyUsage: ['clientAuth', 'codeSigning'] }));
  write('client-expired', await client({ notAfter: new Date(Date.UTC(2026, 5, 30)) }));
  write('client-ca', await client({ ca: true }));
  write(
    'anchor-expired',
    await make({ subject: 'CN=Expired Root', ca: true, notAfter: new Date(Date.UTC(2026, 5, 30)) }),
  );
  write('anchor-weak', await make({ subject: 'CN=Weak Root', ca: true, keyFrom: weak }));
  write('anchor-client-usage', await make({ subject: 'CN=Client Root', ca: true, extendedKeyUsage: ['clientAuth'] }));
  write('anchor-no-sign', await make({ subject: 'CN=No Sign Root', ca: true, keyUsage: ['digitalSignature'] }));
  const dns = Array.from({ length: 11 }, (_, index) => `d${index}.example`);
  write('constraints-11', await make({ subject: 'CN=Constrained CA', ca: true, issuer: root, permitted: { dns } }));
  write(
    'constraints-10',
    await make({ subject: 'CN=Ten CA', ca: true, issuer: root, permitted: { dns: dns.slice(1) } }),
  );
  for (const number of [1, 2, 3, 4])
    write(`same-${number}`, await make({ subject: 'CN=Same CA', ca: true, issuer: root, keyFrom: issuing }));
  const uris = [`https://long.example/${'x'.repeat(4000)}`];
  write('large', await make({ subject: 'CN=Large Root', ca: true, uris }));

  const encrypted = createPrivateKey(server.privateKeyPem).export({
    type: 'pkcs8',
    format: 'pem',
    cipher: 'aes-256-cbc',
    passphrase: 'golden',
  });
  folder.write('encrypted.key', encrypted);
  folder.write('world-readable.key', server.privateKeyPem, 0o644);
  folder.write('two-keys.key', server.privateKeyPem + rsa.privateKeyPem);
  folder.write('not-pem.crt', 'hello');
  folder.write('broken.crt', server.certificatePem.replace('-----END CERTIFICATE-----', ''));
  folder.write('not-der.crt', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n');
  folder.write('latin1.crt', Buffer.from([0x2d, 0xe4, 0xff]));
  folder.write('folder.crt/inside', '');
  return { folder, secrets };
}

function writeTicketSecrets(folder: TempFolder, secrets: string[]): void {
  const base64 = randomBytes(48).toString('base64url');
  const hex = randomBytes(32).toString('hex');
  const short = randomBytes(31).toString('hex');
  secrets.push(base64, hex, short);
  const files: Readonly<Record<string, string>> = {
    good: `# newest first\n${base64}\n\n  ${hex}  \n`,
    short: `${base64}\n${short}\n`,
    twice: `${hex}\n${hex.toUpperCase()}\n`,
    empty: '# none\n',
    odd: `${hex}\ncorrect horse battery staple\n`,
    old: `${hex}\n`,
  };
  for (const [name, text] of Object.entries(files)) {
    const file = folder.write(`tickets-${name}.keys`, text, name === 'good' ? 0o644 : 0o600);
    const ageDays = name === 'old' ? 8 : 1;
    const modified = new Date(GOLDEN_NOW_MS - ageDays * 86_400_000);
    utimesSync(file, modified, modified);
  }
}

export const GOLDEN_PASSPHRASE = 'golden passphrase of the PKCS#12 files';
const FROM = new Date(Date.UTC(2026, 0, 1));
const UNTIL = new Date(Date.UTC(2035, 0, 1));

function writeAdminTokens(folder: TempFolder, secrets: string[]): void {
  const good = randomBytes(16).toString('hex');
  const short = good.slice(1);
  const odd = `${good} ${good}`;
  secrets.push(good, short);
  folder.write('admin-good.token', `${good}\n`);
  folder.write('admin-public.token', good, 0o644);
  folder.write('admin-short.token', short);
  folder.write('admin-odd.token', odd);
}
