// What a URL map does, as clients, backends and operators see it: real sockets, HTTP/1.1 and HTTP/2, the access log.
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type IncomingHttpHeaders, request as plainRequest, type Server } from 'node:http';
import { type ClientHttp2Session, connect } from 'node:http2';
import { request as secureRequest } from 'node:https';
import type { AddressInfo } from 'node:net';
import { freePort } from '../harness/free-port.ts';
import type { LogLine } from '../harness/run-sallyport.ts';
import { type Scenario, startScenario } from '../harness/scenario.ts';
import { until } from '../harness/until.ts';

const HOST = 'site.proxy.test';

interface Seen {
  readonly service: string;
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
}

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

const servers: Server[] = [];
/** What the backends got, in order. */
const seen: Seen[] = [];
let scenario: Scenario;
let plainPort: number;
let session: ClientHttp2Session;

beforeAll(async () => {
  const names = ['api', 'beta', 'canary', 'copy'];
  const services = [];
  for (const name of names) services.push({ name, protocol: 'HTTP' as const, ports: [await startBackend(name)] });
  scenario = await startScenario({ services });
  plainPort = await freePort();
  const configuration = JSON.parse(readFileSync(scenario.configFile, 'utf8')) as Record<string, unknown[]>;
  const plainRule = { IPAddress: '127.0.0.1', portRange: String(plainPort), target: 'targetHttpProxies/to-https' };
  await scenario.rewrite(
    JSON.stringify({
      ...configuration,
      forwardingRules: [...configuration['forwardingRules']!, { name: 'http', ...plainRule }],
      targetHttpProxies: [{ name: 'to-https', urlMap: 'to-https' }],
      urlMaps: [siteMap(), redirectMap(scenario.port)],
    }),
  );
  scenario.proxy.signal('SIGHUP');
  await scenario.proxy.waitForLog(({ msg }) => msg === 'reloaded');
  session = connect(scenario.url, { ca: readFileSync(scenario.rootFile), servername: HOST });
  session.on('error', () => {});
});

afterAll(async () => {
  session?.destroy();
  await scenario?.stop();
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
});

test('plain HTTP is redirected to the HTTPS door, its port and the query included, and logged', async () => {
  const { status, headers } = await plain('/shop?item=1');
  expect(status).toBe(308);
  expect(headers['location']).toBe(`https://${HOST}:${scenario.port}/shop?item=1`);
  expect(await scenario.requestLine('/shop?item=1')).toMatchObject({
    httpRequest: { requestUrl: `http://${HOST}/shop?item=1`, status: 308, protocol: 'HTTP/1.1' },
    statusDetails: 'direct_response',
    targetProxy: 'to-https',
    urlMap: 'to-https',
  });
  // and what it points to is served
  expect(await overHttp1('/shop?item=1')).toMatchObject({ status: 200, body: 'api GET /shop?item=1' });
});

