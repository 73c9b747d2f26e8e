import { constants } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { connect, createServer, type SecureContextOptions, type Server, type TLSSocket } from 'node:tls';
import { backendContextOptions } from '#src/tls/backend-context-options.ts';
import type { CertificateEntry } from '#src/tls/certificate-entry.ts';
import { contextOptions } from '#src/tls/context-options.ts';
import { effectivePolicy, type SslPolicy } from '#src/tls/ssl-policy.ts';
import { entryFor } from './entries.ts';
import { helloBytes, type RawHello } from './raw-hello.ts';
import { Engine, type Flight } from './server-flight.ts';

let rsa: CertificateEntry;
let p256: CertificateEntry;
beforeAll(async () => {
  [rsa, p256] = await Promise.all([entryFor('rsa', 'RSA'), entryFor('p256', 'P-256')]);
});

describe('`contextOptions()`', () => {
  test('lowers the security level only where TLS 1.0 or 1.1 is allowed, and pins SHA-2 everywhere (security rule 8)', () => {
    for (const minTlsVersion of ['TLS_1_0', 'TLS_1_1', 'TLS_1_2'] as const) {
      const options = optionsFor({ minTlsVersion });
      expect(options.ciphers!.includes('@SECLEVEL=0')).toBe(minTlsVersion !== 'TLS_1_2');
      expect(options.sigalgs).toMatch(/sha256/);
      expect(options.sigalgs).not.toMatch(/sha1|SHA1/);
    }
    expect(optionsFor({ profile: 'RESTRICTED', minTlsVersion: 'TLS_1_0' }).ciphers).not.toContain('@SECLEVEL');
  });

  test('never signs SHA-1 on TLS 1.2, while TLS 1.0 still connects (security rule 8)', async () => {
    const sha1Only: RawHello = { suites: [0xc02f, 0xc013], groups: [0x001d], schemes: [0x0201, 0x0203] };
    const options = optionsFor({ profile: 'COMPATIBLE' });
    const { sigalgs: _sigalgs, ...unpinned } = options;
    expect(await answer(unpinned, sha1Only)).toMatchObject({ kind: 'hello', scheme: 0x0201 }); // what the rule is for
    expect(await answer(options, sha1Only)).toEqual({ kind: 'alert', description: 40 });
    expect(await answer(options, { ...sha1Only, legacyVersion: 0x0301 })).toMatchObject({
      kind: 'hello',
      version: 0x0301,
    });
  });

  test('keeps TLS_FALLBACK_SCSV working: an engine that can do better says inappropriate_fallback (security rule 8)', async () => {
    const fallback: RawHello = { legacyVersion: 0x0302, suites: [0xc013, 0x5600], groups: [0x001d], schemes: [0x0401] };
    expect(await answer(optionsFor({ profile: 'COMPATIBLE' }), fallback)).toEqual({ kind: 'alert', description: 86 });
  });

  test('asks for an X25519MLKEM768 share when the client can do it but sent another, and takes any other share as it comes', async () => {
    const hello: RawHello = {
      versions: [0x0304],
      suites: [0x1301],
      schemes: [0x0804],
      groups: [0x001d, 0x0017, 0x11ec],
    };
    const options = optionsFor({});
    expect(await answer(options, { ...hello, keyShares: [0x001d] })).toMatchObject({
      group: 0x11ec,
      helloRetryRequest: true,
    });
    expect(await answer(options, { ...hello, groups: [0x001d, 0x0017], keyShares: [0x0017] })).toMatchObject({
      group: 0x0017,
      helloRetryRequest: false,
    });
  });

  test('gives ChaCha20 to clients that put it first, AES to the others', async () => {
    const hello: RawHello = { suites: [0xc02f, 0xcca8], groups: [0x001d], schemes: [0x0804] };
    const options = optionsFor({});
    expect(await answer(options, hello)).toMatchObject({ suite: 0xc02f });
    expect(await answer(options, { ...hello, suites: [0xcca8, 0xc02f] })).toMatchObject({ suite: 0xcca8 });
  });

  test('refuses renegotiation by the client (security rule 7)', async () => {
    const options = optionsFor({ minTlsVersion: 'TLS_1_2' });
    expect(await renegotiate(serve(without(options)), {})).toBe('renegotiated'); // the test can tell
    expect(await renegotiate(serve(options), {})).toBe('refused');
  });

  test('trusts nobody and issues no tickets unless a session identity says how', () => {
    const options = optionsFor({});
    expect(options.ca).toEqual([]);
    expect(options.secureOptions! & constants.SSL_OP_NO_TICKET).not.toBe(0);
    expect(options).not.toHaveProperty('ticketKeys');
  });
});

