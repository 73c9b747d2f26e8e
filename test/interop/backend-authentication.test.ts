// curl over HTTP/1.1 and HTTP/2, a real nginx behind, one backend service per kind of backend certificate.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Issued } from '#src/pki/issue/contract.ts';
import { issue } from '#src/pki/issue/issue.ts';
import { curl } from '../harness/curl.ts';
import { type Nginx, type NginxServer, startNginx } from '../harness/nginx.ts';
import { type TestPki, testPki } from '../harness/pki.ts';
import { type Scenario, type ScenarioService, startScenario } from '../harness/scenario.ts';

interface Case {
  readonly name: string;
  readonly status: number;
  readonly statusDetails: string;
  /** The verdict's rule in the log line. */
  readonly rule?: string;
}

const CASES: readonly Case[] = [
  { name: 'right', status: 200, statusDetails: 'response_sent_by_backend' },
  { name: 'wrong-ca', status: 502, statusDetails: 'ssl_certificate_chain_verification_failed', rule: 'trust-anchor' },
  {
    name: 'wrong-san',
    status: 502,
    statusDetails: 'ssl_certificate_san_verification_failed',
    rule: 'subject-alternative-name',
  },
  { name: 'expired', status: 502, statusDetails: 'ssl_certificate_chain_verification_failed', rule: 'validity' },
  {
    name: 'self-signed',
    status: 502,
    statusDetails: 'ssl_certificate_chain_verification_failed',
    rule: 'trust-anchor',
  },
  { name: 'self-signed-allowlisted', status: 200, statusDetails: 'response_sent_by_backend' },
  { name: 'intermediate-from-trust-config', status: 200, statusDetails: 'response_sent_by_backend' },
  {
    name: 'intermediate-missing',
    status: 502,
    statusDetails: 'ssl_certificate_chain_verification_failed',
    rule: 'trust-anchor',
  },
  { name: 'client-certificate-given', status: 200, statusDetails: 'response_sent_by_backend' },
  { name: 'client-certificate-missing', status: 400, statusDetails: 'response_sent_by_backend' },
  { name: 'client-certificate-wrong', status: 400, statusDetails: 'response_sent_by_backend' },
];

/** What the log line's reason has to say, for an operator to act on. */
const REMEDIES: Readonly<Record<string, RegExp>> = {
  'wrong-ca': /Stranger Root.*trust config 'wrong-ca'/,
  'wrong-san': /other\.example.*backend\.example|backend\.example.*other\.example/,
  expired: /2024-06-01/,
  'self-signed': /self-signed/,
  'intermediate-missing': /Test Issuing CA.*intermediate/,
};

