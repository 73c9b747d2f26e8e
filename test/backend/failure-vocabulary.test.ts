// What is wrong with a backend's certificate, from a real handshake: code, status 502, Proxy-Status token, rule.
import { createServer } from 'node:tls';
import { CODES } from '#src/base/error-codes.ts';
import type { CodeSpec, ErrorCode } from '#src/base/errors.ts';
import { proxyStatusOf } from '#src/forward/outcome.ts';
import type { Refused } from '#src/pki/verdict.ts';
import { chainPem, type TestPki, testPki } from '../harness/pki.ts';
import { certificateRefusals } from './certificate-refusals.ts';
import { exchange, listen, makeService, makeTls } from './support.ts';

let pki: TestPki;

beforeAll(async () => {
  pki = await testPki();
});

test.each(certificateRefusals)('$code: $name', async ({ code, rule, chain, tls }) => {
  const certificates = await chain(pki);
  const server = createServer({
    cert: chainPem(...certificates),
    key: certificates[0]!.privateKeyPem,
    ciphers: 'DEFAULT:@SECLEVEL=0', // it shows what OpenSSL by itself would not
  });
  server.on('tlsClientError', () => {});
  const port = await listen(server);
  const service = makeService({
    protocol: 'HTTPS',
    ports: [port],
    tls: makeTls(tls?.(pki) ?? { anchors: [pki.root], sni: 'backend.example' }),
  });
  const { error, order } = await exchange(service);
  server.close();
  await service.retire();
  expect(order).toEqual(['onError']);
  expect(error).toMatchObject({ code, phase: 'verify' });
  expect(error!.spec).toMatchObject({ status: 502, statusDetails: code, proxyStatus: 'tls_certificate_error' });
  expect(proxyStatusOf(error)).toBe('sallyport; error=tls_certificate_error');
  const verdict = error!.cause as Refused;
  expect(verdict).toMatchObject({ ok: false, statusDetails: code, rule });
  expect(verdict.reason).toMatch(/, expected .+; .+/); // what would fix it
});

test('every word is either reached above or said to be unreachable in the table', () => {
  const words = (Object.keys(CODES) as ErrorCode[]).filter((code) => /^(?:server_cert|ssl_certificate)_/.test(code));
  const table: Readonly<Record<ErrorCode, CodeSpec>> = CODES;
  const reached = new Set(certificateRefusals.map(({ code }) => code));
  const unreachable = words.filter((code) => !reached.has(code));
  expect(unreachable.toSorted()).toEqual([
    'server_cert_not_provided',
    'server_cert_trust_config_not_found',
    'server_cert_validation_internal_error',
    'server_cert_validation_not_performed',
    'server_cert_validation_timed_out',
    'server_cert_validation_unavailable',
  ]);
  for (const code of unreachable) expect(table[code].unreachable).toMatch(/\.$/);
});
