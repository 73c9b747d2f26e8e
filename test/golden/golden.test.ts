import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { formatDiagnostic } from '#src/config/diagnostic.ts';
import { loadConfiguration } from '#src/config/load.ts';
import { formatPlan } from '#src/config/plan.ts';
import { GOLDEN_NOW_MS, GOLDEN_PASSPHRASE, type GoldenPki, makeGoldenPki } from './golden-pki.ts';

/*
 * NAME.yaml (or NAME.json, or a folder NAME/) in, NAME.expected out: the diagnostics and, where there is no error, the plan.
 * After a deliberate change: UPDATE_GOLDEN=1 writes the expectations; read the diff.
 */
const folder = import.meta.dirname;
const cases = readdirSync(join(folder, 'cases'), { withFileTypes: true })
  .filter((entry) => entry.isDirectory() || /\.(?:yaml|json)$/.test(entry.name))
  .map((entry) => entry.name);

let pki: GoldenPki;
beforeAll(async () => {
  pki = await makeGoldenPki();
});
afterAll(() => pki.folder.remove());

test.each(cases)('loadConfiguration() answers %s as expected', async (name) => {
  const text = await outcomeOf(name);
  const expectedFile = join(folder, 'cases', `${name.replace(/\.(?:yaml|json)$/, '')}.expected`);
  if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(expectedFile, text);
  expect(text).toBe(readFileSync(expectedFile, 'utf8'));
});

test('there are enough cases, one for each concern', () => {
  expect(cases.length).toBeGreaterThanOrEqual(100);
});

async function outcomeOf(name: string): Promise<string> {
  const env = {
    PKI: pki.folder.path,
    PORT: '9443',
    SECRET_NAME: 'tell-nobody',
    EMPTY: '',
    P12_PASSPHRASE: GOLDEN_PASSPHRASE,
  };
  const outcome = await loadConfiguration({ path: join(folder, 'cases', name), env, nowMs: GOLDEN_NOW_MS });
  const diagnostics = [...(outcome.ok ? [] : outcome.diagnostics), ...outcome.warnings].map(formatDiagnostic);
  const plan = outcome.ok ? `${diagnostics.length > 0 ? '\n' : ''}${formatPlan(outcome.configuration)}` : '';
  const text = `${diagnostics.map((line) => `${line}\n`).join('')}${plan}`;
  // Rule 12 over every case: neither keys nor the values of variables get out.
  const everything = text + JSON.stringify(outcome.ok ? outcome.configuration.redacted : '');
  for (const secret of [...pki.secrets, '-----BEGIN', 'tell-nobody']) expect(everything).not.toContain(secret);
  expect(text.replaceAll(`${join(folder, 'cases')}/`, '')).not.toContain(pki.folder.path);
  return text.replaceAll(`${join(folder, 'cases')}/`, '');
}
