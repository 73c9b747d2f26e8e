import fc from 'fast-check';
import type { LinkedUrlMap } from '#src/config/linked-url-map.ts';
import { compileUrlMap } from '#src/routing/compile-url-map.ts';
import { named, pathMatcher, request, to, urlMap } from '../harness/url-map.ts';

const services = named('default', 'api', 'static', 'video', 'exact', 'other');

const map = urlMap({
  hostRules: [
    { hosts: ['api.example.com', 'Mixed.Example.com', '[2001:db8::1]'], pathMatcher: 'api' },
    { hosts: ['ported.example.com:8443', '*.ported.example.com:8443', '*:9000'], pathMatcher: 'other' },
    { hosts: ['ported.example.com'], pathMatcher: 'static' },
    { hosts: ['*.example.com'], pathMatcher: 'static' },
    { hosts: ['*.deep.example.com'], pathMatcher: 'video' },
    { hosts: ['*'], pathMatcher: 'other' },
  ],
  pathMatchers: [
    pathMatcher({
      name: 'api',
      fallback: to('api'),
      pathRules: [
        { paths: ['/video/*', '/video/hd/*'], destination: to('video') },
        { paths: ['/video/exact', '/exact'], destination: to('exact') },
        { paths: ['/static/*'], destination: to('static') },
      ],
    }),
    pathMatcher({ name: 'static', fallback: to('static') }),
    pathMatcher({ name: 'video', fallback: to('video'), pathRules: [{ paths: ['/*'], destination: to('exact') }] }),
    pathMatcher({ name: 'other', fallback: to('other') }),
  ],
});
const matcher = compileUrlMap(map, services);
const withoutCatchAll = compileUrlMap({ ...map, hostRules: map.hostRules.slice(0, 1) }, services);

describe('hosts', () => {
  test.each([
    ['api.example.com', 'api', 'exact'],
    ['API.EXAMPLE.COM', 'api', 'without regard to case'],
    ['mixed.example.com', 'api', 'without regard to case in the rule'],
    ['api.example.com:8443', 'api', 'the port is stripped where the rule has none'],
    ['[2001:db8::1]', 'api', 'an IPv6 literal'],
    ['[2001:DB8::1]:8443', 'api', 'an IPv6 literal with a port'],
    ['ported.example.com:8443', 'other', 'exact with its port before exact'],
    ['ported.example.com:8444', 'static', 'another port than the one of the rule'],
    ['ported.example.com', 'static', 'no port'],
    ['a.ported.example.com:8443', 'other', 'a wildcard with its port'],
    ['a.ported.example.com', 'static', 'a wildcard with a port needs it'],
    ['www.example.com', 'static', 'a wildcard'],
    ['a.b.c.example.com', 'static', 'a wildcard over several labels'],
    ['a.deep.example.com', 'exact', 'the longest wildcard'],
    ['example.com', 'other', 'a wildcard does not stand for nothing'],
    ['.example.com', 'other', 'a wildcard stands for one character at least'],
    ['wwwexample.com', 'other', 'the dot belongs to the suffix'],
    ['example.org:9000', 'other', 'any host on a port'],
  ])('%s goes to %s: %s', (authority, expected) => {
    expect(matcher.match(request(authority, '/')).service).toBe(expected);
  });

  test('an unmatched host goes to the default of the map, whatever its path', () => {
    const route = withoutCatchAll.match(request('unknown.example.net', '/video/exact'));
    expect(route).toEqual({ ...WON, service: 'default' });
  });

  test('a host of very many labels costs no more than the wildcards that exist', () => {
    expect(matcher.match(request(`${'a.'.repeat(30_000)}example.com`, '/')).service).toBe('static');
  });
});

describe('paths', () => {
  test.each([
    ['/video/exact', 'exact', 'an exact path before a prefix'],
    ['/video/exact?x=/static/', 'exact', 'the query does not count'],
    ['/video/exact/', 'video', 'exact means exact'],
    ['/video/other', 'video', 'a prefix'],
    ['/video/', 'video', 'a prefix and nothing after it'],
    ['/video', 'api', '/video/* does not match /video'],
    ['/video?a', 'api', '/video/* does not match /video with a query'],
    ['/videos/x', 'api', 'a prefix ends at its slash'],
    ['/Video/x', 'api', 'paths have case'],
    ['/%76ideo/x', 'api', 'nothing is decoded'],
    ['/video%2fexact', 'api', '%2f never matches a slash'],
    ['//video/exact', 'api', 'double slashes are themselves'],
    ['/', 'api', 'the default of the path matcher'],
    ['*', 'api', 'OPTIONS *'],
  ])('%s goes to %s: %s', (target, expected) => {
    expect(matcher.match(request('api.example.com', target)).service).toBe(expected);
  });

  test('the longest prefix wins, in whatever order it was written', () => {
    expect(matcher.match(request('api.example.com', '/video/hd/1')).pathRule).toBe('/video/hd/*');
  });

  test('a route names the patterns that won', () => {
    expect(matcher.match(request('api.example.com', '/static/a.css'))).toEqual({
      ...WON,
      service: 'static',
      hostRule: 'api.example.com',
      pathMatcher: 'api',
      pathRule: '/static/*',
    });
  });

  test('matches as a plain scan over the rules does', () => {
    const segment = fc.constantFrom('video', 'hd', 'exact', 'static', '', 'x', '%2f', 'video*');
    fc.assert(
      fc.property(fc.array(segment, { maxLength: 5 }), fc.boolean(), (segments, hasQuery) => {
        const path = `/${segments.join('/')}`;
        const rules = map.pathMatchers[0]!.pathRules.flatMap((rule) =>
          rule.paths.map((pattern) => ({ pattern, service: serviceOf(rule.destination) })),
        );
        const exact = rules.find((rule) => rule.pattern === path);
        const prefix = rules
          .filter((rule) => rule.pattern.endsWith('/*') && path.startsWith(rule.pattern.slice(0, -1)))
          .sort((a, b) => b.pattern.length - a.pattern.length)[0];
        const expected = (exact ?? prefix)?.service ?? 'api';
        expect(matcher.match(request('api.example.com', hasQuery ? `${path}?/video/hd/` : path)).service).toBe(
          expected,
        );
      }),
    );
  });
});

describe('compileUrlMap()', () => {
  const broken: [string, Partial<LinkedUrlMap>, RegExp][] = [
    ['an unknown default service', { fallback: to('gone') }, /no backend service gone/],
    ['an unknown path matcher', { hostRules: [{ hosts: ['a'], pathMatcher: 'gone' }] }, /no path matcher gone/],
    [
      'a host that appears twice but for its case',
      { hostRules: [{ hosts: ['a.example', 'A.example'], pathMatcher: 'api' }] },
      /a\.example appears twice/,
    ],
  ];
  test.each(broken)('throws internal_error for %s', (_what, change, message) => {
    expect(() => compileUrlMap({ ...map, ...change }, services)).toThrow(
      expect.objectContaining({ code: 'internal_error', detail: expect.stringMatching(message) }),
    );
  });
});

function serviceOf(destination: LinkedUrlMap['fallback']): string | undefined {
  return destination.kind === 'forward' ? destination.services[0]?.service : undefined;
}

const WON = { redirect: null, action: null, hostRule: null, pathMatcher: null, pathRule: null, priority: null };
