// A routeAction as an operator sees it: retries, mirrors, faults and timeouts of a configuration, in the access log and the metrics.
import { readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { get } from 'node:https';
import type { AddressInfo } from 'node:net';
import { type Scenario, startScenario } from '../harness/scenario.ts';

let scenario: Scenario | null = null;
const servers: Server[] = [];

afterEach(async () => {
  await scenario?.stop();
  scenario = null;
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

/** `answer`: the status of the n-th request; null: none comes. */
async function backend(answer: (count: number) => number | null) {
  const requests: IncomingMessage[] = [];
  const server = createServer((request, response) => {
    const status = answer(requests.push(request));
    if (status === null) return;
    response.statusCode = status;
    response.end(String(status));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  servers.push(server);
  return { port: (server.address() as AddressInfo).port, requests };
}

/** Every request goes to `api`, with this action. */
async function startWith(ports: { api: number; copy: number }, action: Record<string, unknown>): Promise<Scenario> {
  const started = await startScenario({
    services: [
      { name: 'api', protocol: 'HTTP', ports: [ports.api] },
      { name: 'copy', protocol: 'HTTP', ports: [ports.copy] },
    ],
  });
  scenario = started;
  const configuration = JSON.parse(await readFile(started.configFile, 'utf8')) as { urlMaps: unknown[] };
  const defaultRouteAction = { weightedBackendServices: [{ backendService: 'api', weight: 1 }], ...action };
  configuration.urlMaps = [{ name: 'web', defaultRouteAction }];
  await started.rewrite(JSON.stringify(configuration));
  started.proxy.signal('SIGHUP');
  await started.proxy.waitForLog((line) => line.msg === 'reloaded');
  return started;
}

async function ask({ url, rootFile }: Scenario, path: string, headers: Record<string, string> = {}): Promise<number> {
  const ca = await readFile(rootFile);
  return await new Promise((resolve, reject) => {
    get(`${url}${path}`, { ca, agent: false, headers }, (response) => {
      response.resume();
      response.once('end', () => resolve(response.statusCode ?? 0));
    }).once('error', reject);
  });
}

test('a retried request is one line with its attempts, and its copy is counted and has no credentials', async () => {
  const api = await backend((count) => (count === 1 ? 503 : 200));
  const copy = await backend(() => 500);
  const running = await startWith(
    { api: api.port, copy: copy.port },
    {
      retryPolicy: { numRetries: 2, retryConditions: ['gateway-error'] },
      requestMirrorPolicy: { backendService: 'copy' },
    },
  );
  expect(await ask(running, '/retried', { authorization: 'Bearer secret', cookie: 'sid=1', 'x-kept': 'yes' })).toBe(
    200,
  );
  expect(await running.requestLine('/retried')).toMatchObject({ attempts: 2 });
  expect(await running.metric('sallyport_backend_retries_total', { service: 'api' })).toBe(1);
  while ((await running.metric('sallyport_backend_mirrored_requests_total', { result: 'answered' })) === 0);
  expect(copy.requests).toHaveLength(1);
  const { headers } = copy.requests[0]!;
  expect(headers).toMatchObject({ 'x-kept': 'yes', host: expect.stringContaining('-shadow') });
  expect(headers).not.toHaveProperty('authorization');
  expect(headers).not.toHaveProperty('cookie');
});

test('an injected fault is logged as one', async () => {
  const api = await backend(() => 200);
  const running = await startWith(
    { api: api.port, copy: api.port },
    { faultInjectionPolicy: { abort: { httpStatus: 418, percentage: 100 } } },
  );
  expect(await ask(running, '/fault')).toBe(418);
  expect(await running.requestLine('/fault')).toMatchObject({ statusDetails: 'fault_filter_abort' });
  expect(api.requests).toHaveLength(0);
});

test('the timeout of a route wins over its service; keeping credentials is warned about', async () => {
  const api = await backend(() => null);
  const running = await startWith(
    { api: api.port, copy: api.port },
    { timeout: '0.2s', requestMirrorPolicy: { backendService: 'copy', mirrorPercent: 0, dangerKeepCredentials: true } },
  );
  const warning = await running.proxy.waitForLog((line) => String(line['warning']).includes('dangerKeepCredentials'));
  expect(warning.msg).toBe('configuration warning');
  expect(await ask(running, '/slow')).toBe(504);
  expect(await running.requestLine('/slow')).toMatchObject({ statusDetails: 'backend_timeout' });
});