describe.each([
  ['HTTP/1.1', overHttp1],
  ['HTTP/2', overHttp2],
] as const)('over %s', (protocol, ask) => {
  const id = protocol === 'HTTP/2' ? 'h2' : 'h1';
  const forwarded = (backendService: string) => ({
    httpRequest: { status: 200, protocol },
    statusDetails: 'response_sent_by_backend',
    urlMap: 'web',
    backendService,
    tls: { protocol: 'TLSv1.3', sni: HOST },
  });

  test('a header decides, and without it the next rule does', async () => {
    expect(await ask(`/choice/${id}-beta`, { 'x-beta': '1' })).toMatchObject({ body: `beta GET /choice/${id}-beta` });
    expect(await ask(`/choice/${id}-none`)).toMatchObject({ body: `api GET /choice/${id}-none` });
    expect(await line(`/choice/${id}-beta`)).toMatchObject(forwarded('beta'));
    expect(await line(`/choice/${id}-none`)).toMatchObject(forwarded('api'));
  });

  test('a regular expression of the whole path', async () => {
    expect((await ask(`/item/${id}/42`)).body).toBe(`beta GET /item/${id}/42`);
    expect((await ask(`/item/${id}/42x`)).body).toBe(`api GET /item/${id}/42x`);
    expect(await line(`/item/${id}/42`)).toMatchObject(forwarded('beta'));
    expect(await line(`/item/${id}/42x`)).toMatchObject(forwarded('api'));
  });

  test('a path template is rewritten with its variables; the log has the URL of the client', async () => {
    expect((await ask(`/users/${id}/files/a/b?v=1`)).body).toBe(`beta GET /files/a/b/of/${id}?v=1`);
    expect(await line(`/users/${id}/files/a/b?v=1`)).toMatchObject(forwarded('beta'));
  });

  test('weights: all of it to one, none to the other', async () => {
    for (let i = 0; i < 5; i++) {
      expect((await ask(`/weighted/${id}-${i}`)).body).toBe(`canary GET /weighted/${id}-${i}`);
      expect(await line(`/weighted/${id}-${i}`)).toMatchObject(forwarded('canary'));
    }
  });

  test('header actions in both directions, with what the proxy knows of the TLS connection', async () => {
    const path = `/actions/${id}`;
    const { headers } = await ask(path, { 'x-drop': 'me', 'x-tls': 'forged' });
    expect(headers).toMatchObject({ 'x-served': 'TLSv1.3', 'x-added': 'yes' });
    expect(headers).not.toHaveProperty('x-backend');
    const got = requestOf(path);
    expect(got.headers).toMatchObject({ 'x-tls': `TLSv1.3 ${HOST}` });
    expect(got.headers).not.toHaveProperty('x-drop');
    expect(await line(path)).toMatchObject(forwarded('api'));
  });

  test('CORS: a preflight is answered without a backend, a simple request carries the policy', async () => {
    const origin = { origin: 'https://app.example' };
    const preflight = await ask(
      `/cors/${id}-preflight`,
      { ...origin, 'access-control-request-method': 'PUT' },
      'OPTIONS',
    );
    expect(preflight).toMatchObject({
      status: 200,
      headers: { 'access-control-allow-origin': origin.origin, 'access-control-allow-methods': 'GET, PUT' },
    });
    expect(seen.some(({ url }) => url === `/cors/${id}-preflight`)).toBe(false);
    const simple = await ask(`/cors/${id}-simple`, origin);
    expect(simple).toMatchObject({ status: 200, body: `api GET /cors/${id}-simple` });
    expect(simple.headers).toMatchObject({ 'access-control-allow-origin': origin.origin, vary: 'origin' });
    expect(await line(`/cors/${id}-simple`)).toMatchObject(forwarded('api'));
    expect(await line(`/cors/${id}-preflight`)).toMatchObject({
      httpRequest: { requestMethod: 'OPTIONS', status: 200, protocol },
      urlMap: 'web',
    });
    // a stranger's origin: as if there were no policy
    const other = await ask(`/cors/${id}-other`, { origin: 'https://evil.example' });
    expect(other.headers).not.toHaveProperty('access-control-allow-origin');
  });

  test('a fault is answered and logged as one, and reaches no backend', async () => {
    expect((await ask(`/fault/${id}`)).status).toBe(418);
    expect(seen.some(({ url }) => url === `/fault/${id}`)).toBe(false);
    expect(await line(`/fault/${id}`)).toMatchObject({
      httpRequest: { status: 418, protocol },
      statusDetails: 'fault_filter_abort',
      urlMap: 'web',
    });
  });

  test('a mirror gets the request as well, without its credentials', async () => {
    const path = `/mirrored/${id}`;
    const { body } = await ask(path, { authorization: 'Bearer secret', cookie: 'sid=1', 'x-kept': 'yes' });
    expect(body).toBe(`api GET ${path}`);
    expect(requestOf(path, 'api').headers).toMatchObject({ authorization: 'Bearer secret' });
    await until(() => seen.some(({ service, url }) => service === 'copy' && url === path));
    const { headers } = requestOf(path, 'copy');
    expect(headers).toMatchObject({ 'x-kept': 'yes', host: expect.stringContaining('-shadow') });
    expect(headers).not.toHaveProperty('authorization');
    expect(headers).not.toHaveProperty('cookie');
    expect(await line(path)).toMatchObject(forwarded('api'));
  });
});

test('over HTTP/2 an answer that is a head only comes although the upload is open', async () => {
  const origin = 'https://app.example';
  const fields = { origin, 'access-control-request-method': 'PUT' };
  const stream = session.request({ ':path': '/cors/open', ':method': 'OPTIONS', ':authority': HOST, ...fields });
  stream.on('error', () => {});
  let answer: IncomingHttpHeaders & { ':status'?: number | undefined } = {};
  stream.on('response', (received) => (answer = received));
  stream.resume();
  await once(stream, 'close');
  expect(answer).toMatchObject({ ':status': 200, 'access-control-allow-origin': origin });
  expect(stream.rstCode).toBe(0); // the rest is refused with NO_ERROR (RFC 9113 section 8.1)
});

