// deploy/kubernetes (the sidecar form) with the real kubectl kustomize, deploy/systemd with systemd-analyze, deploy/compose.yaml by its files.
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parse } from 'yaml';
import { issue } from '#src/pki/issue/issue.ts';
import { sallyportOnce } from '../harness/run-sallyport.ts';
import { runTool } from '../harness/run-tool.ts';
import { makeTempFolder } from '../harness/temp-folder.ts';
import { type KubernetesObject, kubectl, parseObjects, schemaError } from './kubernetes-tools.ts';

describe('the sidecar', () => {
  test('its objects are those of their schemas', async () => {
    const objects = await sidecar();
    expect(objects.map(({ kind }) => kind).toSorted()).toEqual(['ConfigMap', 'Deployment', 'NetworkPolicy', 'Service']);
    expect(await Promise.all(objects.map(schemaError))).toEqual(objects.map(() => null));
  });

  test('is a native sidecar of a restricted pod, and ends after the application', async () => {
    const deployment = (await sidecar()).find(({ kind }) => kind === 'Deployment');
    expect(deployment?.spec).toMatchObject({
      template: {
        spec: {
          automountServiceAccountToken: false,
          terminationGracePeriodSeconds: 40,
          securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
          initContainers: [
            {
              name: 'sallyport',
              restartPolicy: 'Always',
              securityContext: {
                allowPrivilegeEscalation: false,
                readOnlyRootFilesystem: true,
                capabilities: { drop: ['ALL'] },
              },
              readinessProbe: { httpGet: { path: '/readyz', port: 'admin' } },
            },
          ],
        },
      },
    });
  });

  test('its configuration loads, and its application is reached on loopback', async () => {
    using folder = makeTempFolder();
    const leaf = await issue({ subject: 'CN=web', dnsNames: ['web.example'], extendedKeyUsage: ['serverAuth'] });
    folder.write('tls/web-tls/tls.crt', leaf.certificatePem);
    folder.write('tls/web-tls/tls.key', leaf.privateKeyPem);
    folder.write('admin/token', `${'ab'.repeat(32)}\n`);
    const text = (await sidecar()).find(({ kind }) => kind === 'ConfigMap')?.data?.['sallyport.yaml'] ?? '';
    const file = folder.write('config/sallyport.yaml', text.replaceAll('/etc/sallyport', folder.path));
    const { code, stdout } = await sallyportOnce(['check', '--config', file, '--json']);
    expect({ code, stdout }).toEqual({ code: 0, stdout: expect.not.stringContaining('"severity":"error"') });
    expect(parse(text)).toMatchObject({
      networkEndpointGroups: [{ endpoints: [{ ipAddress: '127.0.0.1' }] }],
      sallyport: { admin: { tokenFile: '/etc/sallyport/admin/token' } }, // security rule 38
    });
  });
});

describe('the systemd unit', () => {
  test('is one that systemd understands, and well confined (security rule 38)', async () => {
    using folder = makeTempFolder();
    const unit = readFileSync(join(DEPLOY, 'systemd', 'sallyport.service'), 'utf8');
    // The program is where an installation puts it; here any that exists will do.
    const file = folder.write('sallyport.service', unit.replaceAll('/usr/local/bin/sallyport', '/bin/true'), 0o644);
    const verified = await runTool('systemd-analyze', ['verify', '--man=no', file]);
    expect(verified.stderr.split('\n').filter((line) => line.includes('sallyport.service'))).toEqual([]);
    const { stdout } = await runTool('systemd-analyze', ['security', '--offline=true', '--threshold=25', file]);
    expect(stdout).toContain('Overall exposure level');
    expect(Number(/exposure level for [^:]*: ([0-9.]+)/.exec(stdout)?.[1])).toBeLessThanOrEqual(2.5);
    expect(unit).toContain('LimitCORE=0\n');
  });
});

describe('the compose file', () => {
  test('names files that are there, and a configuration that loads', async () => {
    const compose = parse(readFileSync(join(DEPLOY, 'compose.yaml'), 'utf8')) as {
      services: Record<string, { volumes?: string[] }>;
    };
    const sources = Object.values(compose.services).flatMap(({ volumes }) =>
      (volumes ?? []).map((volume) => volume.split(':')[0]!),
    );
    // The certificates are made by the command at its top.
    const missing = sources.filter((source) => source !== './compose/certs' && !existsSync(resolve(DEPLOY, source)));
    expect(missing).toEqual([]);
    using folder = makeTempFolder();
    const pki = await sallyportOnce([
      'pki',
      '--manifest',
      join(DEPLOY, '..', 'certs', 'demo.yaml'),
      '--out',
      folder.file('certs'),
    ]);
    expect(pki.code).toBe(0);
    const file = folder.write('config/sallyport.yaml', readFileSync(join(DEPLOY, 'compose', 'sallyport.yaml'), 'utf8'));
    const { code, stdout } = await sallyportOnce(['check', '--config', file]);
    expect({ code, stdout }).toEqual({ code: 0, stdout: expect.any(String) });
  });
});

async function sidecar(): Promise<readonly KubernetesObject[]> {
  const { exitCode, stdout, stderr } = await kubectl('kustomize', join(DEPLOY, 'kubernetes'));
  if (exitCode !== 0) throw new Error(stderr);
  return parseObjects(stdout);
}

const DEPLOY = join(import.meta.dirname, '..', '..', 'deploy');