describe('backends of every kind of certificate', () => {
  let nginx: Nginx;
  let scenario: Scenario;

  beforeAll(async () => {
    const backends = await backendsOf(await testPki());
    nginx = await startNginx(backends.map((backend) => backend.server));
    const services = backends.map((backend, index) => ({ ...backend.service, ports: [nginx.ports[index] as number] }));
    scenario = await startScenario({ services });
  });

  afterAll(async () => {
    await scenario?.stop();
    await nginx?.stop();
  });

  test.each(
    CASES.flatMap((one) => [
      { ...one, http: '--http1.1' },
      { ...one, http: '--http2' },
    ]),
  )('$name gives $status $statusDetails over $http', async ({ name, status, statusDetails, rule, http }) => {
    const path = `/${name}${http}`;
    const result = await curl(
      '--cacert',
      scenario.rootFile,
      http,
      ...resolve(name),
      `https://${name}.proxy.test:${scenario.port}${path}`,
    );
    expect(result).toMatchObject({ exitCode: 0, status, httpVersion: http === '--http2' ? '2' : '1.1' });
    if (status === 502) expect(result.body).not.toMatch(/CN=|certificate|issuer/i);
    const line = await scenario.requestLine(path);
    expect(line).toMatchObject({ statusDetails, backendService: name, httpRequest: { status } });
    if (rule === undefined) return;
    expect(line['proxyStatus']).toContain('error=tls_certificate_error');
    expect(line['backendTls']).toMatchObject({ verdict: 'refused', rule });
    expect((line['backendTls'] as { reason: string }).reason).toMatch(REMEDIES[name] ?? /never/);
  });

  test('nginx saw the client certificate', async () => {
    const name = 'client-certificate-given';
    const result = await curl(
      '--cacert',
      scenario.rootFile,
      ...resolve(name),
      `https://${name}.proxy.test:${scenario.port}/dn`,
    );
    expect(result.body).toContain('CN=test client');
  });

  test('/backends says the same as the log', async () => {
    const name = 'wrong-ca';
    const path = '/again';
    await curl('--cacert', scenario.rootFile, ...resolve(name), `https://${name}.proxy.test:${scenario.port}${path}`);
    const { backendTls } = (await scenario.requestLine(path)) as { backendTls?: { rule: string; reason: string } };
    const answer = await fetch(`http://127.0.0.1:${scenario.adminPort}/backends`);
    const backends = (await answer.json()) as { service: string; refusals: object[] }[];
    const refusals = Object.fromEntries(backends.map((backend) => [backend.service, backend.refusals]));
    expect(refusals['right']).toEqual([]);
    expect(refusals[name]).toEqual([
      expect.objectContaining({ isEnforced: true, depth: 0, rule: backendTls?.rule, reason: backendTls?.reason }),
    ]);
  });

  test('each refused chain is counted by its word', async () => {
    const labels = { service: 'wrong-san', reason: 'ssl_certificate_san_verification_failed' };
    expect(await scenario.metric('sallyport_backend_verify_failures_total', labels)).toBeGreaterThan(0);
  });

  function resolve(name: string): readonly string[] {
    return ['--resolve', `${name}.proxy.test:${scenario.port}:127.0.0.1`];
  }
});

async function backendsOf(
  pki: TestPki,
): Promise<readonly { server: NginxServer; service: Omit<ScenarioService, 'ports'> }[]> {
  const leaf = { subject: 'CN=backend', dnsNames: ['backend.example'], extendedKeyUsage: ['serverAuth' as const] };
  const foreign = await issue({ ...leaf, issuer: pki.stranger });
  const validity = { notBefore: new Date('2024-01-01T00:00:00Z'), notAfter: new Date('2024-06-01T00:00:00Z') };
  const expired = await issue({ ...leaf, issuer: pki.issuing, ...validity });
  const selfSigned = await issue(leaf);
  const wrongClient = await issue({ subject: 'CN=nobody', issuer: pki.stranger, extendedKeyUsage: ['clientAuth'] });
  const trust = { anchors: [pki.root] };
  const sent: [Issued, Issued] = [pki.server, pki.issuing];
  const service = (name: string, more: Partial<ScenarioService> = {}) => ({
    name,
    protocol: 'HTTPS' as const,
    sni: 'backend.example',
    trust,
    ...more,
  });
  const demanding = { chain: sent, clientCa: [pki.issuing, pki.root] as [Issued, Issued] };
  return [
    { server: { chain: sent }, service: service('right') },
    { server: { chain: [foreign] }, service: service('wrong-ca') },
    { server: { chain: sent }, service: service('wrong-san', { subjectAltNames: [{ dnsName: 'other.example' }] }) },
    { server: { chain: [expired, pki.issuing] }, service: service('expired') },
    { server: { chain: [selfSigned] }, service: service('self-signed') },
    {
      server: { chain: [selfSigned] },
      service: service('self-signed-allowlisted', { trust: { ...trust, allowlist: [selfSigned] } }),
    },
    {
      server: { chain: [pki.server] },
      service: service('intermediate-from-trust-config', { trust: { ...trust, intermediates: [pki.issuing] } }),
    },
    { server: { chain: [pki.server] }, service: service('intermediate-missing') },
    {
      server: demanding,
      service: service('client-certificate-given', { clientCertificate: [pki.client, pki.issuing] }),
    },
    { server: demanding, service: service('client-certificate-missing') },
    { server: demanding, service: service('client-certificate-wrong', { clientCertificate: [wrongClient] }) },
  ];
}