describe('`backendContextOptions()`', () => {
  test.each(['TLSv1.2', 'TLSv1'] as const)(
    'refuses renegotiation by the backend with minimum %s (security rule 7)',
    async (minVersion) => {
      const options = backendContextOptions({ minVersion, clientCertificate: null });
      const server = { cert: p256.certificatePem, key: p256.privateKeyPem, maxVersion: 'TLSv1.2' } as const;
      expect(await renegotiateAsServer(server, without(options))).toBe('renegotiated');
      expect(await renegotiateAsServer(server, options)).toBe('refused');
    },
  );

  test('speaks TLS 1.2 and 1.3 with the suites of COMPATIBLE, and older versions only below a lowered floor (spec 10.17)', async () => {
    const usual = backendContextOptions({ minVersion: 'TLSv1.2', clientCertificate: null });
    expect(usual.ciphers!.split(':')).toHaveLength(3 + 14);
    expect(usual.ciphers).not.toContain('SECLEVEL');
    expect(usual).not.toHaveProperty('ecdhCurve');
    const old = {
      cert: rsa.certificatePem,
      key: rsa.privateKeyPem,
      minVersion: 'TLSv1',
      maxVersion: 'TLSv1',
      ciphers: 'ALL:@SECLEVEL=0',
    } as const;
    expect(await protocolWith(old, usual)).toMatch(/^ERR_SSL/);
    expect(await protocolWith(old, backendContextOptions({ minVersion: 'TLSv1', clientCertificate: null }))).toBe(
      'TLSv1',
    );
    const current = { cert: rsa.certificatePem, key: rsa.privateKeyPem };
    expect(await protocolWith(current, usual)).toBe('TLSv1.3');
    expect(await protocolWith({ ...current, maxVersion: 'TLSv1.2' }, usual)).toBe('TLSv1.2');
    expect(await protocolWith({ ...current, maxVersion: 'TLSv1.2', ciphers: 'AES128-SHA' }, usual)).toBe('TLSv1.2');
    const tls13 = backendContextOptions({ minVersion: 'TLSv1.3', clientCertificate: null });
    expect(await protocolWith({ ...current, maxVersion: 'TLSv1.2' }, tls13)).toMatch(/^ERR_SSL/);
  });

  test('prefers AES-GCM with a server that leaves the choice to the client', async () => {
    const options = backendContextOptions({ minVersion: 'TLSv1.2', clientCertificate: null });
    for (const [{ certificatePem: cert, privateKeyPem: key }, suite] of [
      [p256, 'ECDHE-ECDSA-AES128-GCM-SHA256'],
      [rsa, 'ECDHE-RSA-AES128-GCM-SHA256'],
    ] as const) {
      const server = createServer({ cert, key, maxVersion: 'TLSv1.2', honorCipherOrder: false });
      expect(await withConnection(server, options, async (client) => client.getCipher().name)).toBe(suite);
    }
  });

  test('takes no SHA-1 signature on TLS 1.2 below a lowered floor (security rule 8)', async () => {
    const sha1 = {
      cert: rsa.certificatePem,
      key: rsa.privateKeyPem,
      maxVersion: 'TLSv1.2',
      ciphers: 'ECDHE-RSA-AES128-SHA:@SECLEVEL=0',
      sigalgs: 'rsa_pkcs1_sha1',
    } as const;
    const lowered = backendContextOptions({ minVersion: 'TLSv1', clientCertificate: null });
    const { sigalgs: _sigalgs, ...unpinned } = lowered;
    expect(await protocolWith(sha1, unpinned)).toBe('TLSv1.2');
    expect(await protocolWith(sha1, lowered)).toMatch(/^ERR_SSL/);
  });

  test('shows the client certificate where one is configured', async () => {
    const server = {
      cert: rsa.certificatePem,
      key: rsa.privateKeyPem,
      requestCert: true,
      rejectUnauthorized: false,
      maxVersion: 'TLSv1.2',
    };
    const seen = new Promise((done) => {
      void protocolWith(server, backendContextOptions({ minVersion: 'TLSv1.2', clientCertificate: p256 }), (socket) => {
        done(socket.getPeerX509Certificate()?.subject);
      });
    });
    expect(await seen).toBe('CN=p256');
  });
});

