import { once } from 'node:events';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { startBackends, stopBackends } from '#src/cli/demo-backends.ts';
import { writeDemoConfiguration, writeDemoPki } from '#src/cli/demo-files.ts';
import { loadConfiguration } from '#src/config/load.ts';
import { makeTempFolder, type TempFolder } from '../harness/temp-folder.ts';

describe('the files of sallyport demo', () => {
  let folder: TempFolder;

  beforeAll(async () => {
    folder = makeTempFolder();
    await writeDemoPki(folder.file('certs'));
  });
  afterAll(() => folder.remove());

  test('load without a diagnostic or a warning, and bind loopback only (security rule 13)', async () => {
    const path = writeDemoConfiguration(folder.path, {
      port: 8443,
      adminPort: 9901,
      addresses: ['127.0.0.1', '::1'],
      backendPorts: { cats: 9001, dogs: 9002, expired: 9003 },
    });
    const loaded = await loadConfiguration({ path, env: {}, nowMs: Date.now() });
    if (!loaded.ok) throw new Error(JSON.stringify(loaded.diagnostics));
    expect(loaded.warnings).toEqual([]);
    const { listeners, settings, backendServices } = loaded.configuration;
    expect(listeners.map(({ address, port }) => [address, port])).toEqual([
      ['127.0.0.1', 8443],
      ['::1', 8443],
    ]);
    expect(settings.admin).toMatchObject({ address: '127.0.0.1', port: 9901 });
    expect(listeners[0]?.proxy).toMatchObject({ sslPolicy: { profile: 'MODERN', minTlsVersion: 'TLS_1_2' } });
    for (const { tls } of backendServices) {
      expect(tls?.authentication?.clientCertificate?.subject).toContain('Sallyport demo proxy');
    }
  });

  test('are kept while they are good, and made anew when the root, the stamp or the manifest says so', async () => {
    const certs = folder.file('certs');
    const root = () => readFileSync(folder.file('certs/root.crt'), 'utf8');
    const first = root();
    expect(await writeDemoPki(certs)).toBe('kept');
    expect(root()).toBe(first);
    writeFileSync(folder.file('certs/manifest.sha256'), 'of another manifest');
    expect(await writeDemoPki(certs)).toBe('made');
    expect(root()).not.toBe(first);
    rmSync(folder.file('certs/cats-backend.key'));
    expect(await writeDemoPki(certs)).toBe('made');
  });

  test('start backends on loopback that refuse a client without a certificate', async () => {
    const backends = await startBackends(['cats'], folder.file('certs'));
    const [cats] = backends;
    try {
      expect(cats?.server.address()).toMatchObject({ address: '127.0.0.1' });
      const ca = readFileSync(folder.file('certs/root.crt'));
      const servername = 'cats.backend.localhost';
      const bare = request({ host: '127.0.0.1', port: cats?.port, ca, servername, agent: false }).end();
      const [error] = (await once(bare, 'error')) as [NodeJS.ErrnoException];
      expect(error.code).toBe('ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED');
      const cert = readFileSync(folder.file('certs/proxy-client.crt'));
      const key = readFileSync(folder.file('certs/proxy-client.key'));
      const admitted = request({ host: '127.0.0.1', port: cats?.port, ca, servername, cert, key, agent: false }).end();
      const [response] = (await once(admitted, 'response')) as [import('node:http').IncomingMessage];
      expect(response.statusCode).toBe(200);
      response.resume();
    } finally {
      await stopBackends(backends);
    }
  });
});