function siteMap(): Record<string, unknown> {
  const prefixed = (prefixMatch: string, rest: object = {}) => [{ prefixMatch, ...rest }];
  const toApi = { weightedBackendServices: [{ backendService: 'api', weight: 1 }] };
  const beta = { weightedBackendServices: [{ backendService: 'beta', weight: 1 }] };
  const template = '/users/{user=*}/files/{file=**}';
  const routeRules = [
    {
      matchRules: prefixed('/choice/', { headerMatches: [{ headerName: 'x-beta', exactMatch: '1' }] }),
      service: 'beta',
    },
    { matchRules: [{ regexMatch: '/item/[a-z0-9]+/[0-9]+' }], service: 'beta' },
    {
      matchRules: [{ pathTemplateMatch: template }],
      routeAction: { ...beta, urlRewrite: { pathTemplateRewrite: '/files/{file}/of/{user}' } },
    },
    {
      matchRules: prefixed('/weighted/'),
      routeAction: {
        weightedBackendServices: [
          { backendService: 'api', weight: 0 },
          { backendService: 'canary', weight: 100 },
        ],
      },
    },
    {
      matchRules: prefixed('/actions/'),
      service: 'api',
      headerAction: {
        requestHeadersToRemove: ['x-drop'],
        requestHeadersToAdd: [{ headerName: 'x-tls', headerValue: '{tls_version} {tls_sni_hostname}', replace: true }],
        responseHeadersToRemove: ['x-backend'],
        responseHeadersToAdd: [
          { headerName: 'x-served', headerValue: '{tls_version}', replace: true },
          { headerName: 'x-added', headerValue: 'yes', replace: true },
        ],
      },
    },
    {
      matchRules: prefixed('/cors/'),
      routeAction: { ...toApi, corsPolicy: { allowOrigins: ['https://app.example'], allowMethods: ['GET', 'PUT'] } },
    },
    {
      matchRules: prefixed('/fault/'),
      routeAction: { ...toApi, faultInjectionPolicy: { abort: { httpStatus: 418, percentage: 100 } } },
    },
    {
      matchRules: prefixed('/mirrored/'),
      routeAction: { ...toApi, requestMirrorPolicy: { backendService: 'copy' } },
    },
  ].map((rule, index) => ({ priority: index + 1, ...rule }));
  return {
    name: 'web',
    defaultService: 'api',
    hostRules: [{ hosts: [HOST], pathMatcher: 'site' }],
    pathMatchers: [{ name: 'site', defaultService: 'api', routeRules }],
  };
}

function redirectMap(httpsPort: number): Record<string, unknown> {
  const defaultUrlRedirect = {
    httpsRedirect: true,
    hostRedirect: `${HOST}:${httpsPort}`,
    redirectResponseCode: 'PERMANENT_REDIRECT',
  };
  return { name: 'to-https', defaultUrlRedirect };
}

function line(path: string): Promise<LogLine> {
  return scenario.requestLine(path);
}

/** The first that a backend got with this path. */
function requestOf(path: string, service?: string): Seen {
  const found = seen.find((one) => one.url === path && (service === undefined || one.service === service));
  if (found === undefined) throw new Error(`Cannot find ${path} among ${seen.map(({ url }) => url).join(' ')}`);
  return found;
}

async function startBackend(service: string): Promise<number> {
  const server = createServer(({ method = '', url = '', headers }, response) => {
    seen.push({ service, method, url, headers });
    response.setHeader('x-backend', service);
    response.end(`${service} ${method} ${url}`);
  }).listen(0, '127.0.0.1');
  servers.push(server);
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

function plain(path: string): Promise<Answer> {
  return answerOf(plainRequest({ host: '127.0.0.1', port: plainPort, path, headers: { host: HOST }, agent: false }));
}

function overHttp1(path: string, headers: Record<string, string> = {}, method = 'GET'): Promise<Answer> {
  const to = { host: '127.0.0.1', port: scenario.port, servername: HOST, ca: readFileSync(scenario.rootFile) };
  return answerOf(secureRequest({ ...to, path, method, headers: { host: HOST, ...headers }, agent: false }));
}

function answerOf(outgoing: ReturnType<typeof plainRequest>): Promise<Answer> {
  return new Promise((resolve, reject) => {
    outgoing.on('error', reject);
    outgoing.on('response', (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (body += chunk));
      response.on('end', () => resolve({ status: response.statusCode!, headers: response.headers, body }));
    });
    outgoing.end();
  });
}

function overHttp2(path: string, headers: Record<string, string> = {}, method = 'GET'): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const head = { ':path': path, ':method': method, ':authority': HOST, ...headers };
    const stream = session.request(head, { endStream: true }); // as browsers send OPTIONS, which node:http2 gives a body
    let answer: IncomingHttpHeaders & { ':status'?: number | undefined } = {};
    let body = '';
    stream.on('response', (received) => (answer = received));
    stream.setEncoding('utf8').on('data', (chunk: string) => (body += chunk));
    stream.on('error', reject);
    stream.on('close', () => resolve({ status: answer[':status'] ?? 0, headers: answer, body }));
  });
}
