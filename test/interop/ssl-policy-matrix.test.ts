import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer, type Server } from 'node:tls';
import { issue } from '#src/pki/issue/issue.ts';
import type { CertificateEntry } from '#src/tls/certificate-entry.ts';
import { contextOptions } from '#src/tls/context-options.ts';
import { handshakeFailureReason } from '#src/tls/handshake-failure-reason.ts';
import { effectivePolicy, type SslPolicy } from '#src/tls/ssl-policy.ts';
import { entryFor } from '../tls/entries.ts';
import { helloBytes } from '../tls/raw-hello.ts';
import { Engine } from '../tls/server-flight.ts';
import { SPEC_TABLE } from '../tls/spec-table.ts';

// Profile x version x suite against Debian's `openssl s_client`: accepted exactly where the specification's table says.
type Version = '1.0' | '1.1' | '1.2' | '1.3';
/** `not offered`: no client can put this suite into a hello of this version. */
type Outcome = 'accepted' | 'protocol version' | 'handshake failure' | 'not offered';

interface Cell {
  readonly version: Version;
  readonly suite: string;
  readonly keyType: 'RSA' | 'ECDSA';
  readonly expected: Outcome;
}

const NOW = Date.UTC(2026, 10, 21);
const open: Server[] = [];
let rsa: CertificateEntry;
let ecdsa: CertificateEntry;
beforeAll(async () => {
  [rsa, ecdsa] = await Promise.all([entryFor('rsa', 'RSA'), entryFor('ecdsa', 'P-256')]);
});
afterEach(() => {
  for (const server of open.splice(0)) server.close();
});

describe('`openssl s_client` is accepted exactly where the table says', () => {
  test.each([
    ['COMPATIBLE', 'TLS_1_0', '1.0'],
    ['COMPATIBLE', 'TLS_1_1', '1.1'],
    ['COMPATIBLE', 'TLS_1_2', '1.2'],
    ['MODERN', 'TLS_1_0', '1.0'],
    ['MODERN', 'TLS_1_1', '1.1'],
    ['MODERN', 'TLS_1_2', '1.2'],
    ['RESTRICTED', 'TLS_1_0', '1.2'], // no suite of it works below 1.2
    ['RESTRICTED', 'TLS_1_1', '1.2'],
    ['RESTRICTED', 'TLS_1_2', '1.2'],
    ['RESTRICTED', 'TLS_1_3', '1.3'],
    ['FIPS_202205', 'TLS_1_2', '1.2'],
  ] as const)('%s with minimum %s', async (profile, minTlsVersion, oldest) => {
    const inProfile = (row: Row) => row.profiles.includes(profile.charAt(0));
    await expectMatrix(
      { profile, minTlsVersion, customFeatures: [], postQuantumKeyExchange: 'DEFAULT' },
      oldest,
      inProfile,
    );
  });

  test('no policy attached', async () => {
    await expectMatrix(null, '1.0', (row) => row.profiles.includes('C'));
  });

  test('CUSTOM with one suite of each kind', async () => {
    const customFeatures = [
      'TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384',
      'TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA',
      'TLS_RSA_WITH_AES_128_CBC_SHA',
    ];
    const policy: SslPolicy = {
      profile: 'CUSTOM',
      minTlsVersion: 'TLS_1_0',
      customFeatures,
      postQuantumKeyExchange: 'DEFAULT',
    };
    await expectMatrix(policy, '1.0', (row) => customFeatures.includes(row.feature));
  });
});

test('3DES is reported as unavailable, and a client that has nothing else is refused', async () => {
  const policy = effectivePolicy(
    { profile: 'COMPATIBLE', minTlsVersion: 'TLS_1_0', customFeatures: [], postQuantumKeyExchange: 'DEFAULT' },
    NOW,
  );
  const warning = policy.warnings.find(({ code }) => code === 'FEATURE_UNAVAILABLE');
  expect(warning?.message).toContain('TLS_RSA_WITH_3DES_EDE_CBC_SHA (DES-CBC3-SHA)');
  expect(policy.enabledFeatures).not.toContain('TLS_RSA_WITH_3DES_EDE_CBC_SHA');
  const engine = await new Engine(contextOptions(policy, rsa, null)).listen();
  try {
    const hello = helloBytes({ suites: [0x000a], groups: [0x0017], schemes: [0x0401] }); // Debian's client cannot offer it either
    expect(await engine.answer(hello)).toEqual({ kind: 'alert', description: 40 });
  } finally {
    await engine.close();
  }
});

describe('the alerts of a real OpenSSL client become reasons', () => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-s-client-'));
  afterAll(() => rmSync(folder, { recursive: true }));

  test('a client that does not know the CA: peer_alert_unknown_ca', async () => {
    expect(await reasonFor(rsa, ['-verify_return_error'])).toBe('peer_alert_unknown_ca');
  });

  test('a client that finds the certificate expired: peer_alert_certificate_expired', async () => {
    const [notBefore, notAfter] = [new Date(Date.UTC(2020, 0, 1)), new Date(Date.UTC(2021, 0, 1))];
    const expired = await issue({ subject: 'CN=expired', dnsNames: ['example.test'], notBefore, notAfter });
    const roots = join(folder, 'roots.pem');
    writeFileSync(roots, expired.certificatePem);
    const reason = await reasonFor({ ...ecdsa, ...expired }, ['-verify_return_error', '-CAfile', roots]);
    expect(reason).toBe('peer_alert_certificate_expired');
  });
});

