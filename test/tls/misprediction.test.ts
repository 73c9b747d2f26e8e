import type { ClientHello } from '#src/tls/client-hello.ts';
import { mispredictedFailure, mispredictedSuccess } from '#src/tls/misprediction.ts';
import { type Negotiated, negotiate } from '#src/tls/negotiate.ts';
import { effectivePolicy } from '#src/tls/ssl-policy.ts';
import { parsedHello } from './captured-hello.ts';
import { helloBytes } from './raw-hello.ts';

const HELLO: ClientHello = parsedHello(
  helloBytes({ versions: [0x0303], suites: [0xc02b, 0xc02c], groups: [0x0017], schemes: [0x0403], alpn: ['h2'] }),
);
const POLICY = effectivePolicy(null, Date.UTC(2026, 10, 21));
const predicted = negotiate(HELLO, POLICY, { keyType: 'P-256', certificatePem: '' }) as Negotiated;
const refused = negotiate({ ...HELLO, cipherSuites: [0x0005] }, POLICY, { keyType: 'P-256', certificatePem: '' });
const AS_PREDICTED = {
  protocol: 'TLSv1.2',
  cipher: 'TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256',
  resumed: false,
};

describe('`mispredictedSuccess()`', () => {
  test('is null for what was predicted', () => {
    expect(predicted.suite.name).toBe(AS_PREDICTED.cipher);
    expect(mispredictedSuccess(HELLO, predicted, AS_PREDICTED)).toBeNull();
  });

  test('tells another suite from another version', () => {
    const cipher = 'TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384';
    expect(mispredictedSuccess(HELLO, predicted, { ...AS_PREDICTED, cipher })).toEqual({
      kind: 'cipher',
      predicted: 'TLSv1.2 TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256',
      found: `TLSv1.2 ${cipher}`,
    });
    expect(mispredictedSuccess(HELLO, predicted, { ...AS_PREDICTED, protocol: 'TLSv1.1' })).toMatchObject({
      kind: 'version',
    });
  });

  test('says when a failure was predicted, of the hello or of ALPN', () => {
    expect(refused).toMatchObject({ ok: false, reason: 'no_shared_cipher' });
    expect(mispredictedSuccess(HELLO, refused, AS_PREDICTED)).toMatchObject({
      kind: 'succeeded',
      predicted: 'no_shared_cipher',
    });
    expect(mispredictedSuccess({ ...HELLO, alpn: ['spdy/3.1'] }, predicted, AS_PREDICTED)).toMatchObject({
      kind: 'succeeded',
      predicted: 'alpn_mismatch',
    });
  });

  test('says nothing of a resumed session or of one that a second hello decided', () => {
    const other = { ...AS_PREDICTED, cipher: 'TLS_CHACHA20_POLY1305_SHA256', protocol: 'TLSv1.3' };
    expect(mispredictedSuccess(HELLO, predicted, { ...other, resumed: true })).toBeNull();
    expect(mispredictedSuccess(HELLO, refused, { ...other, resumed: true })).toBeNull();
    expect(mispredictedSuccess(HELLO, { ...predicted, helloRetryRequest: true }, other)).toBeNull();
    expect(mispredictedSuccess(HELLO, predicted, other)).not.toBeNull();
  });
});

describe('`mispredictedFailure()`', () => {
  test('says when OpenSSL found a reason that the prediction did not', () => {
    expect(mispredictedFailure(HELLO, predicted, 'no_shared_cipher')).toEqual({
      kind: 'failed',
      predicted: 'TLSv1.2 TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256',
      found: 'no_shared_cipher',
    });
    expect(mispredictedFailure(HELLO, predicted, 'alpn_mismatch')).not.toBeNull();
  });

  test('is null where a failure was predicted, of the hello or of ALPN', () => {
    expect(mispredictedFailure(HELLO, refused, 'no_shared_cipher')).toBeNull();
    expect(mispredictedFailure({ ...HELLO, alpn: ['spdy/3.1'] }, predicted, 'alpn_mismatch')).toBeNull();
  });

  test('says nothing of what comes after the hello, or of what may have failed in resuming', () => {
    for (const reason of ['peer_alert_unknown_ca', 'peer_closed', 'handshake_timeout', 'malformed_hello'] as const)
      expect(mispredictedFailure(HELLO, predicted, reason)).toBeNull();
    const resuming = { ...HELLO, ticketKeyName: Buffer.alloc(16) };
    expect(mispredictedFailure(resuming, predicted, 'no_shared_cipher')).toBeNull();
    expect(mispredictedFailure({ ...HELLO, hasPreSharedKey: true }, predicted, 'no_shared_cipher')).toBeNull();
    expect(mispredictedFailure(HELLO, { ...predicted, helloRetryRequest: true }, 'no_shared_cipher')).toBeNull();
  });
});
