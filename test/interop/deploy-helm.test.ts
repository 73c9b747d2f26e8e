// deploy/helm/sallyport with the real helm: what it renders, what the values may not hold, and that the rendered configuration loads.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import { issue } from '#src/pki/issue/issue.ts';
import { sallyportOnce } from '../harness/run-sallyport.ts';
import { makeTempFolder } from '../harness/temp-folder.ts';
import { CHART, helm, type KubernetesObject, renderChart, schemaError } from './kubernetes-tools.ts';

describe('the chart', () => {
  test('lints strictly, with everything switched on', async () => {
    using folder = makeTempFolder();
    const values = folder.write('values.yaml', stringify(EVERYTHING));
    const { exitCode, stdout, stderr } = await helm('lint', '--strict', CHART, '-f', values);
    expect({ exitCode, failed: `${stdout}${stderr}`.includes('[ERROR]') }).toEqual({ exitCode: 0, failed: false });
  });

  test.each([
    ['the least', { config: gateway() }],
    ['everything', null],
    ['a ConfigMap of the user', { existingConfigMap: 'my-sallyport' }],
  ])('renders objects that their schemas accept: %s', async (_name, values) => {
    const objects = await renderChart(values ?? EVERYTHING);
    expect(await Promise.all(objects.map(schemaError))).toEqual(objects.map(() => null));
    for (const { metadata } of objects)
      expect(metadata.labels).toMatchObject({
        'app.kubernetes.io/name': 'sallyport',
        'app.kubernetes.io/instance': 'edge',
        'app.kubernetes.io/managed-by': 'Helm',
      });
  });

  test('renders every kind it is there for', async () => {
    const kinds = (await renderChart(EVERYTHING)).map(({ kind }) => kind);
    expect([...new Set(kinds)].toSorted()).toEqual([
      'Certificate',
      'ConfigMap',
      'Deployment',
      'HorizontalPodAutoscaler',
      'NetworkPolicy',
      'PodDisruptionBudget',
      'PrometheusRule',
      'Service',
      'ServiceAccount',
      'ServiceMonitor',
    ]);
  });

  test('a pod is "restricted": not root, nothing it can write, no capability, no token, secrets as folders of files (security rule 38)', async () => {
    const pod = podSpec(await renderChart(EVERYTHING));
    expect(pod).toMatchObject({
      automountServiceAccountToken: false,
      terminationGracePeriodSeconds: 47,
      securityContext: { runAsNonRoot: true, fsGroup: 65532, seccompProfile: { type: 'RuntimeDefault' } },
    });
    const [container] = pod.containers;
    expect(container?.securityContext).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    });
    expect(container?.volumeMounts.every((mount) => mount['readOnly'] === true && !('subPath' in mount))).toBe(true);
    const secrets = pod.volumes.flatMap(({ secret }) => (secret === undefined ? [] : [secret]));
    expect(secrets).toEqual([
      { secretName: 'web-tls', defaultMode: 0o440 },
      { secretName: 'sallyport-tls', defaultMode: 0o440 },
      { secretName: 'tickets', defaultMode: 0o440 },
      { secretName: 'admin', defaultMode: 0o440 },
    ]);
    expect(JSON.stringify(container?.env ?? [])).not.toContain('secretKeyRef');
  });

  test('the admin port admits Prometheus and named probes only, the service ports whoever may come (security rule 38)', async () => {
    const policy = (await renderChart(EVERYTHING)).find(({ kind }) => kind === 'NetworkPolicy');
    expect(policy?.spec).toMatchObject({
      policyTypes: ['Ingress'],
      ingress: [
        { ports: [{ port: 8443, protocol: 'TCP' }] },
        {
          ports: [{ port: 9901, protocol: 'TCP' }],
          from: [
            { namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'monitoring' } } },
            { ipBlock: { cidr: '10.0.0.0/24' } },
          ],
        },
      ],
    });
  });

  test('Prometheus gets the token of the admin server by reference', async () => {
    const monitor = (await renderChart(EVERYTHING)).find(({ kind }) => kind === 'ServiceMonitor');
    expect(monitor?.spec).toMatchObject({
      endpoints: [
        { path: '/metrics', authorization: { type: 'Bearer', credentials: { name: 'admin', key: 'token' } } },
      ],
    });
    const open = (await renderChart({ ...EVERYTHING, admin: {} })).find(({ kind }) => kind === 'ServiceMonitor');
    expect(open?.spec).toMatchObject({
      endpoints: [expect.not.objectContaining({ authorization: expect.anything() })],
    });
  });

  test('the rules and the dashboard are those of deploy/', async () => {
    const objects = await renderChart(EVERYTHING);
    const rule = objects.find(({ kind }) => kind === 'PrometheusRule');
    expect(rule?.spec).toEqual(parse(readFileSync(join(DEPLOY, 'prometheus', 'alerts.yaml'), 'utf8')));
    const dashboard = objects.find(({ metadata }) => metadata.name === 'edge-sallyport-dashboard');
    expect(JSON.parse(dashboard?.data?.['sallyport.json'] ?? '')).toEqual(
      JSON.parse(readFileSync(join(DEPLOY, 'grafana', 'sallyport.json'), 'utf8')),
    );
  });

  test('the configuration it renders is one that sallyport loads, with what the chart decides in it', async () => {
    using folder = makeTempFolder();
    const leaf = await issue({ subject: 'CN=web', dnsNames: ['web.example'], extendedKeyUsage: ['serverAuth'] });
    folder.write('tls/web-tls/tls.crt', leaf.certificatePem);
    folder.write('tls/web-tls/tls.key', leaf.privateKeyPem);
    folder.write('tickets/ticket.keys', `${'ab'.repeat(32)}\n`);
    folder.write('admin/token', `${'cd'.repeat(32)}\n`);
    const text = configuration(await renderChart(EVERYTHING)).replaceAll('/etc/sallyport', folder.path);
    expect(parse(text)).toMatchObject({
      sallyport: {
        admin: { address: '0.0.0.0', port: 9901, hosts: ['edge.example'], tokenFile: `${folder.path}/admin/token` },
        drain: { delaySec: 7, timeoutSec: 35 },
        sessionTickets: { masterKeyFile: `${folder.path}/tickets/ticket.keys` },
      },
    });
    const file = folder.write('config/sallyport.yaml', text);
    const { code, stdout } = await sallyportOnce(['check', '--config', file, '--json']);
    expect({ code, errors: stdout.includes('"severity":"error"') }).toEqual({ code: 0, errors: false });
  });
});

