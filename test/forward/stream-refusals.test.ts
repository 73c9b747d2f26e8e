// What HTTPS services refuse of a backend's certificate, SSL services refuse: same word, same rule, and not a byte of the client's.

import { certificateRefusals } from '../backend/certificate-refusals.ts';
import { makeTls } from '../backend/support.ts';
import { chainPem, type TestPki, testPki } from '../harness/pki.ts';
import { until } from '../harness/until.ts';
import { closeAll, startBackend, startStreams } from './_streams.ts';

let pki: TestPki;
beforeAll(async () => {
  pki = await testPki();
});
afterEach(closeAll);

test.each(certificateRefusals)('$code: $name', async ({ code, rule, chain, tls }) => {
  const certificates = await chain(pki);
  const backend = await startBackend(() => {}, {
    cert: chainPem(...certificates),
    key: certificates[0]!.privateKeyPem,
    ciphers: 'DEFAULT:@SECLEVEL=0', // it shows what OpenSSL by itself would not
  });
  const proxy = await startStreams({
    protocol: 'SSL',
    ports: [backend.port],
    tls: makeTls(tls?.(pki) ?? { anchors: [pki.root], sni: 'backend.example' }),
  });
  const client = proxy.client();
  client.socket.write('secret');
  const record = await proxy.records.nth(1);
  await until(() => client.closed);
  expect(record).toMatchObject({
    statusDetails: code,
    proxyStatus: 'sallyport; error=tls_certificate_error',
    error: { code, phase: 'verify' },
    backendTls: { verdict: 'refused', rule },
    bytesReceived: 0,
    bytesSent: 0,
  });
  expect(client.text).toBe('');
  expect(backend.peers.map(({ text }) => text).join('')).toBe('');
});
