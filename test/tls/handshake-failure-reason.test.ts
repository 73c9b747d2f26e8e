import { type AddressInfo, connect as connectTcp, createServer as createTcpServer } from 'node:net';
import { type ConnectionOptions, connect, createServer, type TlsOptions } from 'node:tls';
import type { CertificateEntry } from '#src/tls/certificate-entry.ts';
import { type ClientHello, HelloReader } from '#src/tls/client-hello.ts';
import { contextOptions } from '#src/tls/context-options.ts';
import { alertRecord, type HandshakeFailureReason, handshakeFailureReason } from '#src/tls/handshake-failure-reason.ts';
import { effectivePolicy, type SslPolicy } from '#src/tls/ssl-policy.ts';
import { captureHello, parsedHello } from './captured-hello.ts';
import { entryFor } from './entries.ts';
import { helloBytes } from './raw-hello.ts';

const POLICY = policyOf({});
let rsa: CertificateEntry;
let p256: CertificateEntry;
beforeAll(async () => {
  [rsa, p256] = await Promise.all([entryFor('rsa', 'RSA'), entryFor('p256', 'P-256')]);
});

describe('`handshakeFailureReason()` of real failed handshakes', () => {
  test('unsupported_version, refused by the proxy', async () => {
    const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'ALL:@SECLEVEL=0' } as const;
    const verdict = await failedHandshake(rsa, old);
    expect(verdict).toMatchObject({ reason: 'unsupported_version', side: 'proxy' });
    expect(verdict.detail).toContain('the client offers TLSv1.1, the policy allows TLSv1.2 to TLSv1.3');
  });

  test.each([
    ['no_shared_cipher', 'rsa', { maxVersion: 'TLSv1.2', ciphers: 'AES128-SHA' }],
    ['certificate_key_type_mismatch', 'p256', { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-RSA-AES128-GCM-SHA256' }],
    ['certificate_key_type_mismatch', 'p256', { minVersion: 'TLSv1.3', sigalgs: 'rsa_pss_rsae_sha256' }],
    ['no_shared_group', 'rsa', { minVersion: 'TLSv1.3', ecdhCurve: 'P-521' }],
    ['no_shared_group', 'rsa', { maxVersion: 'TLSv1.2', ecdhCurve: 'P-521' }],
    ['no_shared_signature_algorithm', 'rsa', { minVersion: 'TLSv1.3', sigalgs: 'ed25519' }],
    ['certificate_key_type_mismatch', 'rsa', { maxVersion: 'TLSv1.2', sigalgs: 'ECDSA+SHA256' }],
    ['alpn_mismatch', 'rsa', { ALPNProtocols: ['spdy/3'] }],
  ] as const)('%s, refused by the proxy (%s certificate, %o)', async (reason, certificate, client) => {
    const verdict = await failedHandshake(certificate === 'rsa' ? rsa : p256, client as unknown as ConnectionOptions);
    expect(verdict).toMatchObject({ reason, side: 'proxy' });
  });

  test('peer_alert_unknown_ca and peer_alert_certificate_expired, said by the client', async () => {
    // node's own client sends no alert when it distrusts; OpenSSL does, so its words are replayed
    expect(await alertFromClient(48)).toMatchObject({ reason: 'peer_alert_unknown_ca', side: 'client' });
    expect(await alertFromClient(45)).toMatchObject({ reason: 'peer_alert_certificate_expired', side: 'client' });
    expect(await alertFromClient(42)).toMatchObject({ reason: 'peer_alert_bad_certificate', side: 'client' });
    expect(await alertFromClient(46)).toMatchObject({ reason: 'peer_alert_bad_certificate', side: 'client' });
    expect(await alertFromClient(80)).toMatchObject({ reason: 'peer_alert_other', side: 'client' });
  });

  test('peer_closed when the client goes away in the middle', async () => {
    const verdict = await rawClient((socket) => {
      socket.write(helloBytes({ suites: [0xc02f], groups: [29], schemes: [0x0804] }));
      socket.once('data', () => socket.destroy());
    });
    expect(verdict).toMatchObject({ reason: 'peer_closed', side: 'network' });
  });

  test('handshake_timeout from node', async () => {
    const verdict = await rawClient(
      (socket) => socket.write(helloBytes({ suites: [0xc02f], groups: [29], schemes: [0x0804] })),
      { handshakeTimeout: 50 },
    );
    expect(verdict).toMatchObject({ reason: 'handshake_timeout', side: 'network' });
  });

  test('malformed_hello for what only OpenSSL looks into', async () => {
    const badShare = helloBytes({
      versions: [0x0304],
      suites: [0x1301],
      groups: [29],
      schemes: [0x0804],
      extensions: [[51, Buffer.from('0007001d0003010203', 'hex')]],
    });
    expect(parsedHello(badShare).keyShares).toEqual([29]);
    const verdict = await rawClient((socket) => socket.write(badShare));
    expect(verdict).toMatchObject({ reason: 'malformed_hello', side: 'client' });
  });
});

describe('`handshakeFailureReason()` without OpenSSL', () => {
  test.each([
    ['GET / HTTP/1.1\r\n', 'plain_http'],
    ['SSH-2.0-OpenSSH_9.2\r\n', 'not_tls'],
    ['\x15\x03\x01\x00\x02\x02\x28', 'malformed_hello'],
    ['\x16\x03\x01\x00\x04\x01\xff\xff\xff', 'hello_too_large'],
  ] as const)('says of %j: %s', (text, reason) => {
    const reader = new HelloReader();
    reader.push(Buffer.from(text, 'latin1'));
    const verdict = handshakeFailureReason(null, POLICY, null, {
      how: 'hello',
      status: reader.status,
      detail: reader.detail,
    });
    expect(verdict).toEqual({ reason, side: 'client', detail: reader.detail });
  });

  test('tells a timeout inside the hello from one after it', () => {
    const hello = parsedHello(helloBytes({ suites: [0xc02f] }));
    const timeout = { how: 'timeout' } as const;
    expect(handshakeFailureReason(null, POLICY, null, timeout)).toMatchObject({
      reason: 'hello_timeout',
      side: 'network',
    });
    expect(handshakeFailureReason(hello, POLICY, rsa, timeout)).toMatchObject({
      reason: 'handshake_timeout',
      side: 'network',
    });
    expect(handshakeFailureReason(null, POLICY, null, { how: 'closed' })).toMatchObject({
      reason: 'peer_closed',
    });
  });

  test('passes on what the certificate choice refused, and calls the unknown internal', () => {
    const refusal = { reason: 'no_shared_cipher', detail: 'x' } as const;
    expect(handshakeFailureReason(null, POLICY, null, { how: 'refused', ...refusal })).toEqual({
      reason: 'no_shared_cipher',
      side: 'proxy',
      detail: 'x',
    });
    expect(handshakeFailureReason(null, POLICY, null, { how: 'error', code: 'ERR_SSL_LIBRARY_BUG' })).toEqual({
      reason: 'internal',
      side: 'proxy',
      detail: 'ERR_SSL_LIBRARY_BUG',
    });
  });
});

describe('`alertRecord()`', () => {
  test.each([
    ['unsupported_version', 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION'],
    ['no_shared_cipher', 'ERR_SSL_SSL/TLS_ALERT_HANDSHAKE_FAILURE'],
    ['malformed_hello', 'ERR_SSL_TLSV1_ALERT_DECODE_ERROR'],
    ['alpn_mismatch', 'ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL'],
  ] as const)('says %s so that OpenSSL clients understand: %s', async (reason, code) => {
    const server = createTcpServer((socket) => {
      socket.on('error', () => {});
      socket.once('data', () => socket.end(alertRecord(reason)!));
    });
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    const { port } = server.address() as AddressInfo;
    const seen = await new Promise((done) => {
      connect({ port, host: '127.0.0.1' }).on('error', (error: NodeJS.ErrnoException) => done(error.code));
    });
    server.close();
    expect(seen).toBe(code);
  });

  test('says nothing to who does not speak TLS or is gone', () => {
    const silent: readonly HandshakeFailureReason[] = [
      'plain_http',
      'not_tls',
      'hello_timeout',
      'peer_closed',
      'peer_alert_other',
    ];
    for (const reason of silent) expect(alertRecord(reason)).toBeNull();
  });
});

/** The verdict on what node's own client with `options` cannot do. */
async function failedHandshake(certificate: CertificateEntry, options: ConnectionOptions) {
  const hello = parsedHello(await captureHello(options));
  const code = await serverErrorCode(certificate, {}, (port) => {
    connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options }).on('error', () => {});
  });
  return handshakeFailureReason(hello, POLICY, certificate, { how: 'error', code });
}

