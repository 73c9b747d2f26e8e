import type { LinkedHeaderAction, LinkedUrlMap } from '#src/config/linked-url-map.ts';
import { ServiceFieldRules } from '#src/forward/field-rules.ts';
import { createForwarder } from '#src/forward/forwarder.ts';
import type { HeaderList } from '#src/http/exchange.ts';
import { compileUrlMap } from '#src/routing/compile-url-map.ts';
import { everyHost, matchRule, prefix, redirect, routeRule, to, urlMap } from '../harness/url-map.ts';
import { MemoryExchange, MemoryService, Records, type RequestShape } from './_memory.ts';

/** One exchange through a URL map whose every service is `service`. */
function through(map: LinkedUrlMap, shape: RequestShape = {}, fields?: ServiceFieldRules) {
  const service = new MemoryService({ name: 'api' });
  const records = new Records();
  const exchange = new MemoryExchange(shape);
  const matcher = compileUrlMap(
    map,
    new Map([
      ['default', service],
      ['api', service],
    ]),
  );
  createForwarder({ urlMap: matcher, recorder: records, ...(fields && { fields }) })(exchange);
  return { exchange, service, records };
}

function valuesOf(headers: HeaderList, name: string): readonly string[] {
  return headers.filter((_, index) => index % 2 === 1 && headers[index - 1] === name);
}

function actionOf(shape: Partial<LinkedHeaderAction>): LinkedHeaderAction {
  const nothing = { requestHeadersToRemove: [], responseHeadersToAdd: [], responseHeadersToRemove: [] };
  return { requestHeadersToAdd: [], ...nothing, ...shape };
}

describe('urlRewrite', () => {
  const rewrite = { host: 'b.example', pathPrefix: '/new/', pathTemplate: null };
  const map = everyHost({ pathRules: [{ paths: ['/old/*'], destination: to('api', { urlRewrite: rewrite }) }] });

  test('forwards exactly the rewritten URL, and what no rule rewrites as it came', () => {
    const rewritten = through(map, { authority: 'a.example', target: '/old/x%2f?q=/old/' }).service.calls[0]!.request;
    expect([rewritten.authority, rewritten.target]).toEqual(['b.example', '/new/x%2f?q=/old/']);
    const other = through(map, { authority: 'a.example', target: '/older?x' }).service.calls[0]!.request;
    expect([other.authority, other.target]).toEqual(['a.example', '/older?x']);
  });

  test('a path that would leave what it is rewritten to is 400, and nobody is asked (security rule 33)', () => {
    const urlRewrite = { host: null, pathPrefix: '/files/', pathTemplate: null };
    const routeRules = [routeRule(1, [matchRule(prefix('/old'))], to('api', { urlRewrite }))];
    const { exchange, service, records } = through(everyHost({ routeRules }), { target: '/old../secret' });
    exchange.handler.onFinish();
    expect(exchange.status).toBe(400);
    expect(service.calls).toHaveLength(0);
    expect(records.only.statusDetails).toBe('invalid_request_headers');
  });
});

describe('urlRedirect', () => {
  test('is answered without a backend, and logged with the rule that won', () => {
    const rules = [{ paths: ['/old/*'], destination: redirect({ prefix: '/new/', status: 308 }) }];
    const { exchange, service, records } = through(everyHost({ pathRules: rules }), {
      authority: 'a.example:8443',
      target: '/old/x?q',
    });
    expect(exchange.status).toBe(308);
    expect(valuesOf(exchange.responseHeaders, 'location')).toEqual(['https://a.example:8443/new/x?q']);
    expect(service.calls).toHaveLength(0);
    exchange.handler.onFinish();
    expect(records.only).toMatchObject({
      status: 308,
      statusDetails: 'direct_response',
      hostRule: '*',
      pathRule: '/old/*',
      backendService: null,
      error: null,
    });
  });

  test.each([
    ['a redirect of the URL map', urlMap({ fallback: redirect({ path: '/x' }) }), '/a'],
    ['the redirect that takes dot segments out', urlMap({}), '/a/../evil.example'],
  ])('%s for a request without a host is 400: https:///x would name x as one', (_what, map, target) => {
    const { exchange } = through(map, { authority: '', target, protocol: 'HTTP/1.0' });
    expect(exchange.status).toBe(400);
    expect(valuesOf(exchange.responseHeaders, 'location')).toEqual([]);
  });
});

