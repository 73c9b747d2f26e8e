import { ProxyError } from '#src/base/errors.ts';
import { ServiceFieldRules } from '#src/forward/field-rules.ts';
import { shadowAuthority } from '#src/forward/mirror.ts';
import { parseCustomHeader } from '#src/http/header-template.ts';
import { MemoryService, type RequestShape, type StartOptions, start } from './_memory.ts';
import { answeringBackend, client, closeAll, closedPort, rawBackend, startProxy } from './_proxy.ts';

afterEach(closeAll);

const policy = (rest: { percent?: number; dangerKeepCredentials?: boolean } = {}) => ({
  mirror: { service: 'mirror', percent: 100, dangerKeepCredentials: false, ...rest },
});

function began(shape: RequestShape = {}, options: Began = {}) {
  const { service = new MemoryService(), mirror: kind = {}, rest, percent = 100, ...others } = options;
  const mirror = new MemoryService({ name: 'mirror', ...kind });
  const started = start(shape, service, { action: policy({ percent, ...rest }), others: [mirror], ...others });
  return { ...started, mirror };
}

interface Began extends Pick<StartOptions, 'fields' | 'random'> {
  readonly service?: MemoryService;
  readonly mirror?: { readonly protocol?: 'HTTP' | 'HTTP2'; readonly timeoutMs?: number; readonly endpoints?: number };
  readonly rest?: { readonly dangerKeepCredentials?: boolean };
  readonly percent?: number;
}

test.each([
  ['a.example', 'a.example-shadow'],
  ['a.example:8443', 'a.example-shadow:8443'],
  ['192.0.2.1', '192.0.2.1-shadow'],
  ['[2001:db8::1]:443', '[2001:db8::1]:443'],
  ['[2001:db8::1]', '[2001:db8::1]'],
])('%s is copied to %s', (authority, expected) => {
  expect(shadowAuthority(authority)).toBe(expected);
});

test('the copy has method, target, body and trailers, and its response goes nowhere', () => {
  const { exchange, service, mirror, records } = began(
    { method: 'POST', target: '/a?b', contentLength: -1, protocol: 'HTTP/2', headers: ['x-a', '1'] },
    { mirror: { protocol: 'HTTP2' } },
  );
  mirror.call.connect().handler.onBodyWanted();
  service.call.connect().handler.onBodyWanted();
  exchange.send('ab');
  exchange.send('cd');
  exchange.handler.onBodyEnd(['x-checksum', '1']);
  expect(mirror.call.request).toMatchObject({ method: 'POST', target: '/a?b', authority: 'example.com-shadow' });
  expect(mirror.call.request.headers.slice(0, 2)).toEqual(['x-a', '1']);
  expect(mirror.call).toMatchObject({ body: 'abcd', events: ['end body x-checksum 1'] });
  expect(service.call.body).toBe('abcd');
  mirror.call.respond(500, ['x-from', 'mirror']).data('nobody sees this').handler.onEnd([]);
  expect(records.mirrors).toEqual(['mirror answered']);
  expect(exchange.responded).toBe(false);
  service.call.respond(200).handler.onEnd([]);
  exchange.handler.onFinish();
  expect(exchange.body).toBe('');
  expect(records.only).toMatchObject({ status: 200, attempts: 1, backendService: 'api' });
});

test('a share of requests is copied', () => {
  expect(began({}, { percent: 30, random: () => 0.3 }).mirror.calls).toHaveLength(0);
  expect(began({}, { percent: 30, random: () => 0.29 }).mirror.calls).toHaveLength(1);
});

test('a WebSocket is not copied', () => {
  const headers = ['sec-websocket-key', 'dGhlIHNhbXBsZSBub25jZQ=='];
  expect(began({ isWebSocket: true, headers }).mirror.calls).toHaveLength(0);
});

