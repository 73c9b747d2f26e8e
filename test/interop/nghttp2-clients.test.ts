// nghttp2's own clients at the front: HTTP/2 over TLS and with prior knowledge, many streams at once, a large upload.
import { type ProxiedScenario, startProxiedScenario } from '../harness/proxied-scenario.ts';
import { runTool } from '../harness/run-tool.ts';
import { makeTempFolder } from '../harness/temp-folder.ts';
import { until } from '../harness/until.ts';

let proxied: ProxiedScenario;

beforeAll(async () => {
  proxied = await startProxiedScenario();
}, 60_000);
afterAll(() => proxied.stop());

const doors = [
  ['over TLS', () => proxied.scenario.url],
  ['with prior knowledge', () => `http://127.0.0.1:${proxied.plainPort}`],
] as const;

test.each(doors)('h2load %s: every request is answered, counted and logged', async (_how, url) => {
  const { scenario } = proxied;
  const before = [await scenario.metric('sallyport_requests_total'), lines().length] as const;
  const { exitCode, stdout } = await runTool('h2load', [
    '--requests=2000',
    '--clients=8',
    '--max-concurrent-streams=32',
    `${url()}/`,
  ]);
  expect([exitCode, stdout]).toEqual([0, expect.stringContaining('2000 succeeded, 0 failed, 0 errored, 0 timeout')]);
  expect(stdout).toContain('status codes: 2000 2xx, 0 3xx, 0 4xx, 0 5xx');
  await until(async () => (await scenario.metric('sallyport_requests_total')) === before[0] + 2000);
  await until(() => lines().length === before[1] + 2000);
  expect(scenario.proxy.log.filter(({ msg }) => msg === 'HTTP/2 session ended')).toEqual([]);
});

test.each(doors)('nghttp %s: HTTP/2 is what it speaks, and what goes up is carried', async (_how, url) => {
  using folder = makeTempFolder();
  const file = folder.write('body', Buffer.alloc(200_000, 'x'));
  const { exitCode, stdout } = await runTool('nghttp', ['--verbose', `--data=${file}`, `${url()}/upload`]);
  expect(exitCode).toBe(0);
  expect(stdout).toContain(':status: 200');
  expect(stdout).toContain('recv SETTINGS frame');
  expect(stdout).toContain('"content-length":"200000"');
  expect(stdout).not.toMatch(/recv (?:RST_STREAM|GOAWAY)/);
});

function lines(): readonly unknown[] {
  return proxied.scenario.proxy.log.filter(({ msg }) => msg === 'request');
}
