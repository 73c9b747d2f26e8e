import type { LinkedUrlMap } from '#src/config/linked-url-map.ts';
import { explainRoute, type RouteExplanation, routeText } from '#src/explain/route.ts';
import { everyHost, matchRule, prefix, redirect, routeRule, shared, to } from '../harness/url-map.ts';

function ask(map: LinkedUrlMap, url: string, headers: readonly string[] = [], method = 'GET'): RouteExplanation {
  const scheme = url.startsWith('https:') ? 'https' : 'http';
  const explanation = explainRoute(map, { method, url, headers }, scheme);
  if (typeof explanation === 'string') throw new Error(explanation);
  return explanation;
}

const cors = {
  allowOrigins: ['https://shop.example'],
  allowOriginRegexes: [],
  allowMethods: ['PUT'],
  allowHeaders: [],
  exposeHeaders: [],
  maxAgeSec: null,
  allowCredentials: false,
};
const rewrite = { host: 'inner.example', pathPrefix: '/v2/', pathTemplate: null };
const added = {
  requestHeadersToAdd: [
    { header: { name: 'x-sni', parts: [{ variable: 'tls_sni_hostname' as const }] }, replace: true },
  ],
  requestHeadersToRemove: ['x-internal'],
  responseHeadersToAdd: [{ header: { name: 'x-served-by', parts: [{ text: 'us' }] }, replace: false }],
  responseHeadersToRemove: ['server'],
};
const map = everyHost(
  {
    fallback: shared([
      ['blue', 90],
      ['green', 10],
      ['idle', 0],
    ]),
    routeRules: [
      routeRule(
        1,
        [
          matchRule(prefix('/api/'), {
            headers: [{ name: 'x-beta', test: { kind: 'exact', value: '1' }, invert: false }],
          }),
          matchRule({ kind: 'full', value: '/API', ignoreCase: true }),
        ],
        to('beta'),
      ),
      routeRule(
        2,
        [matchRule(prefix('/api/'), { queryParameters: [{ name: 'q', test: { kind: 'present', value: true } }] })],
        to('api', { urlRewrite: rewrite, timeoutMs: 1500 }),
      ),
      routeRule(3, [matchRule(prefix('/old'))], redirect({ path: '/new', status: 308 })),
      routeRule(4, [matchRule(prefix('/cors'))], to('api', { cors })),
      routeRule(
        5,
        [matchRule(prefix('/files'))],
        to('api', { urlRewrite: { ...rewrite, host: null, pathPrefix: '/f/' } }),
      ),
    ],
  },
  { headerAction: added },
);

test('says of each earlier rule why it does not match, and what becomes of the request', () => {
  expect(routeText(ask(map, 'https://a.example/api/x?q'))).toBe(`urlMaps/web: a.example/api/x?q

  1. host * wins: path matcher all
  2. route rule 1 does not match: header x-beta exact '1'; nor fullPathMatch /API without case
  3. route rule 2 wins: prefixMatch /api/, query parameter q present

goes to backendServices/api
  as inner.example/v2/x?q
  within 1500 ms
  request - x-internal
  request = x-sni: {tls_sni_hostname}
  response - server
  response + x-served-by: us
`);
});

test('a header can change who wins', () => {
  expect(ask(map, 'https://a.example/api/x?q', ['X-Beta: 1'])).toMatchObject({
    service: 'beta',
    priority: 1,
    pathRule: '/api/',
  });
});

test('shows the shares of weighted services, without those that weigh nothing', () => {
  const explanation = ask(map, 'https://a.example/');
  expect(explanation.shares).toEqual([
    { service: 'blue', percent: 90 },
    { service: 'green', percent: 10 },
  ]);
  expect(explanation.steps.at(-1)).toBe('no route rule of all matches /: its default gets it');
  expect(routeText(explanation)).toContain(
    'goes to one of backendServices/blue (90 %), backendServices/green (10 %)\n',
  );
});

test.each([
  ['https://a.example/old', 'https://a.example/new'],
  ['http://a.example/old', 'http://a.example/new'],
])('%s is answered with a redirect to %s', (url, location) => {
  const explanation = ask(map, url);
  expect(explanation).toMatchObject({ ok: true, service: null, priority: 3, answer: { status: 308, location } });
  expect(routeText(explanation)).toContain(`answered 308 to ${location}\n`);
});

test('a preflight of an allowed origin is answered', () => {
  const headers = ['Origin: https://shop.example', 'Access-Control-Request-Method: PUT'];
  const explanation = ask(map, 'https://a.example/cors', headers, 'OPTIONS');
  expect(routeText(explanation)).toContain('answered 200: a preflight of an origin that corsPolicy allows\n');
});

test('a path that has dot segments once it is rewritten is not ok', () => {
  const out = ask(map, 'https://a.example/files../x');
  expect(out.action?.upstream).toBeNull();
  expect(out.ok).toBe(false);
  expect(routeText(out)).toContain('answered 400 (invalid_request_headers)');
});