describe('credentials (security rule 37)', () => {
  const headers = ['authorization', 'Bearer secret', 'cookie', 'sid=secret', 'cookie', 'b=secret', 'x-a', '1'];
  const custom = (...texts: string[]) =>
    texts.map((text) => {
      const parsed = parseCustomHeader(text);
      if (typeof parsed === 'string') throw new Error(parsed);
      return parsed;
    });
  const fields = () =>
    new ServiceFieldRules([
      { name: 'api', customRequestHeaders: custom('x-identity:{client_cert_spiffe_id}'), customResponseHeaders: [] },
      {
        name: 'mirror',
        customRequestHeaders: custom('x-hash:{client_cert_sha256_fingerprint}', 'x-copy:yes'),
        customResponseHeaders: [],
      },
    ]);
  const names = (list: readonly string[]) => list.filter((_, index) => index % 2 === 0);

  test('Authorization, Cookie and what is known of a client certificate stay here', () => {
    const { mirror, service } = began({ headers: [...headers, 'x-identity', 'forged'] }, { fields: fields() });
    expect(mirror.call.request.headers.join()).not.toMatch(/secret|forged/);
    expect(names(mirror.call.request.headers)).toEqual(expect.arrayContaining(['x-a', 'x-copy']));
    for (const name of ['authorization', 'cookie', 'x-hash', 'x-identity'])
      expect(names(mirror.call.request.headers)).not.toContain(name);
    expect(service.call.request.headers.join()).toMatch(/Bearer secret/);
  });

  test('dangerKeepCredentials passes them on', () => {
    const { mirror } = began({ headers }, { fields: fields(), rest: { dangerKeepCredentials: true } });
    expect(names(mirror.call.request.headers)).toEqual(expect.arrayContaining(['authorization', 'cookie', 'x-hash']));
  });
});

describe('it never affects the exchange', () => {
  test.each([
    ['refuses', (mirror: MemoryService) => mirror.call.fail('backend_connect_refused')],
    ['answers 503', (mirror: MemoryService) => mirror.call.connect().respond(503).handler.onEnd([])],
    ['breaks off', (mirror: MemoryService) => mirror.call.connect().fail('backend_response_corrupted')],
  ])('a mirror that %s is counted, once and never tried again', (_what, happen) => {
    const { exchange, service, mirror, records } = began({}, { mirror: { endpoints: 2 } });
    happen(mirror);
    expect(mirror.calls).toHaveLength(1);
    expect(records.mirrors).toHaveLength(1);
    service.call.connect().respond(200).handler.onEnd([]);
    exchange.handler.onFinish();
    expect(records.only).toMatchObject({ status: 200, error: null });
  });

  test('a mirror without endpoints, or with a defect, is counted', () => {
    expect(began({}, { mirror: { endpoints: 0 } }).records.mirrors).toEqual(['mirror failed']);
    const broken = new MemoryService({ name: 'mirror' });
    broken.pick = () => {
      throw new TypeError('defect');
    };
    const { exchange, service, records } = start({}, new MemoryService(), { action: policy(), others: [broken] });
    expect(records.mirrors).toEqual(['mirror failed']);
    service.call.connect().respond(200).handler.onEnd([]);
    expect(exchange.status).toBe(200);
  });

  test('one that takes nothing is given up over the bound, and the client is not held up', () => {
    const { exchange, service, mirror, records } = began({ method: 'POST', contentLength: -1 });
    mirror.call.connect(); // never asks for the body
    service.call.connect().handler.onBodyWanted();
    for (let i = 0; i < 5; i++) exchange.send('x'.repeat(60_000));
    expect(records.mirrors).toEqual(['mirror dropped']);
    expect(mirror.call.events).toEqual(['abort backend_timeout']);
    exchange.handler.onBodyEnd([]);
    expect(service.call.body).toHaveLength(300_000);
    expect(exchange.events).not.toContain('pause');
  });

  test('one that is slow gets what it had not taken, later and in order', () => {
    const { exchange, service, mirror } = began({ method: 'POST', contentLength: -1 });
    service.call.connect().handler.onBodyWanted();
    exchange.send('ab');
    mirror.call.connect().handler.onBodyWanted();
    mirror.call.takesMore = false;
    exchange.send('cd');
    exchange.send('ef');
    exchange.handler.onBodyEnd([]);
    expect(mirror.call).toMatchObject({ body: 'abcd', events: [] });
    mirror.call.handler.onBodyWanted();
    expect(mirror.call).toMatchObject({ body: 'abcdef', events: ['end body'] });
  });

  test('half a request is not left with the mirror when the client leaves', () => {
    const { exchange, service, mirror, records } = began({ method: 'POST', contentLength: 4 });
    mirror.call.connect().handler.onBodyWanted();
    service.call.connect().handler.onBodyWanted();
    exchange.send('ab');
    exchange.handler.onAbort(new ProxyError('client_disconnected_before_any_response'));
    expect(mirror.call.events).toEqual(['abort backend_timeout']);
    expect(records.mirrors).toEqual(['mirror dropped']);
  });

  test('a whole request goes on without its exchange, up to the timeout of the mirror', async () => {
    const { exchange, service, mirror, records } = began({}, { mirror: { timeoutMs: 20 } });
    mirror.call.connect();
    service.call.connect().respond(200).handler.onEnd([]);
    exchange.handler.onFinish();
    expect(records.mirrors).toEqual([]);
    expect(await records.mirror(1)).toBe('mirror failed');
    expect(mirror.call.events).toEqual(['abort backend_timeout']);
  });

  test('a retry of the exchange is no second copy', () => {
    const { service, mirror } = began({}, { service: new MemoryService({ endpoints: 2 }) });
    service.call.fail('backend_connect_refused');
    expect(service.calls).toHaveLength(2);
    expect(mirror.calls).toHaveLength(1);
  });
});

