// What the alert SallyportCertificateFileNotLoaded looks at (deploy/prometheus/alerts.yaml), of a real process.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { issue } from '#src/pki/issue/issue.ts';
import { chainPem, testPki } from '../harness/pki.ts';
import { type Scenario, startScenario } from '../harness/scenario.ts';

let scenario: Scenario | undefined;
afterEach(async () => {
  await scenario?.stop();
  scenario = undefined;
});

test.each([1, 2])(
  'a refused rotation shows as a file newer than what is loaded, with %i worker(s)',
  async (workers) => {
    scenario = await startScenario({
      services: [{ name: 'api', protocol: 'HTTP', ports: [9] }],
      sallyport: { workers },
    });
    const file = (name: string) => join(scenario!.folder, name);
    expect(await newerThanLoaded(scenario)).toBe(false);

    const pki = await testPki();
    const renewed = await issue({ subject: 'CN=front', issuer: pki.issuing, dnsNames: ['localhost', '*.proxy.test'] });
    await writeFile(file('front.key'), renewed.privateKeyPem, { mode: 0o600 });
    await scenario.proxy.waitForLog((line) => line.msg?.startsWith('reload refused') === true, 20_000);
    expect(await newerThanLoaded(scenario)).toBe(true);

    await writeFile(file('front.crt'), chainPem(renewed, pki.issuing));
    await scenario.proxy.waitForLog((line) => line.msg === 'reloaded', 20_000);
    expect(await newerThanLoaded(scenario)).toBe(false);
  },
  120_000,
);

async function newerThanLoaded(of: Scenario): Promise<boolean> {
  const [modified, loaded] = await Promise.all(
    ['file_modified', 'loaded'].map((what) => of.metric(`sallyport_certificate_${what}_timestamp_seconds`)),
  );
  expect(modified).toBeGreaterThan(0);
  expect(loaded).toBeGreaterThan(0);
  return modified! > loaded!;
}