describe('headerAction', () => {
  const level = (name: string) => ({ header: { name, parts: [{ text: name }] }, replace: true });

  test('requests and responses are edited, the service having the last word on requests', () => {
    const headerAction = actionOf({
      requestHeadersToAdd: [level('x-added'), level('x-both')],
      requestHeadersToRemove: ['x-internal'],
      responseHeadersToAdd: [level('x-answer')],
      responseHeadersToRemove: ['server'],
    });
    const own = { header: { name: 'x-both', parts: [{ text: 'service' }] } };
    const rules = new ServiceFieldRules([
      { name: 'api', customRequestHeaders: [own.header], customResponseHeaders: [] },
    ]);
    const sent = ['x-internal', '1', 'x-added', 'client', 'x-kept', '2'];
    const { exchange, service } = through(urlMap({ fallback: to('api'), headerAction }), { headers: sent }, rules);
    const call = service.calls[0]!;
    const { headers } = call.request;
    expect(valuesOf(headers, 'x-internal')).toEqual([]);
    expect(valuesOf(headers, 'x-added')).toEqual(['x-added']);
    expect(valuesOf(headers, 'x-both')).toEqual(['service']);
    expect(valuesOf(headers, 'x-kept')).toEqual(['2']);
    call.connect();
    call.handler.onResponse(200, ['server', 'x', 'x-answer', 'backend', 'content-length', '0']);
    expect(valuesOf(exchange.responseHeaders, 'server')).toEqual([]);
    expect(valuesOf(exchange.responseHeaders, 'x-answer')).toEqual(['x-answer']);
  });

  test("a field that any URL map fills from an identity variable is taken from every service's requests (security rule 18)", () => {
    const header = { name: 'x-subject', parts: [{ variable: 'client_cert_subject_dn' as const }] };
    const rules = new ServiceFieldRules([], [header]);
    const { service } = through(
      urlMap({ fallback: to('api') }),
      { headers: ['x-subject', 'admin', 'x_subject', 'admin'] },
      rules,
    );
    const { headers } = service.calls[0]!.request;
    expect([...valuesOf(headers, 'x-subject'), ...valuesOf(headers, 'x_subject')]).toEqual([]);
  });
});

describe('corsPolicy', () => {
  const cors = {
    allowOrigins: ['https://shop.example'],
    allowOriginRegexes: [],
    allowMethods: ['PUT'],
    allowHeaders: [],
    exposeHeaders: [],
    maxAgeSec: null,
    allowCredentials: false,
  };
  const map = urlMap({ fallback: to('api', { cors }) });
  const preflight = {
    method: 'OPTIONS',
    headers: ['origin', 'https://shop.example', 'access-control-request-method', 'PUT'],
  };

  test('answers a preflight of an allowed origin itself', () => {
    const { exchange, service, records } = through(map, preflight);
    expect(exchange.status).toBe(200);
    expect(valuesOf(exchange.responseHeaders, 'access-control-allow-origin')).toEqual(['https://shop.example']);
    expect(valuesOf(exchange.responseHeaders, 'access-control-allow-methods')).toEqual(['PUT']);
    expect(service.calls).toHaveLength(0);
    exchange.handler.onFinish();
    expect(records.only).toMatchObject({ status: 200, statusDetails: 'direct_response' });
  });

  test('leaves a preflight of any other origin to the backend', () => {
    const headers = ['origin', 'https://evil.example', 'access-control-request-method', 'PUT'];
    expect(through(map, { ...preflight, headers }).service.calls).toHaveLength(1);
  });

  test('says in an answer, and in a failure of ours, that the origin may read it', () => {
    const answered = through(map, { headers: ['origin', 'https://shop.example'] });
    answered.service.calls[0]!.connect();
    answered.service.calls[0]!.handler.onResponse(200, ['access-control-allow-origin', '*']);
    expect(valuesOf(answered.exchange.responseHeaders, 'access-control-allow-origin')).toEqual([
      'https://shop.example',
    ]);
    const failed = through(map, { headers: ['origin', 'https://shop.example'] });
    failed.service.calls[0]!.connect();
    failed.service.calls[0]!.handler.onEnd([]);
    expect(failed.exchange.status).toBe(502);
    expect(valuesOf(failed.exchange.responseHeaders, 'access-control-allow-origin')).toEqual(['https://shop.example']);
  });
});