describe('what the values may not hold (security rule 38)', () => {
  const pem = '-----BEGIN PRIVATE KEY-----\nMC4\n-----END PRIVATE KEY-----\n';
  test.each<[string, Record<string, unknown>, RegExp]>([
    ['neither configuration nor ConfigMap', {}, /found neither config nor existingConfigMap/],
    [
      'a key inline',
      { config: { sslCertificates: [{ name: 'a', selfManaged: { privateKey: pem } }] } },
      /config\/sslCertificates\/0\/selfManaged/,
    ],
    ['a key under another name', { config: { note: { text: pem } } }, /config\/note\/text/],
    ['a passphrase inline', { config: { a: [{ pkcs12Passphrase: 'x' }] } }, /config\/a\/0/],
    ['a key as a variable', { extraEnv: [{ name: 'KEY', value: pem }] }, /extraEnv\/0\/value/],
    [
      'a Secret as a variable',
      { extraEnv: [{ name: 'KEY', valueFrom: { secretKeyRef: { name: 'a', key: 'b' } } }] },
      /extraEnv\/0\/valueFrom/,
    ],
    ['NODE_OPTIONS', { extraEnv: [{ name: 'NODE_OPTIONS', value: '--inspect' }] }, /extraEnv\/0\/name/],
    [
      'a subPath, which never sees a rotation',
      { extraVolumeMounts: [{ name: 'a', mountPath: '/a', subPath: 'b' }] },
      /extraVolumeMounts\/0/,
    ],
    [
      'a port that needs root',
      { service: { ports: [{ name: 'https', port: 443, containerPort: 443 }] } },
      /service\/ports\/0\/containerPort/,
    ],
    ['a value that does not exist', { replicas: 3 }, /'replicas' not allowed/],
  ])('%s', async (_name, values, message) => {
    using folder = makeTempFolder();
    const withConfig = _name.startsWith('neither') ? values : { config: gateway(), ...values };
    const file = folder.write('values.yaml', stringify(withConfig));
    const { exitCode, stderr } = await helm('template', 'edge', CHART, '-f', file);
    expect({ exitCode, stderr }).toEqual({ exitCode: 1, stderr: expect.stringMatching(message) });
    expect(stderr).not.toContain('MC4');
  });
});

