// Worker processes, as their clients and their operator see them (docs/operations.md).
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { get } from 'node:https';
import type { AddressInfo } from 'node:net';
import { type Scenario, type ScenarioOptions, startScenario } from '../harness/scenario.ts';

let backend: Server;
let scenario: Scenario;

beforeAll(async () => {
  backend = createServer((incoming, response) => response.end(incoming.url)).listen(0, '127.0.0.1');
  await once(backend, 'listening');
});
afterEach(() => scenario?.stop());
afterAll(() => {
  backend.close();
  backend.closeAllConnections();
});

test('two workers serve, and one scrape has what both counted', async () => {
  scenario = await startScenario(options());
  for (let i = 0; i < 10; i++) expect(await statusOf('/')).toBe(200);
  expect(await scenario.metric('sallyport_requests_total')).toBe(10);
  expect(await scenario.metric('sallyport_workers', { state: 'running' })).toBe(2);
  expect(await scenario.proxy.stop('SIGTERM')).toEqual({ code: 0, signal: null });
}, 30_000);

function options(sallyport: Record<string, unknown> = {}): ScenarioOptions {
  const { port } = backend.address() as AddressInfo;
  return { services: [{ name: 'api', protocol: 'HTTP', ports: [port] }], sallyport: { workers: 2, ...sallyport } };
}

async function statusOf(path: string): Promise<number> {
  const outgoing = get(`${scenario.url}${path}`, { rejectUnauthorized: false, agent: false });
  const [response] = await once(outgoing, 'response');
  response.resume();
  await once(response, 'end');
  return response.statusCode;
}