interface Row {
  readonly feature: string;
  readonly opensslName: string;
  readonly minVersion: Version;
  readonly profiles: string;
}

async function expectMatrix(policy: SslPolicy | null, oldest: Version, enabled: (row: Row) => boolean): Promise<void> {
  const effective = effectivePolicy(policy, NOW);
  const ports = {
    RSA: await listen(contextOptions(effective, rsa, null)),
    ECDSA: await listen(contextOptions(effective, ecdsa, null)),
  };
  const cells = [...olderCells(oldest, enabled), ...tls13Cells(policy?.profile === 'FIPS_202205')];
  const outcomes = await inBatches(cells, async (cell) => ({
    ...cell,
    outcome: await outcomeOf(ports[cell.keyType], cell),
  }));
  expect(outcomes.map(describeCell)).toEqual(cells.map((cell) => describeCell({ ...cell, outcome: cell.expected })));
}

function olderCells(oldest: Version, enabled: (row: Row) => boolean): Cell[] {
  const cells: Cell[] = [];
  for (const version of ['1.0', '1.1', '1.2'] as const) {
    for (const row of ROWS) {
      const possible = row.minVersion <= version && row.opensslName !== 'DES-CBC3-SHA';
      const allowed = version < oldest ? 'protocol version' : enabled(row) ? 'accepted' : 'handshake failure';
      const keyType = row.feature.includes('ECDSA') ? 'ECDSA' : 'RSA';
      cells.push({ version, suite: row.opensslName, keyType, expected: possible ? allowed : 'not offered' });
    }
  }
  return cells;
}

/** No policy but FIPS_202205 changes them (spec 1.1). */
function tls13Cells(fips: boolean): Cell[] {
  const suites = ['TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256'];
  return suites.map((suite) => {
    const expected = fips && suite.includes('CHACHA20') ? 'handshake failure' : 'accepted';
    return { version: '1.3', suite, keyType: 'ECDSA', expected };
  });
}

function describeCell(cell: Cell & { readonly outcome: string }): string {
  return `TLS ${cell.version} ${cell.suite}: ${cell.outcome}`;
}

async function outcomeOf(port: number, { version, suite }: Cell): Promise<string> {
  const flag = version === '1.0' ? '-tls1' : `-tls1_${version.charAt(2)}`;
  const suites = version === '1.3' ? ['-ciphersuites', suite] : ['-cipher', `${suite}:@SECLEVEL=0`];
  const output = await sClient(port, [flag, ...suites]);
  const protocol = version === '1.0' ? 'TLSv1' : `TLSv${version}`;
  if (output.includes(`Protocol version: ${protocol}\n`) && output.includes(`Ciphersuite: ${suite}\n`))
    return 'accepted';
  if (/alert protocol version/.test(output)) return 'protocol version';
  if (/alert handshake failure/.test(output)) return 'handshake failure';
  if (/no ciphers available|no cipher match/.test(output)) return 'not offered';
  return output;
}

async function reasonFor(certificate: CertificateEntry, args: readonly string[]): Promise<string> {
  const policy = effectivePolicy(null, NOW);
  const server = createServer(contextOptions(policy, certificate, null));
  const code = new Promise<string>((done) => {
    server.on('tlsClientError', (error: NodeJS.ErrnoException) => done(error.code ?? error.message));
    server.on('secureConnection', (socket) =>
      socket.on('error', (error: NodeJS.ErrnoException) => done(error.code ?? error.message)),
    );
  });
  await sClient(await start(server), ['-tls1_2', ...args]); // on TLS 1.3 the alert comes after the server's handshake has ended
  return handshakeFailureReason(null, policy, certificate, { how: 'error', code: await code }).reason;
}

function sClient(port: number, args: readonly string[]): Promise<string> {
  return new Promise((done, fail) => {
    const child = spawn('openssl', ['s_client', '-connect', `127.0.0.1:${port}`, '-brief', ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: process.env['PATH'], OPENSSL_CONF: '/dev/null' }, // Debian's own sets a minimum version
    });
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
    child.stderr.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
    child.on('error', fail);
    child.on('close', () => done(output));
  });
}

async function inBatches<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (let at = 0; at < items.length; at += BATCH)
    results.push(...(await Promise.all(items.slice(at, at + BATCH).map(work))));
  return results;
}

function listen(options: Parameters<typeof createServer>[0]): Promise<number> {
  return start(createServer(options, (socket) => socket.on('error', () => {}).end()));
}

async function start(server: Server): Promise<number> {
  server.on('tlsClientError', () => {});
  open.push(server);
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return (server.address() as AddressInfo).port;
}

const BATCH = 6;
const ROWS: readonly Row[] = SPEC_TABLE.map((row) => {
  const [, feature, opensslName, minVersion, profiles] = row.split(' ');
  return { feature: feature!, opensslName: opensslName!, minVersion: minVersion as Version, profiles: profiles! };
});