/** The same for bytes written by hand. */
async function rawClient(
  use: (socket: ReturnType<typeof connectTcp>) => void,
  server: TlsOptions = {},
  hello: ClientHello | null = null,
) {
  const code = await serverErrorCode(rsa, server, (port) => {
    const socket = connectTcp(port, '127.0.0.1', () => use(socket));
    socket.on('error', () => {});
  });
  return handshakeFailureReason(hello, POLICY, rsa, { how: 'error', code });
}

/** A TLS 1.2 client that answers the server's flight with an alert. */
function alertFromClient(description: number) {
  return rawClient((socket) => {
    socket.write(helloBytes({ suites: [0xc02f], groups: [29], schemes: [0x0804] }));
    socket.once('data', () => socket.write(Buffer.of(21, 3, 3, 0, 2, 2, description)));
  });
}

async function serverErrorCode(
  certificate: CertificateEntry,
  options: TlsOptions,
  act: (port: number) => void,
): Promise<string> {
  const server = createServer({
    ...contextOptions(POLICY, certificate, null),
    ALPNProtocols: ['h2', 'http/1.1'],
    ...options,
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const failed = new Promise<string>((done) => {
    server.on('tlsClientError', (error: NodeJS.ErrnoException, socket) => {
      socket.destroy();
      done(error.code ?? error.message);
    });
  });
  act((server.address() as AddressInfo).port);
  const code = await failed;
  server.close();
  return code;
}

function policyOf(part: Partial<SslPolicy>) {
  return effectivePolicy(
    { profile: 'MODERN', minTlsVersion: 'TLS_1_2', customFeatures: [], postQuantumKeyExchange: 'DEFAULT', ...part },
    Date.UTC(2026, 10, 21),
  );
}
