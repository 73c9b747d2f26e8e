import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { issue } from '#src/pki/issue/issue.ts';
import { type Scenario, type ScenarioOptions, scenarioConfiguration, startScenario } from '../harness/scenario.ts';

const OPTIONS: ScenarioOptions = { services: [{ name: 'nobody', protocol: 'HTTP', ports: [9] }] };

let scenario: Scenario;
beforeAll(async () => {
  scenario = await startScenario(OPTIONS);
  for (const name of ['shop.test', '*.shop.test']) {
    const issued = await issue({ subject: `CN=${name}`, dnsNames: [name] });
    await writeFile(join(scenario.folder, `${name}.crt`), issued.certificatePem);
    await writeFile(join(scenario.folder, `${name}.key`), issued.privateKeyPem, { mode: 0o600 });
  }
}, 30_000);
afterAll(() => scenario.stop());

test('a running proxy goes from its list to a certificate map, and says what is wrong with a certificate', async () => {
  expect(await served('shop.test')).toBe('CN=front');
  await scenario.rewrite(JSON.stringify(withMap()));
  await scenario.proxy.waitForLog(({ msg }) => msg === 'reloaded');
  expect(await served('shop.test')).toBe('CN=shop.test');
  expect(await served('a.shop.test')).toBe('CN=*.shop.test');
  expect(await served('a.b.shop.test')).toBe('ERR_SSL_TLSV1_UNRECOGNIZED_NAME');
  expect(await scenario.metric('sallyport_handshake_failures_total', { reason: 'sni_unknown', side: 'proxy' })).toBe(1);

  const address = `http://127.0.0.1:${scenario.adminPort}/certificates`;
  const shown = (await (await fetch(address)).json()) as { name: string; collection: string; warnings: string[] }[];
  expect(shown.map(({ name, collection }) => `${collection}/${name}`)).toEqual([
    'certificates/one',
    'certificates/any',
  ]);
  expect(shown[0]?.warnings).toEqual([]);
  expect(shown[1]?.warnings).toEqual([
    'certificateMapEntries/wrong serves this certificate for other.test, which it does not cover: clients will refuse it; issue it for that name too',
  ]);
}, 30_000);

function withMap(): Record<string, unknown> {
  const { sslCertificates: _list, ...rest } = scenarioConfiguration(OPTIONS, scenario.port, scenario.adminPort);
  const certificate = (name: string, file: string) => ({
    name,
    selfManaged: { pemCertificateFile: `${file}.crt`, pemPrivateKeyFile: `${file}.key` },
  });
  return {
    ...rest,
    targetHttpsProxies: [{ name: 'web', urlMap: 'urlMaps/web', certificateMap: 'shop', sslPolicy: 'policy' }],
    certificates: [certificate('one', 'shop.test'), certificate('any', '*.shop.test')],
    certificateMaps: [{ name: 'shop' }],
    certificateMapEntries: [
      { name: 'one', map: 'shop', hostname: 'shop.test', certificates: ['one'] },
      { name: 'any', map: 'shop', hostname: '*.shop.test', certificates: ['any'] },
      { name: 'wrong', map: 'shop', hostname: 'other.test', certificates: ['any'] },
    ],
  };
}

/** The served certificate's subject, or the error's code. */
function served(servername: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const client = connect({ port: scenario.port, host: '127.0.0.1', servername, rejectUnauthorized: false });
    client.on('secureConnect', () => {
      resolve(client.getPeerX509Certificate()?.subject);
      client.end();
    });
    client.on('error', (error: NodeJS.ErrnoException) => resolve(error.code));
  });
}
