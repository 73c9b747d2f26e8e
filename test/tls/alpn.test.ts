import type { AddressInfo } from 'node:net';
import { type ConnectionOptions, connect, createServer, type TLSSocket } from 'node:tls';
import { ALPN_PROTOCOLS, alpnFor, selectAlpn } from '#src/tls/alpn.ts';
import { contextOptions } from '#src/tls/context-options.ts';
import { negotiate } from '#src/tls/negotiate.ts';
import { FEATURES } from '#src/tls/profiles.ts';
import { effectivePolicy } from '#src/tls/ssl-policy.ts';
import { captureHello, parsedHello } from './captured-hello.ts';
import { entryFor } from './entries.ts';

describe('`selectAlpn()`', () => {
  test('takes h2 only with an ephemeral AEAD suite, everything else being in RFC 9113 Appendix A', () => {
    const allowed = FEATURES.map(({ suite }) => suite).filter(
      (suite) => selectAlpn(['h2', 'http/1.1'], 'TLSv1.2', suite) === 'h2',
    );
    expect(allowed.map(({ name }) => name)).toEqual([
      'TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256',
      'TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256',
      'TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256',
      'TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256',
      'TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384',
      'TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384',
    ]);
  });

  test('takes http/1.1 below TLS 1.2, and nothing from a client that offers h2 alone there', () => {
    const suite = FEATURES[7]!.suite;
    expect(selectAlpn(['h2', 'http/1.1'], 'TLSv1.1', suite)).toBe('http/1.1');
    expect(selectAlpn(['h2'], 'TLSv1.1', suite)).toBeNull();
    expect(selectAlpn(['spdy/3'], 'TLSv1.3', suite)).toBeNull();
  });

  test('prefers h2 whatever the order of the client', () => {
    expect(selectAlpn([...ALPN_PROTOCOLS].reverse(), 'TLSv1.3', FEATURES[0]!.suite)).toBe('h2');
  });
});

// As the frontend wires it: the prediction from the peeked hello answers the engine's ALPNCallback.
describe('`alpnFor()` behind an ALPNCallback (security rule 8)', () => {
  test.each([
    ['TLS 1.3', {}, 'h2'],
    ['TLS 1.2 with an AEAD suite', { maxVersion: 'TLSv1.2' }, 'h2'],
    ['TLS 1.2 with a CBC suite', { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-RSA-AES128-SHA' }, 'http/1.1'],
    ['TLS 1.2 with key exchange by RSA', { maxVersion: 'TLSv1.2', ciphers: 'AES128-GCM-SHA256' }, 'http/1.1'],
    ['TLS 1.1', { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'ALL:@SECLEVEL=0' }, 'http/1.1'],
  ] as const)('gives a client of %s the right protocol', async (_name, options, protocol) => {
    expect(await spoken({ ...options, ALPNProtocols: ['h2', 'http/1.1'] })).toBe(protocol);
  });

  test('refuses disjoint lists with no_application_protocol', async () => {
    expect(await spoken({ ALPNProtocols: ['spdy/3'] })).toBe('ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL');
  });

  test('leaves a client without ALPN alone', async () => {
    expect(await spoken({})).toBe(false);
  });
});

async function spoken(options: ConnectionOptions): Promise<string | false | null> {
  const entry = await entryFor('rsa', 'RSA');
  const policy = effectivePolicy(null, Date.now());
  const hello = parsedHello(await captureHello(options));
  const wanted = alpnFor(hello, negotiate(hello, policy, entry));
  const server = createServer({
    ...contextOptions(policy, entry, null),
    ALPNCallback: () => (wanted === 'none' || wanted === null ? undefined : wanted),
  });
  server.on('tlsClientError', () => {});
  server.on('secureConnection', (socket: TLSSocket) => socket.on('error', () => {}));
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address() as AddressInfo;
  try {
    return await new Promise((done) => {
      const client = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options });
      client.on('secureConnect', () => {
        done(client.alpnProtocol);
        client.destroy();
      });
      client.on('error', (error: NodeJS.ErrnoException) => done(error.code ?? error.message));
    });
  } finally {
    server.close();
  }
}
