// Spans over OTLP/HTTP as a collector gets them, and the trace context as a backend does.
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import { request } from 'node:https';
import type { AddressInfo } from 'node:net';
import { type Scenario, startScenario } from '../harness/scenario.ts';

interface Span {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly kind: number;
  readonly status: { readonly code: number; readonly message?: string };
  readonly attributes: readonly { readonly key: string; readonly value: Readonly<Record<string, unknown>> }[];
}

const spans: Span[] = [];
let service: unknown;
const collector = createServer((incoming, response) => {
  let body = '';
  incoming.setEncoding('utf8').on('data', (text: string) => (body += text));
  incoming.on('end', () => {
    const { resourceSpans } = JSON.parse(body) as {
      resourceSpans: { resource: { attributes: unknown }; scopeSpans: { spans: Span[] }[] }[];
    };
    for (const { resource, scopeSpans } of resourceSpans) {
      service = resource.attributes;
      for (const scope of scopeSpans) spans.push(...scope.spans);
    }
    response.setHeader('content-type', 'application/json').end('{}');
  });
});
const seen = new Map<string, IncomingHttpHeaders>();
const backend = createServer((incoming, response) => {
  seen.set(incoming.url!, incoming.headers);
  response.end('ok');
});
let scenario: Scenario;

beforeAll(async () => {
  await Promise.all([collector, backend].map((server) => once(server.listen(0, '127.0.0.1'), 'listening')));
  scenario = await startScenario({
    services: [{ name: 'app', protocol: 'HTTP', ports: [(backend.address() as AddressInfo).port] }],
    sallyport: {
      accessLog: { redactQueryValues: true },
      tracing: {
        otlpEndpoint: `http://127.0.0.1:${(collector.address() as AddressInfo).port}/v1/traces`,
        serviceName: 'edge',
        sampleRate: 1,
      },
    },
  });
});

afterAll(async () => {
  await scenario.stop();
  for (const server of [collector, backend]) {
    server.closeAllConnections();
    server.close();
  }
});

test('a request without context begins a trace, which its backend continues', async () => {
  await get('/first?token=abc');
  const span = await spanOf('/first');
  expect(span).toMatchObject({ name: 'GET', kind: 2, status: { code: 0 } });
  expect(span.parentSpanId ?? '').toBe('');
  expect(seen.get('/first?token=abc')?.['traceparent']).toBe(`00-${span.traceId}-${span.spanId}-01`);
  expect(seen.get('/first?token=abc')?.['x-cloud-trace-context']).toBe(
    `${span.traceId}/${BigInt(`0x${span.spanId}`)};o=1`,
  );
  expect(Object.fromEntries(span.attributes.map(({ key, value }) => [key, Object.values(value)[0]]))).toMatchObject({
    'http.request.method': 'GET',
    'http.response.status_code': 200,
    'url.scheme': 'https',
    'url.query': 'token=*',
    'client.address': '127.0.0.1',
    'network.protocol.version': '1.1',
    'sallyport.target_proxy': 'web',
    'sallyport.backend_service': 'app',
    'sallyport.status_details': 'response_sent_by_backend',
    'tls.protocol.name': 'tls',
    'tls.protocol.version': '1.3',
  });
  expect(service).toContainEqual({ key: 'service.name', value: { stringValue: 'edge' } });
  expect((await scenario.requestLine('/first?token=*'))['trace']).toBe(span.traceId);
});

test("the server's address has no port, which is an attribute of its own (OpenTelemetry, semantic conventions for HTTP)", async () => {
  await get('/named', { host: `localhost:${scenario.port}` });
  await get('/unnamed', { host: 'localhost' });
  expect((await spanOf('/named')).attributes).toEqual(
    expect.arrayContaining([
      { key: 'server.address', value: { stringValue: 'localhost' } },
      { key: 'server.port', value: { intValue: scenario.port } },
    ]),
  );
  const { attributes } = await spanOf('/unnamed');
  expect(attributes).toContainEqual({ key: 'server.address', value: { stringValue: 'localhost' } });
  expect(attributes.map(({ key }) => key)).not.toContain('server.port');
});

test.each([
  ['W3C', { traceparent: `00-${'a1'.repeat(16)}-${'b2'.repeat(8)}-00`, tracestate: 'x=1' }],
  ['B3', { b3: `${'a1'.repeat(16)}-${'b2'.repeat(8)}-0` }],
  ['B3 in several fields', { 'x-b3-traceid': 'a1'.repeat(16), 'x-b3-spanid': 'b2'.repeat(8) }],
  ["Google's", { 'x-cloud-trace-context': `${'a1'.repeat(16)}/${BigInt(`0x${'b2'.repeat(8)}`)};o=0` }],
])('a trace is continued: %s', async (name, headers) => {
  const path = `/${encodeURIComponent(name)}`;
  await get(path, headers);
  const span = await spanOf(path);
  expect(span).toMatchObject({ traceId: 'a1'.repeat(16), parentSpanId: 'b2'.repeat(8) });
  expect(seen.get(path)?.['traceparent']).toBe(`00-${'a1'.repeat(16)}-${span.spanId}-01`);
  if ('tracestate' in headers) expect(seen.get(path)?.['tracestate']).toBe('x=1');
  if ('b3' in headers) expect(seen.get(path)?.['b3']).toBe(`${'a1'.repeat(16)}-${span.spanId}-1`);
  if ('x-b3-spanid' in headers) expect(seen.get(path)?.['x-b3-spanid']).toBe(span.spanId);
});

test('a refused request has a span as well', async () => {
  expect(await get('/a%00b')).toBe(400);
  const span = await spanOf('/a%00b');
  expect(span.attributes).toContainEqual({ key: 'http.response.status_code', value: { intValue: 400 } });
});

test('a collector that is gone costs no request, and is said once', async () => {
  const { port } = collector.address() as AddressInfo;
  collector.closeAllConnections();
  await new Promise((resolve) => collector.close(resolve));
  for (let i = 0; i < 3; i++) expect(await get(`/dark-${i}`)).toBe(200);
  const warning = await scenario.proxy.waitForLog((line) => line.msg === 'spans are not exported', 30_000);
  expect(warning['error']).toMatch(/ECONNREFUSED|exhausted|retr/i);
  await once(collector.listen(port, '127.0.0.1'), 'listening');
  expect(scenario.proxy.log.filter((line) => line.msg === 'spans are not exported')).toHaveLength(1);
}, 60_000);

test('what ends with the process is exported before it ends', async () => {
  await get('/last');
  await scenario.proxy.stop('SIGTERM');
  expect(spans.some((span) => pathOf(span) === '/last')).toBe(true);
});

function get(path: string, headers: Record<string, string> = {}): Promise<number> {
  return new Promise((resolve, reject) => {
    request(
      {
        port: scenario.port,
        host: '127.0.0.1',
        servername: 'localhost',
        rejectUnauthorized: false,
        agent: false,
        path,
        headers,
      },
      (response) => {
        response.resume();
        response.on('end', () => resolve(response.statusCode!));
      },
    )
      .on('error', reject)
      .end();
  });
}

async function spanOf(path: string): Promise<Span> {
  const deadline = performance.now() + 15_000;
  for (;;) {
    const span = spans.find((candidate) => pathOf(candidate) === path);
    if (span !== undefined) return span;
    if (performance.now() > deadline) throw new Error(`Cannot find the span of ${path} within 15 s`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

function pathOf(span: Span): unknown {
  return span.attributes.find(({ key }) => key === 'url.path')?.value['stringValue'];
}