function optionsFor(part: Partial<SslPolicy>): SecureContextOptions {
  const policy: SslPolicy = {
    profile: 'MODERN',
    minTlsVersion: 'TLS_1_0',
    customFeatures: [],
    postQuantumKeyExchange: 'DEFAULT',
    ...part,
  };
  return contextOptions(effectivePolicy(policy, Date.UTC(2026, 10, 21)), rsa, null);
}

function without(options: SecureContextOptions): SecureContextOptions {
  return { ...options, secureOptions: options.secureOptions! & ~constants.SSL_OP_NO_RENEGOTIATION };
}

async function answer(options: SecureContextOptions, hello: RawHello): Promise<Flight> {
  const engine = await new Engine(options).listen();
  try {
    return await engine.answer(helloBytes(hello));
  } finally {
    await engine.close();
  }
}

function serve(options: SecureContextOptions): Server {
  return createServer(options, (socket) => socket.on('error', () => {}));
}

/** A TLS 1.2 client that asks for a second handshake. */
async function renegotiate(server: Server, options: SecureContextOptions): Promise<'renegotiated' | 'refused'> {
  return withConnection(server, { ...options, maxVersion: 'TLSv1.2' }, (client) => attempt(client));
}

/** A TLS 1.2 server that asks for one. */
async function renegotiateAsServer(server: object, options: SecureContextOptions): Promise<'renegotiated' | 'refused'> {
  let outcome: Promise<'renegotiated' | 'refused'> | null = null;
  const listener = createServer(server, (socket) => {
    outcome = attempt(socket);
  });
  return withConnection(listener, options, async () => {
    while (outcome === null) await new Promise((done) => setTimeout(done, 1));
    return outcome;
  });
}

function attempt(socket: TLSSocket): Promise<'renegotiated' | 'refused'> {
  return new Promise((done) => {
    socket.on('error', () => done('refused'));
    socket.on('close', () => done('refused'));
    socket.renegotiate({ rejectUnauthorized: false }, (error) => done(error === null ? 'renegotiated' : 'refused'));
  });
}

async function withConnection<T>(
  server: Server,
  options: SecureContextOptions,
  use: (client: TLSSocket) => Promise<T>,
): Promise<T> {
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address() as AddressInfo;
  const client = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options });
  client.on('error', () => {});
  try {
    await new Promise<void>((done, fail) => client.once('secureConnect', done).once('error', fail));
    return await use(client);
  } finally {
    client.destroy();
    server.close();
  }
}

/** What a client with `options` negotiates with that server, or the code of its error. */
async function protocolWith(
  server: object,
  options: SecureContextOptions,
  onServerSocket: (socket: TLSSocket) => void = () => {},
): Promise<string> {
  const listener = createServer(server, (socket) => {
    socket.on('error', () => {});
    onServerSocket(socket);
  });
  listener.on('tlsClientError', () => {});
  try {
    return await withConnection(listener, options, async (client) => client.getProtocol() ?? 'none');
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  }
}
