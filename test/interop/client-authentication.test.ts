// Clients that are not Node's: curl and openssl s_client, in both modes and both versions.
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import type { Issued } from '#src/pki/issue/contract.ts';
import { issue } from '#src/pki/issue/issue.ts';
import { startClientDoor } from '../frontend/_client-door.ts';
import type { TlsDoor } from '../frontend/_tls-door.ts';
import { curl } from '../harness/curl.ts';
import { chainPem } from '../harness/pki.ts';

let folder: string;
let root: Issued;
let door: TlsDoor;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'client-authentication-'));
  root = await issue({ subject: 'CN=Client Root,O=Interop', ca: true });
  const issuing = await issue({ subject: 'CN=Client CA', ca: true, issuer: root });
  const stranger = await issue({ subject: 'CN=Stranger Root', ca: true });
  const extendedKeyUsage = ['clientAuth'] as const;
  await write('alice', await issue({ subject: 'CN=alice', issuer: issuing, extendedKeyUsage }), issuing);
  await write(
    'rsa',
    await issue({ subject: 'CN=rsa', issuer: issuing, extendedKeyUsage, keyType: 'rsa-2048' }),
    issuing,
  );
  await write('mallory', await issue({ subject: 'CN=alice', issuer: stranger, extendedKeyUsage }));
  await write('p521', await issue({ subject: 'CN=p521', issuer: issuing, extendedKeyUsage, keyType: 'p521' }), issuing);
  await write(
    'ed25519',
    await issue({ subject: 'CN=ed', issuer: issuing, extendedKeyUsage, keyType: 'ed25519' }),
    issuing,
  );
  await write('server', await issue({ subject: 'CN=srv', issuer: issuing, extendedKeyUsage: ['serverAuth'] }), issuing);
});
afterEach(() => door?.close());
afterAll(() => rm(folder, { recursive: true, force: true }));

async function write(name: string, ...chain: readonly Issued[]): Promise<void> {
  await writeFile(join(folder, `${name}.crt`), chainPem(...chain));
  await writeFile(join(folder, `${name}.key`), chain[0]?.privateKeyPem ?? '', { mode: 0o600 });
}

function asCurl(
  name: string | null,
  version: string,
  more: readonly string[] = [],
): Promise<{ readonly status: number; readonly exitCode: number }> {
  const certificate =
    name === null ? [] : ['--cert', join(folder, `${name}.crt`), '--key', join(folder, `${name}.key`)];
  const versions = ['--tlsv1.2', '--tls-max', version];
  return curl('--insecure', ...certificate, ...versions, ...more, `https://localhost:${door.port}/`);
}

test.each(['1.2', '1.3'])('curl under TLS %s is admitted with ECDSA and RSA certificates', async (version) => {
  door = await startClientDoor('REJECT_INVALID', { anchors: [root] });
  for (const name of ['alice', 'rsa']) expect(await asCurl(name, version)).toMatchObject({ exitCode: 0, status: 200 });
  expect(door.recorder.handshakes.map(({ tls }) => tls.protocol)).toEqual([`TLSv${version}`, `TLSv${version}`]);
});

test.each(['1.2', '1.3'])('curl under TLS %s is refused with the same words', async (version) => {
  door = await startClientDoor('REJECT_INVALID', { anchors: [root] });
  const clients = [null, 'mallory', 'p521', 'ed25519', 'server'];
  for (const name of clients) {
    const { status, exitCode } = await asCurl(name, version);
    expect({ name, status, isRefused: exitCode !== 0 }).toEqual({ name, status: 0, isRefused: true });
  }
  await door.recorder.until(() => door.recorder.handshakeFailures.length === clients.length);
  expect(door.recorder.handshakeFailures.map(({ statusDetails }) => statusDetails)).toEqual([
    'client_cert_not_provided',
    'client_cert_validation_failed',
    'client_cert_unsupported_elliptic_curve_key',
    'client_cert_unsupported_key_algorithm',
    'client_cert_chain_invalid_eku',
  ]);
  expect(door.recorder.exchanges).toEqual([]);
});

