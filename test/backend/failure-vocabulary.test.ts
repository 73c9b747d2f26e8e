// Every word of spec 2.8 for a backend's certificate that can be reached, from a real handshake: code, status 502, Proxy-Status token, rule.
import { createServer } from 'node:tls';
import { CODES } from '#src/base/error-codes.ts';
import type { ErrorCode } from '#src/base/errors.ts';
import { proxyStatusOf } from '#src/forward/outcome.ts';
import type { Issued, IssueRequest } from '#src/pki/issue/contract.ts';
import { issue } from '#src/pki/issue/issue.ts';
import type { Refused } from '#src/pki/verdict.ts';
import { chainPem, type TestPki, testPki } from '../harness/pki.ts';
import { exchange, listen, makeService, makeTls } from './support.ts';

let pki: TestPki;

beforeAll(async () => {
  pki = await testPki();
});

interface Case {
  readonly code: ErrorCode;
  readonly name: string;
  readonly rule: string;
  readonly chain: () => Promise<readonly Issued[]>;
  readonly tls?: (chain: readonly Issued[]) => Parameters<typeof makeTls>[0];
}

const leaf = (request: Partial<IssueRequest>) =>
  issue({ subject: 'CN=leaf', issuer: pki.issuing, dnsNames: ['backend.example'], ...request });

/** A chain of `length` CAs below the root, the last one first. */
async function authorities(length: number): Promise<readonly Issued[]> {
  const list: Issued[] = [];
  for (let i = 0; i < length; i++) {
    list.unshift(await issue({ subject: `CN=CA ${i}`, ca: true, issuer: list[0] ?? pki.root }));
  }
  return list;
}

/** An extension that nothing reads, of so many bytes. */
const ballast = (bytes: number) => ({
  oid: '1.3.6.1.4.1.99999.1',
  critical: false,
  valueDer: Buffer.concat([Buffer.from([0x04, 0x82, bytes >> 8, bytes & 0xff]), Buffer.alloc(bytes)]),
});

const cases: readonly Case[] = [
  {
    code: 'ssl_certificate_san_verification_failed',
    name: 'another name',
    rule: 'subject-alternative-name',
    chain: async () => [pki.server, pki.issuing],
    tls: () => ({ anchors: [pki.root], dnsNames: ['other.example'] }),
  },
  {
    code: 'ssl_certificate_chain_verification_failed',
    name: 'another root',
    rule: 'trust-anchor',
    chain: async () => [pki.server, pki.issuing],
    tls: () => ({ anchors: [pki.stranger] }),
  },
  {
    code: 'server_cert_chain_exceeded_limit',
    name: 'eleven certificates',
    rule: 'chain-length',
    chain: async () => [pki.server, pki.issuing, ...Array<Issued>(9).fill(pki.stranger)],
  },
  {
    code: 'server_cert_exceeded_size_limit',
    name: 'more than 16 KiB',
    rule: 'chain-size',
    chain: async () => [await leaf({ extensions: [ballast(17_000)] }), pki.issuing],
  },
  {
    code: 'server_cert_chain_invalid_eku',
    name: 'a leaf for clients only',
    rule: 'extended-key-usage',
    chain: async () => [await leaf({ extendedKeyUsage: ['clientAuth'] }), pki.issuing],
  },
  {
    code: 'server_cert_chain_invalid_eku',
    name: 'a leaf without the extension',
    rule: 'extended-key-usage',
    chain: async () => [await leaf({ extendedKeyUsage: null }), pki.issuing],
  },
  {
    code: 'server_cert_chain_invalid_eku',
    name: 'a leaf that may also sign code',
    rule: 'extended-key-usage',
    chain: async () => [await leaf({ extendedKeyUsage: ['serverAuth', 'codeSigning'] }), pki.issuing],
  },
  {
    code: 'server_cert_chain_invalid_eku',
    name: 'a CA whose EKU lacks serverAuth',
    rule: 'extended-key-usage',
    chain: async () => {
      const ca = await issue({ subject: 'CN=mail CA', ca: true, issuer: pki.root, extendedKeyUsage: ['clientAuth'] });
      return [await leaf({ issuer: ca }), ca];
    },
  },
  {
    code: 'server_cert_chain_max_name_constraints_exceeded',
    name: 'a CA with eleven name constraints',
    rule: 'name-constraints',
    chain: async () => {
      const dns = ['backend.example', ...Array.from({ length: 10 }, (_, i) => `n${i}.example`)];
      const ca = await issue({ subject: 'CN=constrained CA', ca: true, issuer: pki.root, permitted: { dns } });
      return [await leaf({ issuer: ca }), ca];
    },
  },
  {
    code: 'server_cert_invalid_rsa_key_size',
    name: 'an RSA key of 1024 bits on a CA',
    rule: 'key-strength',
    chain: async () => {
      const ca = await issue({ subject: 'CN=small CA', ca: true, issuer: pki.root, keyType: 'rsa-1024' });
      return [await leaf({ issuer: ca }), ca];
    },
  },
  {
    code: 'server_cert_unsupported_elliptic_curve_key',
    name: 'a P-521 key',
    rule: 'key-strength',
    chain: async () => [await leaf({ keyType: 'p521' }), pki.issuing],
  },
  {
    code: 'server_cert_unsupported_key_algorithm',
    name: 'an Ed25519 key',
    rule: 'key-strength',
    chain: async () => [await leaf({ keyType: 'ed25519' }), pki.issuing],
  },
  {
    code: 'server_cert_pki_too_large',
    name: 'four intermediates of one subject and key',
    rule: 'same-entity-limit',
    chain: async () => {
      const first = await issue({ subject: 'CN=renewed CA', ca: true, issuer: pki.root });
      const more: Issued[] = [];
      for (let i = 0; i < 3; i++) {
        more.push(await issue({ subject: 'CN=renewed CA', ca: true, issuer: pki.root, keyFrom: first }));
      }
      return [await leaf({ issuer: first }), first, ...more];
    },
  },
  {
    code: 'server_cert_validation_search_limit_exceeded',
    name: 'a path of eleven certificates, of which ten are sent',
    rule: 'search-limit',
    chain: async () => {
      const cas = await authorities(9);
      return [await leaf({ issuer: cas[0]! }), ...cas];
    },
    tls: () => ({ anchors: [pki.root] }),
  },
];

test.each(cases)('$code: $name', async ({ code, rule, chain, tls }) => {
  const certificates = await chain();
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
    tls: makeTls(tls?.(certificates) ?? { anchors: [pki.root], sni: 'backend.example' }),
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
  const reached = new Set(cases.map(({ code }) => code));
  const unreachable = words.filter((code) => !reached.has(code));
  expect(unreachable.toSorted()).toEqual([
    'server_cert_not_provided',
    'server_cert_trust_config_not_found',
    'server_cert_validation_internal_error',
    'server_cert_validation_not_performed',
    'server_cert_validation_timed_out',
    'server_cert_validation_unavailable',
  ]);
  for (const code of unreachable) expect(CODES[code].doc).toContain('Not reachable:');
});