describe('over sockets', () => {
  const POST = 'POST /x HTTP/1.1\r\nhost: a.example\r\ncontent-length: 5\r\nauthorization: Basic c2VjcmV0\r\n\r\nhello';

  test('both get the body, the client one response', async () => {
    const main = await answeringBackend('HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nmain');
    const copy = await rawBackend(async (connection) => {
      await connection.until((self) => self.text.endsWith('hello'));
      connection.socket.write('HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ncopy');
    });
    const { port, records } = await startProxy([main.port], { action: policy(), mirrorPorts: [copy.port] });
    const answer = await client(port).send(POST).response('main');
    expect(answer.endsWith('\r\n\r\nmain')).toBe(true);
    expect(await records.mirror(1)).toBe('mirror answered');
    const text = copy.connections[0]!.text;
    expect(text).toMatch(/^POST \/x HTTP\/1.1\r\nhost: a.example-shadow\r\n/);
    expect(text).not.toMatch(/authorization/i);
    await records.nth(1);
  });

  test('a mirror that nobody listens on costs the client nothing', async () => {
    const main = await answeringBackend('HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nmain');
    const { port, records } = await startProxy([main.port], { action: policy(), mirrorPorts: [await closedPort()] });
    expect(await client(port).send(POST).response('main')).toMatch(/^HTTP\/1.1 200/);
    expect(await records.mirror(1)).toBe('mirror failed');
    expect(await records.nth(1)).toMatchObject({ status: 200, error: null });
  });

  test('a response that ends with its connection is no success (security rule 30)', async () => {
    const main = await answeringBackend('HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nmain');
    const copy = await rawBackend(async (connection) => {
      await connection.until((self) => self.text.endsWith('hello'));
      connection.socket.end('HTTP/1.1 200 OK\r\n\r\nperhaps a part');
    });
    const { port, records } = await startProxy([main.port], { action: policy(), mirrorPorts: [copy.port] });
    await client(port).send(POST).response('main');
    expect(await records.mirror(1)).toBe('mirror truncatable');
    await records.nth(1);
  });
});
