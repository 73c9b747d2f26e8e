// What docs/backends.md says of affinity cookies, ejections and limits, as clients and an operator see it: whole processes, TLS in front.
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createServer, get as getPlain, type Server, type ServerResponse } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import { get } from 'node:https';
import type { AddressInfo } from 'node:net';
import { freePort } from '../harness/free-port.ts';
import { type Scenario, type ScenarioOptions, startScenario } from '../harness/scenario.ts';
import { makeTempFolder } from '../harness/temp-folder.ts';
import { until } from '../harness/until.ts';

const running: Scenario[] = [];
const servers: Server[] = [];

afterEach(async () => {
  await Promise.all(running.splice(0).map((scenario) => scenario.stop()));
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

describe.each<[string, Settings, RegExp]>([
  [
    'GENERATED_COOKIE',
    { sessionAffinity: 'GENERATED_COOKIE', affinityCookieTtlSec: 3600 },
    /^GCLB=[\w-]{22}; Path=\/; Max-Age=3600; HttpOnly; SameSite=Lax; Secure$/,
  ],
  [
    'STRONG_COOKIE_AFFINITY',
    {
      sessionAffinity: 'STRONG_COOKIE_AFFINITY',
      strongSessionAffinityCookie: { name: 'stay', path: '/shop', ttl: '60s' },
    },
    /^stay=[\w-]{22}; Path=\/shop; Max-Age=60; HttpOnly; SameSite=Lax; Secure$/,
  ],
])('%s', (_affinity, settings, cookie) => {
  test('is set once, binds at every worker and across reloads, and is replaced when its endpoint is gone', async () => {
    const endpoints = await Promise.all(['one', 'two', 'three', 'four'].map((name) => startBackend(name)));
    const ports = endpoints.map(({ port }) => port);
    const scenario = await start(options(ports.slice(0, 3), settings, { workers: 2 }));
    const first = await ask(scenario);
    expect(first.cookies).toEqual([expect.stringMatching(cookie)]);
    const sent = pairOf(first);
    const stays = async () => {
      for (let i = 0; i < 10; i++) expect(await ask(scenario, sent)).toMatchObject({ body: first.body, cookies: [] });
    };
    await stays();
    const others = new Set<string>();
    for (let i = 0; i < 12; i++) others.add((await ask(scenario)).body);
    expect(others).toEqual(new Set(['one', 'two', 'three']));

    await reload(scenario, options(ports, settings, { workers: 2 }, 20));
    await stays();

    const left = endpoints.filter(({ name }) => name !== first.body).map(({ port }) => port);
    await reload(scenario, options(left, settings, { workers: 2 }, 20));
    const moved = await ask(scenario, sent);
    expect(moved.body).not.toBe(first.body);
    expect(moved.cookies).toHaveLength(1);
    const [name, token] = sent.split('=') as [string, string];
    // The old token, of no endpoint here, could be that of another service of this host: it goes on behind the new one.
    expect(pairOf(moved)).toMatch(new RegExp(`^${name}=[\\w-]{22}\\.${token}$`));
    expect(attributesOf(moved)).toBe(attributesOf(first));
    for (let i = 0; i < 10; i++)
      expect(await ask(scenario, pairOf(moved))).toMatchObject({ body: moved.body, cookies: [] });
  });

  test('counts at every instance with the same secrets, and at no other', async () => {
    using folder = makeTempFolder();
    const masterKeyFile = folder.write('ticket.keys', `${randomBytes(32).toString('base64')}\n`);
    const ports = (await Promise.all(['one', 'two', 'three'].map((name) => startBackend(name)))).map(
      ({ port }) => port,
    );
    const shared = options(ports, settings, { sessionTickets: { masterKeyFile } });
    const [one, same, stranger] = await Promise.all([start(shared), start(shared), start(options(ports, settings))]);
    const first = await ask(one);
    for (let i = 0; i < 5; i++) expect(await ask(same, pairOf(first))).toMatchObject({ body: first.body, cookies: [] });
    const elsewhere = await ask(stranger, pairOf(first));
    expect(elsewhere.cookies).toEqual([expect.stringMatching(/^\w+=[\w-]{22}\.[\w-]{22};/)]); // beside the one it does not know
  });

  test('over HTTP/2 it is found among the pieces that a Cookie field may come in', async () => {
    const ports = (await Promise.all(['one', 'two', 'three'].map((name) => startBackend(name)))).map(
      ({ port }) => port,
    );
    const scenario = await start(options(ports, settings));
    const session = connectHttp2(scenario.url, { ca: await readFile(scenario.rootFile) });
    const first = await askHttp2(session, []);
    expect(first.cookies).toEqual([expect.stringMatching(cookie)]);
    for (let i = 0; i < 5; i++)
      expect(await askHttp2(session, ['theme=dark', pairOf(first), 'a=b'])).toMatchObject({
        body: first.body,
        cookies: [],
      });
    await new Promise<void>((resolve) => session.close(resolve));
  });

  test('is not Secure where the request came in plaintext: it would never come back', async () => {
    const { port } = await startBackend('one');
    const scenario = await start(options([port], settings));
    const plain = await freePort();
    await change(scenario, (configuration) => {
      const rule = {
        name: 'http',
        IPAddress: '127.0.0.1',
        portRange: String(plain),
        target: 'targetHttpProxies/plain',
      };
      configuration['forwardingRules']!.push(rule);
      configuration['targetHttpProxies'] = [{ name: 'plain', urlMap: 'web' }];
    });
    const { cookies } = await answered(getPlain({ port: plain, host: '127.0.0.1', path: '/shop', agent: false }));
    expect(cookies).toEqual([expect.stringMatching(/; HttpOnly; SameSite=Lax$/)]);
  });
});

describe('outlierDetection', () => {
  const ofBad = (bad: Backend) => ({ service: 'api', endpoint: `127.0.0.1:${bad.port}` });

  test.each<[number, string, Settings]>([
    [500, 'consecutive-errors', { consecutiveErrors: 3 }],
    [
      503,
      'consecutive-gateway-failures',
      { consecutiveGatewayFailure: 3, enforcingConsecutiveGatewayFailure: 100, enforcingConsecutiveErrors: 0 },
    ],
  ])('after three times %i in a row an endpoint gets nothing more, by cause %s', async (status, cause, settings) => {
    const bad = await startBackend('bad', (response) => response.writeHead(status).end());
    const good = await startBackend('good');
    const outlierDetection = { baseEjectionTime: '3600s', ...settings };
    const scenario = await start(options([bad.port, good.port], { outlierDetection }));
    for (let i = 0; i < 6; i++) await ask(scenario, '', `/shop/${i}`);
    expect(bad.requests).toBe(3);
    const ejected = await scenario.proxy.waitForLog(({ msg }) => msg === 'endpoint is ejected');
    expect(ejected).toMatchObject({
      backendService: 'api',
      backend: `127.0.0.1:${bad.port}`,
      cause,
      forMs: 3_600_000,
    });
    for (let i = 0; i < 10; i++) expect(await ask(scenario)).toMatchObject({ status: 200, body: 'good' });
    expect(bad.requests).toBe(3);
    expect(await scenario.metric('sallyport_backend_ejections_total')).toBe(1);
    expect(await scenario.metric('sallyport_backend_ejections_total', { service: 'api', cause })).toBe(1);
    expect(await scenario.metric('sallyport_backend_endpoint_ejected', ofBad(bad))).toBe(1);
    const backends = await (await fetch(`http://127.0.0.1:${scenario.adminPort}/backends`)).json();
    expect(backends).toMatchObject([
      {
        service: 'api',
        balance: {
          endpoints: [
            { endpoint: `127.0.0.1:${bad.port}`, isEjected: true },
            { endpoint: `127.0.0.1:${good.port}`, isEjected: false },
          ],
        },
      },
    ]);
    const failed = scenario.proxy.log.filter(
      ({ msg, httpRequest }) => msg === 'request' && (httpRequest as { status: number }).status === status,
    );
    expect(failed).toHaveLength(3);
    for (const line of failed) expect(line).toMatchObject({ statusDetails: 'response_sent_by_backend' });
  });

  test('an endpoint comes back when its time is over, and is said to', async () => {
    let isWell = false;
    const bad = await startBackend('bad', (response) => response.writeHead(isWell ? 200 : 500).end('bad'));
    const good = await startBackend('good');
    const outlierDetection = { consecutiveErrors: 1, baseEjectionTime: '0.2s', interval: '0.1s' };
    const scenario = await start(options([bad.port, good.port], { outlierDetection }));
    for (let i = 0; i < 2; i++) await ask(scenario);
    await scenario.proxy.waitForLog(({ msg }) => msg === 'endpoint is ejected');
    isWell = true;
    const back = await scenario.proxy.waitForLog(({ msg }) => msg === 'endpoint is no longer ejected');
    expect(back).toMatchObject({ backendService: 'api', backend: `127.0.0.1:${bad.port}` });
    expect(await scenario.metric('sallyport_backend_endpoint_ejected', ofBad(bad))).toBe(0);
    const bodies = [(await ask(scenario)).body, (await ask(scenario)).body];
    expect(bodies.sort()).toEqual(['bad', 'good']);
  });
});

describe('circuitBreakers', () => {
  const REFUSED = {
    statusDetails: 'failed_to_pick_backend',
    proxyStatus: 'sallyport; error=connection_limit_reached',
    httpRequest: { status: 503 },
  };
  const broken = (scenario: Scenario, limit: string) =>
    scenario.metric('sallyport_backend_circuit_breaks_total', { service: 'api', limit });
  const underWay = (scenario: Scenario) => scenario.metric('sallyport_backend_endpoint_in_flight', { service: 'api' });

  test('maxRequests: what is beyond gets 503 at once, and the next is served when one has ended', async () => {
    const held: ServerResponse[] = [];
    const api = await startBackend('api', (response) => held.push(response));
    const scenario = await start(options([api.port], { circuitBreakers: { maxRequests: 1 } }));
    const first = ask(scenario, '', '/shop/first');
    await until(() => held.length === 1);
    const refused = await ask(scenario, '', '/shop/refused');
    expect(refused).toMatchObject({ status: 503, body: expect.stringMatching(/^503 Service Unavailable\n?$/) });
    expect(await scenario.requestLine('/shop/refused')).toMatchObject({
      ...REFUSED,
      detail: expect.stringMatching(/^backend_request_limit_reached\b.*circuitBreakers\.maxRequests \(1\)/),
    });
    expect(await broken(scenario, 'requests')).toBe(1);
    expect(api.requests).toBe(1);
    held[0]!.end('first');
    expect(await first).toMatchObject({ status: 200, body: 'first' });
    await until(async () => (await underWay(scenario)) === 0);
    const next = ask(scenario);
    await until(() => held.length === 2);
    held[1]!.end('next');
    expect(await next).toMatchObject({ status: 200, body: 'next' });
    expect(await broken(scenario, 'requests')).toBe(1);
  });

  test('maxConnections and maxPendingRequests: one is served, one waits, the third gets 503', async () => {
    const held: ServerResponse[] = [];
    const api = await startBackend('api', (response) => held.push(response));
    const circuitBreakers = { maxConnections: 1, maxPendingRequests: 1 };
    const scenario = await start(options([api.port], { circuitBreakers }));
    const first = ask(scenario, '', '/shop/first');
    await until(() => held.length === 1);
    const second = ask(scenario, '', '/shop/second');
    await until(async () => (await underWay(scenario)) === 2);
    expect((await ask(scenario, '', '/shop/third')).status).toBe(503);
    expect(await scenario.requestLine('/shop/third')).toMatchObject(REFUSED);
    expect(await broken(scenario, 'pending-requests')).toBe(1);
    held[0]!.end('first');
    expect((await first).body).toBe('first');
    await until(() => held.length === 2);
    held[1]!.end('second');
    expect((await second).body).toBe('second');
  });

  test('maxRetries: a retry beyond is not made, and the client gets the answer that there was', async () => {
    const api = await startBackend('api', (response) => response.writeHead(503).end('busy'));
    const scenario = await start(options([api.port], { circuitBreakers: { maxRetries: 0 } }));
    await change(scenario, (configuration) => {
      configuration['urlMaps'] = [
        {
          name: 'web',
          defaultRouteAction: {
            weightedBackendServices: [{ backendService: 'api', weight: 1 }],
            retryPolicy: { numRetries: 2, retryConditions: ['gateway-error'] },
          },
        },
      ];
    });
    expect(await ask(scenario, '', '/shop/busy')).toMatchObject({ status: 503, body: 'busy' });
    expect(await scenario.requestLine('/shop/busy')).toMatchObject({
      statusDetails: 'response_sent_by_backend',
      attempts: 1,
    });
    expect(api.requests).toBe(1);
    expect(await broken(scenario, 'retries')).toBe(1);
    expect(await scenario.metric('sallyport_backend_retries_total')).toBe(0);
  });
});

type Settings = Readonly<Record<string, unknown>>;

function options(
  ports: readonly number[],
  settings: Settings,
  sallyport: Settings = {},
  timeoutSec = 30,
): ScenarioOptions {
  return { services: [{ name: 'api', protocol: 'HTTP', ports, settings, timeoutSec }], sallyport };
}

async function start(wanted: ScenarioOptions): Promise<Scenario> {
  const scenario = await startScenario(wanted);
  running.push(scenario);
  return scenario;
}

async function reload(scenario: Scenario, next: ScenarioOptions | string): Promise<void> {
  const count = () => scenario.proxy.log.filter(({ msg }) => msg === 'reloaded').length;
  const before = count();
  await scenario.rewrite(next);
  scenario.proxy.signal('SIGHUP');
  await until(() => count() > before);
}

async function change(scenario: Scenario, edit: (configuration: Record<string, unknown[]>) => void): Promise<void> {
  const configuration = JSON.parse(await readFile(scenario.configFile, 'utf8')) as Record<string, unknown[]>;
  edit(configuration);
  await reload(scenario, JSON.stringify(configuration));
}

interface Backend {
  readonly name: string;
  readonly port: number;
  readonly requests: number;
}

/** Answers with its name unless told otherwise. */
async function startBackend(
  name: string,
  answer: (response: ServerResponse) => void = (response) => response.end(name),
): Promise<Backend> {
  const backend = { name, port: 0, requests: 0 };
  const server = createServer((request, response) => {
    request.resume();
    backend.requests++;
    answer(response);
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  backend.port = (server.address() as AddressInfo).port;
  return backend;
}

interface Answer {
  readonly status: number;
  readonly body: string;
  readonly cookies: readonly string[];
}

/** On a connection of its own. */
async function ask({ url, rootFile }: Scenario, cookie = '', path = '/shop'): Promise<Answer> {
  const headers = cookie === '' ? {} : { cookie: `theme=dark; ${cookie}` };
  return answered(get(`${url}${path}`, { ca: await readFile(rootFile), agent: false, headers }));
}

function answered(request: ReturnType<typeof getPlain>): Promise<Answer> {
  return new Promise((resolve, reject) => {
    request.once('error', reject).once('response', (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text: string) => (body += text));
      response.once('end', () =>
        resolve({ status: response.statusCode ?? 0, body, cookies: response.headers['set-cookie'] ?? [] }),
      );
      response.once('error', reject);
    });
  });
}

function askHttp2(session: ReturnType<typeof connectHttp2>, cookie: readonly string[]): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const stream = session.request({ ':path': '/shop', ...(cookie.length > 0 && { cookie: [...cookie] }) });
    let answer = { status: 0, cookies: [] as readonly string[] };
    let body = '';
    stream.once('response', (headers) => {
      answer = { status: headers[':status'] ?? 0, cookies: headers['set-cookie'] ?? [] };
    });
    stream.setEncoding('utf8').on('data', (text: string) => (body += text));
    stream.once('error', reject).once('end', () => resolve({ ...answer, body }));
  });
}

/** What the client sends back of the cookie that it got. */
function pairOf({ cookies: [cookie = ''] }: Answer): string {
  return cookie.slice(0, cookie.indexOf(';'));
}

function attributesOf({ cookies: [cookie = ''] }: Answer): string {
  return cookie.slice(cookie.indexOf(';'));
}
