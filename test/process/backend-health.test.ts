// Report-only verification and health checks as an operator sees them: access log, log, metrics, /backends.
import { readFile } from 'node:fs/promises';
import { createServer, get, type Server } from 'node:https';
import { chainPem, testPki } from '../harness/pki.ts';
import { type Scenario, type ScenarioService, startScenario } from '../harness/scenario.ts';

let scenario: Scenario | null = null;
let server: Server;
let port: number;
let isWell = true;

beforeAll(async () => {
  const pki = await testPki();
  server = createServer(
    { cert: chainPem(pki.server, pki.issuing), key: pki.server.privateKeyPem },
    (request, response) => {
      response.statusCode = request.url === '/healthz' && !isWell ? 503 : 200;
      response.end('ok');
    },
  );
  server.on('tlsClientError', () => {});
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  port = (server.address() as { port: number }).port;
});

afterEach(async () => {
  await scenario?.stop();
  scenario = null;
});

afterAll(() => {
  server.closeAllConnections();
  server.close();
});

/** Starts with a plain configuration, then reloads with `change` made to it. */
async function startWith(service: ScenarioService, change: (configuration: Configuration) => void): Promise<Scenario> {
  const started = await startScenario({ services: [service] });
  scenario = started;
  const configuration = JSON.parse(await readFile(started.configFile, 'utf8')) as Configuration;
  change(configuration);
  await started.rewrite(JSON.stringify(configuration));
  started.proxy.signal('SIGHUP');
  await started.proxy.waitForLog((line) => line.msg === 'reloaded');
  return started;
}

interface Configuration {
  backendServices: Record<string, unknown>[];
  backendAuthenticationConfigs: Record<string, unknown>[];
  healthChecks?: Record<string, unknown>[];
}

async function statusOf({ url, rootFile }: Scenario, path: string): Promise<number> {
  const ca = await readFile(rootFile);
  return await new Promise((resolve, reject) => {
    get(`${url}${path}`, { ca, agent: false }, (response) => {
      response.resume();
      response.once('end', () => resolve(response.statusCode ?? 0));
    }).once('error', reject);
  });
}

test('REPORT_ONLY: the request goes through, and load, access log and metric say what enforcing would do', async () => {
  const pki = await testPki();
  const service: ScenarioService = {
    name: 'api',
    protocol: 'HTTPS',
    ports: [port],
    sni: 'backend.example',
    trust: { anchors: [pki.stranger] },
  };
  const running = await startWith(service, (configuration) => {
    configuration.backendAuthenticationConfigs[0]!['enforcement'] = 'REPORT_ONLY';
  });
  const warning = await running.proxy.waitForLog((line) => line.msg === 'configuration warning');
  expect(warning['warning']).toContain('under REPORT_ONLY');
  expect(await statusOf(running, '/reported')).toBe(200);
  const line = await running.requestLine('/reported');
  expect(line['backendTls']).toMatchObject({ verdict: 'would-refuse', rule: 'trust-anchor', depth: 1 });
  expect((line['backendTls'] as { reason: string }).reason).toContain('Test Root');
  expect(line['statusDetails']).toBe('response_sent_by_backend');
  const reason = 'ssl_certificate_chain_verification_failed';
  const count = (name: string) => running.metric(name, { service: 'api', reason });
  expect(await count('sallyport_backend_verify_report_only_failures_total')).toBe(1);
  expect(await count('sallyport_backend_verify_failures_total')).toBe(0);
});

test('a health check: 503 while every endpoint is down, with the change in the log, the metric and /backends', async () => {
  const pki = await testPki();
  const service: ScenarioService = {
    name: 'api',
    protocol: 'HTTPS',
    ports: [port],
    sni: 'backend.example',
    trust: { anchors: [pki.root] },
  };
  const running = await startWith(service, (configuration) => {
    configuration.backendServices[0]!['healthChecks'] = ['healthChecks/api'];
    configuration.healthChecks = [
      {
        name: 'api',
        type: 'HTTPS',
        checkIntervalSec: 1,
        timeoutSec: 1,
        healthyThreshold: 1,
        unhealthyThreshold: 1,
        httpsHealthCheck: { requestPath: '/healthz' },
      },
    ];
  });
  const endpoint = `127.0.0.1:${port}`;
  const gauge = () => running.metric('sallyport_backend_endpoint_healthy', { service: 'api', endpoint });
  expect(await gauge()).toBe(1);
  expect(await statusOf(running, '/well')).toBe(200);
  isWell = false;
  const down = await running.proxy.waitForLog((line) => line.msg === 'endpoint is unhealthy');
  expect(down).toMatchObject({ backendService: 'api', backend: endpoint, reason: 'status 503, expected 200' });
  expect(await statusOf(running, '/down')).toBe(503);
  expect((await running.requestLine('/down'))['statusDetails']).toBe('failed_to_pick_backend');
  expect(await gauge()).toBe(0);
  const backends = await (await fetch(`http://127.0.0.1:${running.adminPort}/backends`)).json();
  expect(backends).toMatchObject([
    { service: 'api', health: [{ endpoint, isHealthy: false, isProbed: true, reason: 'status 503, expected 200' }] },
  ]);
  isWell = true;
  await running.proxy.waitForLog((line) => line.msg === 'endpoint is healthy again');
  expect(await statusOf(running, '/again')).toBe(200);
});