function configuration(objects: readonly KubernetesObject[]): string {
  return (
    objects.find(({ kind, data }) => kind === 'ConfigMap' && data?.['sallyport.yaml'])?.data?.['sallyport.yaml'] ?? ''
  );
}

interface PodSpec {
  readonly containers: readonly {
    readonly securityContext: unknown;
    readonly env?: unknown;
    readonly volumeMounts: readonly Readonly<Record<string, unknown>>[];
  }[];
  readonly volumes: readonly { readonly secret?: unknown }[];
}

function podSpec(objects: readonly KubernetesObject[]): PodSpec {
  const deployment = objects.find(({ kind }) => kind === 'Deployment');
  if (deployment === undefined) throw new Error('Cannot find the Deployment');
  return (deployment.spec as { template: { spec: PodSpec } }).template.spec;
}

function gateway(): Record<string, unknown> {
  return {
    forwardingRules: [{ name: 'https', IPAddress: '0.0.0.0', portRange: '8443', target: 'targetHttpsProxies/web' }],
    targetHttpsProxies: [{ name: 'web', urlMap: 'web', sslCertificates: ['web'], sslPolicy: 'modern' }],
    sslPolicies: [{ name: 'modern', profile: 'MODERN', minTlsVersion: 'TLS_1_2' }],
    sslCertificates: [
      {
        name: 'web',
        selfManaged: {
          certificateFile: '/etc/sallyport/tls/web-tls/tls.crt',
          privateKeyFile: '/etc/sallyport/tls/web-tls/tls.key',
        },
      },
    ],
    urlMaps: [{ name: 'web', defaultService: 'app' }],
    backendServices: [{ name: 'app', protocol: 'HTTP', backends: [{ group: 'app' }] }],
    networkEndpointGroups: [
      {
        name: 'app',
        networkEndpointType: 'INTERNET_FQDN_PORT',
        endpoints: [{ fqdn: 'app.default.svc.cluster.local', port: 8080 }],
      },
    ],
  };
}

const EVERYTHING = {
  config: { ...gateway(), sallyport: { admin: { hosts: ['edge.example'] } } },
  tls: {
    existingSecrets: ['web-tls'],
    certManager: { enabled: true, dnsNames: ['web.example'], issuerRef: { name: 'letsencrypt' } },
  },
  sessionTickets: { existingSecret: 'tickets' },
  admin: { existingSecret: 'admin' },
  drain: { delaySec: 7, timeoutSec: 35 },
  service: { type: 'LoadBalancer', externalTrafficPolicy: 'Local' },
  autoscaling: { enabled: true, targetHandshakesPerSecond: 50 },
  networkPolicy: { probesFrom: [{ ipBlock: { cidr: '10.0.0.0/24' } }] },
  extraEnv: [{ name: 'REGION', value: 'north' }],
  extraVolumes: [{ name: 'trust', configMap: { name: 'trust-bundle' } }],
  extraVolumeMounts: [{ name: 'trust', mountPath: '/etc/sallyport/trust', readOnly: true }],
  metrics: { serviceMonitor: { enabled: true }, prometheusRule: { enabled: true }, dashboard: { enabled: true } },
};
const DEPLOY = join(import.meta.dirname, '..', '..', 'deploy');
