// Endpoints by name in a whole process: a DNS server of our own, access log, log, metrics, reload, `check` and `explain backend`.
import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { get } from 'node:https';
import type { Socket } from 'node:net';
import { DnsServer } from '../harness/dns-server.ts';
import { sallyportOnce } from '../harness/run-sallyport.ts';
import { type Scenario, scenarioConfiguration, startScenario } from '../harness/scenario.ts';
import { until } from '../harness/until.ts';

const NAME = 'shop.test-backend.example';
let dns: DnsServer;
let server: Server;
let port: number;
let scenario: Scenario;
const sockets = new Set<Socket>();

beforeAll(async () => {
  dns = await DnsServer.start({ [NAME]: { addresses: ['127.0.0.1'], ttlSec: 1 } });
  server = createServer((_request, response) => response.end('ok'));
  server.on('connection', (socket: Socket) => sockets.add(socket));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  port = (server.address() as { port: number }).port;
  scenario = await startScenario({ services: [{ name: 'shop', protocol: 'HTTP', ports: [port] }] });
});

afterAll(async () => {
  await scenario?.stop();
  for (const socket of sockets) socket.destroy();
  server?.close();
  await dns?.stop();
});

/** The scenario with its endpoint by name. */
async function reload(allowed: readonly string[]): Promise<void> {
  const options = { services: [{ name: 'shop', protocol: 'HTTP' as const, ports: [port] }] };
  const configuration = scenarioConfiguration(options, scenario.port, scenario.adminPort) as {
    networkEndpointGroups: unknown;
    sallyport: Record<string, unknown>;
  };
  configuration.networkEndpointGroups = [
    { name: 'shop', networkEndpointType: 'INTERNET_FQDN_PORT', endpoints: [{ fqdn: NAME, port }] },
  ];
  configuration.sallyport['dns'] = { servers: [dns.address], timeoutSec: 1, dangerAllowPrivateNames: allowed };
  const before = scenario.proxy.log.filter(({ msg }) => msg === 'reloaded').length;
  await scenario.rewrite(JSON.stringify(configuration));
  scenario.proxy.signal('SIGHUP');
  await until(() => scenario.proxy.log.filter(({ msg }) => msg === 'reloaded').length > before);
}

async function statusOf(path: string): Promise<number> {
  const ca = await readFile(scenario.rootFile);
  return await new Promise((resolve, reject) => {
    get(`${scenario.url}${path}`, { ca, agent: false }, (response) => {
      response.resume();
      response.once('end', () => resolve(response.statusCode ?? 0));
    }).once('error', reject);
  });
}

test('a name from permitted to refused to gone, as an operator sees it', async () => {
  await reload([NAME]);
  expect(await statusOf('/permitted')).toBe(200);
  expect(await scenario.requestLine('/permitted')).toMatchObject({ backend: `127.0.0.1:${port}` });
  expect(await scenario.metric('sallyport_dns_addresses', { name: NAME })).toBe(1);
  expect(await scenario.metric('sallyport_dns_lookups_total', { name: NAME, result: 'success' })).toBeGreaterThan(0);

  await reload([]);
  const refused = await scenario.proxy.waitForLog(({ msg }) => msg?.includes('leads where it must not') === true);
  expect(refused).toMatchObject({
    level: 'warn',
    backendService: 'shop',
    name: NAME,
    address: '127.0.0.1',
    reason: 'loopback',
  });
  expect(await statusOf('/refused')).toBe(502);
  expect(await scenario.requestLine('/refused')).toMatchObject({
    statusDetails: 'failed_to_connect_to_backend',
    proxyStatus: expect.stringContaining('destination_ip_prohibited'),
  });

  await reload([NAME]);
  await until(async () => (await statusOf('/again')) === 200);
  dns.zone.set(NAME, 'SERVFAIL');
  const stale = await scenario.proxy.waitForLog(({ msg }) => msg?.includes('its last addresses stay in use') === true);
  expect(stale).toMatchObject({ level: 'warn', name: NAME, error: 'ESERVFAIL', addresses: ['127.0.0.1'] });
  expect(await statusOf('/stale')).toBe(200);

  dns.zone.set(NAME, 'NXDOMAIN');
  await scenario.proxy.waitForLog(({ msg }) => msg === 'the name of an endpoint has no address');
  expect(await statusOf('/gone')).toBe(502);
  expect(await scenario.requestLine('/gone')).toMatchObject({
    statusDetails: 'failed_to_connect_to_backend',
    proxyStatus: expect.stringContaining('dns_error'),
    detail: expect.stringContaining('ENOTFOUND'),
  });
  dns.zone.set(NAME, { addresses: ['127.0.0.1'], ttlSec: 1 });
  await until(async () => (await statusOf('/back')) === 200);
}, 60_000);

test('`explain backend` looks the name up and says which addresses may be used; `check` looks up nothing', async () => {
  dns.zone.set(NAME, { addresses: ['127.0.0.1'], ttlSec: 1 });
  await reload([NAME]);
  const args = ['explain', 'backend', '--config', scenario.configFile, '--service', 'shop'];
  const permitted = await sallyportOnce(args);
  expect(permitted).toMatchObject({ code: 0, stdout: expect.stringContaining(`127.0.0.1:${port}`) });
  await reload([]);
  const refused = await sallyportOnce(args);
  expect(refused.code).toBe(1);
  expect(refused.stdout).toContain(`${NAME} leads to 127.0.0.1: loopback`);
  const check = await sallyportOnce(['check', '--config', scenario.configFile]);
  expect(check.code).toBe(0);
}, 60_000);
