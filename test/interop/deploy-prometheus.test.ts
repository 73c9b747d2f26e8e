// deploy/prometheus and deploy/grafana with the real promtool and a real Prometheus that scrapes a running proxy.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { parse } from 'yaml';
import { curl } from '../harness/curl.ts';
import { freePort } from '../harness/free-port.ts';
import { runTool } from '../harness/run-tool.ts';
import { type Scenario, startScenario } from '../harness/scenario.ts';
import { makeTempFolder } from '../harness/temp-folder.ts';
import { until } from '../harness/until.ts';

let scenario: Scenario;
let exposition: string;
const backend = createServer((_request, response) => response.end('ok'));

beforeAll(async () => {
  backend.listen(0, '127.0.0.1');
  await once(backend, 'listening');
  const { port } = backend.address() as AddressInfo;
  scenario = await startScenario({
    services: [{ name: 'app', protocol: 'HTTP', ports: [port] }],
    shadowSslPolicies: [{ name: 'strict', profile: 'RESTRICTED', minTlsVersion: 'TLS_1_2' }],
  });
  await curl('--cacert', scenario.rootFile, `${scenario.url}/one`);
  await scenario.requestLine('/one');
  exposition = await (await fetch(`http://127.0.0.1:${scenario.adminPort}/metrics`)).text();
});

afterAll(async () => {
  await scenario.stop();
  backend.close();
});

test('promtool finds nothing to say about /metrics', async () => {
  const { exitCode, stdout, stderr } = await runTool('promtool', ['check', 'metrics'], { input: exposition });
  expect({ exitCode, stdout, stderr }).toEqual({ exitCode: 0, stdout: '', stderr: '' });
});

test('promtool accepts the rules and the scrape configuration', async () => {
  const rules = await runTool('promtool', ['check', 'rules', join(PROMETHEUS, 'alerts.yaml')]);
  expect({ exitCode: rules.exitCode, stderr: rules.stderr }).toEqual({ exitCode: 0, stderr: '' });
  const config = await runTool('promtool', ['check', 'config', join(PROMETHEUS, 'prometheus.yaml')]);
  expect({ exitCode: config.exitCode, stderr: config.stderr }).toEqual({ exitCode: 0, stderr: '' });
});

test('every alert fires when it should and not before: promtool test rules', async () => {
  const { exitCode, stdout, stderr } = await runTool('promtool', [
    'test',
    'rules',
    join(PROMETHEUS, 'alerts.test.yaml'),
  ]);
  expect({ exitCode, output: stdout + stderr }).toEqual({ exitCode: 0, output: expect.stringContaining('SUCCESS') });
  const tested = new Set(readFileSync(join(PROMETHEUS, 'alerts.test.yaml'), 'utf8').match(/alertname: \w+/g));
  expect(alerts().filter(({ alert }) => !tested.has(`alertname: ${alert}`))).toEqual([]);
});

test('docs/operations.md says for each alert what to do', () => {
  const operations = readFileSync(join(ROOT, 'docs', 'operations.md'), 'utf8');
  expect(alerts().filter(({ alert }) => !operations.includes(`\`${alert}\``))).toEqual([]);
});

test('rules and dashboard name metrics that a proxy has, with labels that they have', () => {
  const expressions = [...alerts().map(({ expr }) => expr), ...dashboardExpressions()];
  const unknown = new Set<string>();
  for (const expression of expressions) {
    for (const [name] of expression.matchAll(/\b(?:sallyport|nodejs|process)_[a-z0-9_]+\b/g))
      if (!families().has(name.replace(/_bucket$/, ''))) unknown.add(name);
  }
  expect([...unknown]).toEqual([]);
  expect(expressions.length).toBeGreaterThan(30);
});

test('a real Prometheus scrapes it and answers every query of the dashboard', async () => {
  using folder = makeTempFolder();
  const port = await freePort();
  folder.write('alerts.yaml', readFileSync(join(PROMETHEUS, 'alerts.yaml')));
  folder.write(
    'prometheus.yaml',
    `global: { scrape_interval: 1s, evaluation_interval: 1s }
rule_files: [alerts.yaml]
scrape_configs: [{ job_name: sallyport, static_configs: [{ targets: ["127.0.0.1:${scenario.adminPort}"] }] }]\n`,
  );
  const prometheus = spawn(
    'prometheus',
    [
      `--config.file=${folder.file('prometheus.yaml')}`,
      `--storage.tsdb.path=${folder.file('data')}`,
      `--web.listen-address=127.0.0.1:${port}`,
      '--log.level=error',
    ],
    { stdio: ['ignore', 'ignore', 'inherit'] },
  );
  const ended = once(prometheus, 'exit');
  try {
    const query = async (expr: string) => {
      const url = `http://127.0.0.1:${port}/api/v1/query?query=${encodeURIComponent(expr)}`;
      return (await (await fetch(url)).json()) as { status: string; error?: string; data: { result: unknown[] } };
    };
    const hasResult = (expr: string) =>
      query(expr).then(
        ({ data }) => data.result.length > 0,
        () => false, // it does not listen yet
      );
    await until(() => hasResult('up{job="sallyport"} == 1 and on (instance) sallyport_requests_total'), 200);
    for (const expression of dashboardExpressions()) {
      const plain = expression.replaceAll('$__rate_interval', '1m').replaceAll(/\$(job|instance|proxy|service)/g, '.*');
      expect(await query(plain)).toMatchObject({ status: 'success' });
    }
    const rules = (await (await fetch(`http://127.0.0.1:${port}/api/v1/rules`)).json()) as {
      data: { groups: { rules: { name: string; health: string }[] }[] };
    };
    await until(() => hasResult('count(ALERTS) or vector(1)'), 200);
    expect(rules.data.groups[0]?.rules.map(({ name }) => name)).toEqual(alerts().map(({ alert }) => alert));
  } finally {
    prometheus.kill('SIGTERM');
    await ended;
  }
});

interface Alert {
  readonly alert: string;
  readonly expr: string;
}

function alerts(): readonly Alert[] {
  const file = parse(readFileSync(join(PROMETHEUS, 'alerts.yaml'), 'utf8')) as { groups: { rules: Alert[] }[] };
  return file.groups.flatMap(({ rules }) => rules);
}

function dashboardExpressions(): readonly string[] {
  const dashboard = JSON.parse(readFileSync(join(DEPLOY, 'grafana', 'sallyport.json'), 'utf8')) as {
    panels: { targets?: { expr: string }[] }[];
    annotations: { list: { expr: string }[] };
  };
  return [
    ...dashboard.panels.flatMap(({ targets }) => (targets ?? []).map(({ expr }) => expr)),
    ...dashboard.annotations.list.map(({ expr }) => expr),
  ];
}

function families(): ReadonlySet<string> {
  return new Set([...exposition.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name!));
}

const ROOT = join(import.meta.dirname, '..', '..');
const DEPLOY = join(ROOT, 'deploy');
const PROMETHEUS = join(DEPLOY, 'prometheus');
