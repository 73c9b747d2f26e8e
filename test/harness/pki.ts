import type { Issued } from '#src/pki/issue/contract.ts';
import { issue } from '#src/pki/issue/issue.ts';

/**
 * What most tests need, made once per test file (P-256: a few milliseconds each):
 *
 *   root ── issuing ─┬─ server   localhost, *.localhost, backend.example, 127.0.0.1, ::1
 *                    └─ client   CN=test client, clientAuth only
 *   stranger ─────────── nothing of ours trusts it
 */
export interface TestPki {
  readonly root: Issued;
  readonly issuing: Issued;
  readonly server: Issued;
  readonly client: Issued;
  readonly stranger: Issued;
}

/** The cached test PKI. */
export function testPki(): Promise<TestPki> {
  cached ??= makeTestPki();
  return cached;
}

/** Certificates as one PEM text, in the order given: leaf first, as a peer sends them. */
export function chainPem(...certificates: readonly Issued[]): string {
  return certificates.map((certificate) => certificate.certificatePem).join('');
}

async function makeTestPki(): Promise<TestPki> {
  const root = await issue({ subject: 'CN=Test Root,O=Sallyport', ca: true });
  const issuing = await issue({ subject: 'CN=Test Issuing CA,O=Sallyport', ca: true, pathLength: 0, issuer: root });
  const server = await issue({
    subject: 'CN=test server',
    issuer: issuing,
    dnsNames: ['localhost', '*.localhost', 'backend.example'],
    ipAddresses: ['127.0.0.1', '::1'],
    extendedKeyUsage: ['serverAuth'],
  });
  const client = await issue({ subject: 'CN=test client', issuer: issuing, extendedKeyUsage: ['clientAuth'] });
  const stranger = await issue({ subject: 'CN=Stranger Root', ca: true });
  return { root, issuing, server, client, stranger };
}

let cached: Promise<TestPki> | undefined;
