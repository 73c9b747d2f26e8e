import { cpSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { formatDiagnostic } from '#src/config/diagnostic.ts';
import { loadConfiguration } from '#src/config/load.ts';
import { writePki } from '#src/pki/issue/write-pki.ts';
import { makeTempFolder, type TempFolder } from '../harness/temp-folder.ts';

const root = join(import.meta.dirname, '../..');
const scenarios = readdirSync(join(root, 'config'), { withFileTypes: true }).filter((entry) => entry.isDirectory());

let folder: TempFolder;
beforeAll(async () => {
  folder = makeTempFolder();
  cpSync(join(root, 'config'), folder.file('config'), { recursive: true });
  await writePki({
    manifestFile: join(root, 'certs/demo.yaml'),
    outFolder: folder.file('certs/generated'),
    existing: 'refuse',
  });
  await writePki({
    manifestFile: join(root, 'certs/clients.yaml'),
    outFolder: folder.file('certs/generated/clients'),
    existing: 'refuse',
  });
}, 60_000);
afterAll(() => folder.remove());

test('there are scenarios', () => {
  expect(scenarios.map(({ name }) => name)).toEqual([
    'backend-mtls',
    'client-authentication',
    'minimal',
    'plain-sidecar',
    'several-hosts',
    'tls-to-tcp',
  ]);
});

test.each(scenarios.map(({ name }) => name))('the scenario %s loads without a warning', async (name) => {
  const outcome = await loadConfiguration({ path: folder.file(`config/${name}`), env: {}, nowMs: Date.now() });
  const diagnostics = [...(outcome.ok ? [] : outcome.diagnostics), ...outcome.warnings];
  expect(diagnostics.map(formatDiagnostic)).toEqual([]);
  if (!outcome.ok) throw new Error('unreachable');
  // Examples attach a policy (security rule 8) and listen on loopback only.
  for (const { proxy, address } of outcome.configuration.listeners) {
    if (proxy.kind === 'targetHttpsProxies' || proxy.kind === 'targetSslProxies')
      expect(proxy.sslPolicy?.minTlsVersion).toBe('TLS_1_2');
    expect(['127.0.0.1', '::1']).toContain(address);
  }
});
