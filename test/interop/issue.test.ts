// OpenSSL's opinion of what issue() makes.
import { spawnSync } from 'node:child_process';
import type { IssuedKeyType } from '#src/pki/issue/contract.ts';
import { issue } from '#src/pki/issue/issue.ts';
import { makeTempFolder } from '../harness/temp-folder.ts';

function openssl(args: readonly string[], cwd: string): { status: number | null; output: string } {
  const run = spawnSync('openssl', args, { cwd, encoding: 'utf8' });
  return { status: run.status, output: run.stdout + run.stderr };
}

test.each<IssuedKeyType>(['rsa-2048', 'p256', 'p384', 'p521', 'ed25519'])(
  'openssl verifies a constrained chain with %s keys under -x509_strict',
  async (keyType) => {
    using folder = makeTempFolder();
    const permitted = { dns: ['localhost'], ip: ['127.0.0.0/8', '::1/128'] };
    const root = await issue({ subject: 'CN=Root,O=Sallyport', ca: true, pathLength: 1, keyType, permitted });
    const issuing = await issue({ subject: 'CN=Issuing', ca: true, pathLength: 0, keyType, issuer: root });
    const leaf = await issue({
      subject: 'CN=leaf',
      issuer: issuing,
      keyType,
      dnsNames: ['a.localhost'],
      ipAddresses: ['::1'],
    });
    const stray = await issue({ subject: 'CN=stray', issuer: issuing, keyType, dnsNames: ['a.example'] });
    for (const [name, { certificatePem }] of Object.entries({ root, issuing, leaf, stray }))
      folder.write(`${name}.pem`, certificatePem);
    folder.write('leaf.key', leaf.privateKeyPem);
    const verify = (file: string) =>
      openssl(
        ['verify', '-x509_strict', '-purpose', 'sslserver', '-CAfile', 'root.pem', '-untrusted', 'issuing.pem', file],
        folder.path,
      );
    expect(verify('leaf.pem')).toEqual({ status: 0, output: 'leaf.pem: OK\n' });
    expect(verify('stray.pem').output).toContain('permitted subtree violation');
    expect(openssl(['pkey', '-in', 'leaf.key', '-noout', '-check'], folder.path).status).toBe(0);
  },
);