test.each(['1.2', '1.3'])(
  'curl under TLS %s is served without a certificate where that is allowed',
  async (version) => {
    door = await startClientDoor('ALLOW_INVALID_OR_MISSING_CLIENT_CERT', { anchors: [root] });
    for (const name of [null, 'mallory'])
      expect(await asCurl(name, version)).toMatchObject({ exitCode: 0, status: 200 });
    const errors = door.recorder.handshakes.map(({ tls }) => tls.clientCertificate?.error);
    expect(errors).toEqual(['client_cert_not_provided', 'client_cert_validation_failed']);
  },
);

test.each(['-tls1_2', '-tls1_3'])(
  'openssl s_client %s is told which CA is acceptable, and resumes nothing',
  async (version) => {
    door = await startClientDoor('REJECT_INVALID', { anchors: [root] });
    const certificate = [
      '-cert',
      join(folder, 'alice.crt'),
      '-key',
      join(folder, 'alice.key'),
      '-cert_chain',
      join(folder, 'alice.crt'),
    ];
    const session = join(folder, `session${version}`);
    const target = [
      's_client',
      '-connect',
      `localhost:${door.port}`,
      '-servername',
      'localhost',
      version,
      ...certificate,
    ];
    const request = 'GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n';
    const first = await openssl([...target, '-sess_out', session, '-ign_eof'], request);
    expect(first).toMatch(/Acceptable client certificate CA names\n(?:O ?= ?Interop, )?(?:.*)CN ?= ?Client Root/);
    expect(first).toContain('200 OK');
    await writeFile(session, '', { flag: 'a' });
    const second = await openssl([...target, '-sess_in', session, '-ign_eof'], request);
    expect(second).not.toMatch(/^Reused,/m);
    expect(door.recorder.handshakes.every(({ tls }) => !tls.resumed)).toBe(true);
  },
);

test('an address whose forged chain is dear to verify is not asked again for a while, others are (security rule 24)', async () => {
  door = await startClientDoor('REJECT_INVALID', { anchors: [root] });
  const chain = await forgedChain(9);
  const target = ['s_client', '-connect', `localhost:${door.port}`, '-servername', 'localhost'];
  const forged = ['-cert', join(folder, 'forged0.crt'), '-key', join(folder, 'forged0.key'), '-cert_chain', chain];
  await openssl([...target, ...forged], '');
  await door.recorder.until(() => door.recorder.handshakeFailures.length === 1);
  expect(door.recorder.handshakeFailures[0]?.statusDetails).toBe('client_cert_validation_failed');
  expect(await asCurl('alice', '1.3')).toMatchObject({ status: 0 });
  expect(door.recorder.handshakeFailures[1]?.statusDetails).toBe('client_cert_validation_unavailable');
  expect(await asCurl('alice', '1.3', ['--interface', '127.0.0.2'])).toMatchObject({ status: 200 });
}, 30_000);

/** A P-256 leaf under CAs on sect571r1, each signed by the next: OpenSSL checks every signature before it says that the last is unknown. */
async function forgedChain(length: number): Promise<string> {
  const file = (name: string) => join(folder, name);
  const extensions = file('ca.cnf');
  await writeFile(extensions, 'basicConstraints=CA:TRUE');
  let chain = '';
  for (let i = length; i >= 0; i--) {
    const [key, request, crt] = [file(`forged${i}.key`), file(`forged${i}.csr`), file(`forged${i}.crt`)];
    const curve = i === 0 ? 'prime256v1' : 'sect571r1';
    await openssl(['ecparam', '-name', curve, '-genkey', '-noout', '-out', key], '');
    await openssl(['req', '-new', '-key', key, '-subj', `/CN=Forged ${i}`, '-out', request], '');
    const signer =
      i === length ? ['-signkey', key] : ['-CA', file(`forged${i + 1}.crt`), '-CAkey', file(`forged${i + 1}.key`)];
    const serial = ['-set_serial', String(i + 1), '-days', '2'];
    await openssl(['x509', '-req', '-in', request, ...signer, ...serial, '-extfile', extensions, '-out', crt], '');
    if (i > 0) chain = (await readFile(crt, 'utf8')) + chain;
  }
  await writeFile(file('forged.pem'), chain);
  return file('forged.pem');
}

function openssl(args: readonly string[], input: string): Promise<string> {
  return new Promise((resolve) => {
    const child = execFile('openssl', [...args], { timeout: 20_000 }, (_failure, stdout, stderr) =>
      resolve(stdout + stderr),
    );
    child.stdin?.end(input);
  });
}
