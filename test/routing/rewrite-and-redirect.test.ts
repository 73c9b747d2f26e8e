import fc from 'fast-check';
import type { LinkedPathMatch, LinkedRedirect, LinkedUrlRewrite } from '#src/config/linked-url-map.ts';
import { inspectPath } from '#src/http/normalize-path.ts';
import { compileUrlMap } from '#src/routing/compile-url-map.ts';
import { everyHost, matchRule, named, prefix, redirect, request, routeRule, to, urlMap } from '../harness/url-map.ts';

const services = named('default', 'api');

/** What is forwarded for a target that one path rule, or one route rule, rewrites. */
function rewritten(match: string | LinkedPathMatch, rewrite: Partial<LinkedUrlRewrite>, target: string): string | null {
  const urlRewrite = { host: null, pathPrefix: null, pathTemplate: null, ...rewrite };
  const destination = to('api', { urlRewrite });
  const map = everyHost(
    typeof match === 'string'
      ? { pathRules: [{ paths: [match], destination }] }
      : { routeRules: [routeRule(1, [matchRule(match)], destination)] },
  );
  const route = compileUrlMap(map, services).match(request('a.example', target));
  if (route.service !== 'api') throw new Error(`${target} did not match`);
  const target2 = route.action!.rewrite!.target(target);
  return target2 === null ? null : `${route.action!.rewrite!.authority ?? 'a.example'}${target2}`;
}

describe('rewrites', () => {
  const cases: [string | LinkedPathMatch, Partial<LinkedUrlRewrite>, string, string][] = [
    ['/video/*', { pathPrefix: '/' }, '/video/a?b=/video/', 'a.example/a?b=/video/'],
    ['/video/*', { pathPrefix: '/films/' }, '/video/video/a', 'a.example/films/video/a'],
    ['/video', { pathPrefix: '/films' }, '/video?q', 'a.example/films?q'],
    [prefix('/video'), { pathPrefix: '/films' }, '/video/a', 'a.example/films/a'],
    [prefix('/VIDEO', true), { pathPrefix: '/films' }, '/video/a', 'a.example/films/a'],
    [{ kind: 'full', value: '/a', ignoreCase: false }, { pathPrefix: '/b' }, '/a?x', 'a.example/b?x'],
    ['/*', { host: 'b.example:8443' }, '/a', 'b.example:8443/a'],
    [
      { kind: 'template', value: '/{country}/{page=**}' },
      { pathTemplate: '/c/{page}/{country}' },
      '/de/a/b?q',
      'a.example/c/a/b/de?q',
    ],
    [
      { kind: 'template', value: '/{file}.mpd' },
      { pathTemplate: '/dash/{file}' },
      '/movie.mpd',
      'a.example/dash/movie',
    ],
    [{ kind: 'template', value: '/a/{rest=**}' }, { pathTemplate: '/b/{rest}' }, '/a/', 'a.example/b/'],
    [{ kind: 'template', value: '/{a}' }, { pathTemplate: '/b' }, '/x', 'a.example/b'],
  ];
  test.each(cases)('%j with %j: %s becomes %s', (match, rewrite, target, expected) => {
    expect(rewritten(match, rewrite, target)).toBe(expected);
  });

  test('a default is matched by its first slash', () => {
    const urlRewrite = { host: null, pathPrefix: '/v1/', pathTemplate: null };
    const route = compileUrlMap(everyHost({ fallback: to('api', { urlRewrite }) }), services).match(request('x', '/a'));
    expect(route.action?.rewrite?.target('/a')).toBe('/v1/a');
  });

  test.each([
    [prefix('/a'), { pathPrefix: '/files/' }, '/a../secret'],
    [prefix('/a'), { pathPrefix: '/files/' }, '/a%2e%2e/secret'],
    [prefix('/a'), { pathPrefix: '/files/.' }, '/a./secret'],
  ])('%j cannot be walked out of: %j of %s is nothing (security rule 33)', (match, rewrite, target) => {
    expect(inspectPath(target)).toBe('clean');
    expect(rewritten(match, rewrite, target)).toBeNull();
  });

  test('what is forwarded is a clean path, whatever was matched', () => {
    const byte = fc.constantFrom('.', '/', 'a', '%2e', '%2f', '..', '\\', '%00', '?', '');
    const path = fc.array(byte, { maxLength: 8 }).map((parts) => `/a${parts.join('')}`);
    fc.assert(
      fc.property(path, fc.constantFrom('/', '/b', '/b/', '/b.'), (target, pathPrefix) => {
        if (inspectPath(target) !== 'clean') return; // never routed
        const result = rewritten(prefix('/a'), { pathPrefix }, target);
        if (result === null) return;
        const forwarded = result.slice('a.example'.length);
        expect(inspectPath(forwarded)).toBe('clean');
        expect(forwarded).toBe(pathPrefix + target.slice(2));
      }),
    );
  });
});

describe('redirects', () => {
  function located(
    shape: Partial<LinkedRedirect>,
    target: string,
    authority = 'a.example',
    scheme: 'http' | 'https' = 'https',
  ) {
    const map = everyHost({ pathRules: [{ paths: ['/video/*', '/exact'], destination: redirect(shape) }] });
    const route = compileUrlMap(map, services).match(request(authority, target));
    if (route.redirect === null) throw new Error(`${target} did not match`);
    return `${route.redirect.status} ${route.redirect.location(scheme, authority, target)}`;
  }

  test.each([
    [{ host: 'b.example' }, '/video/a?q=1', '301 https://b.example/video/a?q=1'],
    [{ host: 'b.example:8443', status: 302 as const }, '/video/a', '302 https://b.example:8443/video/a'],
    [{ path: '/new', status: 303 as const }, '/video/a?q=1', '303 https://a.example/new?q=1'],
    [{ path: '/new', stripQuery: true, status: 307 as const }, '/video/a?q=1', '307 https://a.example/new'],
    [{ path: '/new?x=1', status: 308 as const }, '/video/a?q=1', '308 https://a.example/new?x=1'],
    [{ prefix: '/films/' }, '/video/a/b?q', '301 https://a.example/films/a/b?q'],
    [{ prefix: '/films/', stripQuery: true }, '/video/a?q', '301 https://a.example/films/a'],
    [{ prefix: '/films' }, '/exact?q', '301 https://a.example/films?q'],
    [{ prefix: '/' }, '/video//evil.example', '301 https://a.example//evil.example'],
    [{ host: 'b.example', stripQuery: true }, '/video/a?q', '301 https://b.example/video/a'],
  ])('%j: %s leads to %s', (shape, target, expected) => {
    expect(located(shape, target)).toBe(expected);
  });

  test.each([
    ['a.example', '301 https://a.example/exact'],
    ['a.example:80', '301 https://a.example/exact'],
    ['a.example:8080', '301 https://a.example:8080/exact'],
    ['[2001:db8::80]', '301 https://[2001:db8::80]/exact'],
    ['[2001:db8::1]:80', '301 https://[2001:db8::1]/exact'],
  ])('https instead of http: %s leads to %s', (authority, expected) => {
    expect(located({ https: true }, '/exact', authority, 'http')).toBe(expected);
  });

  test('a request without a host is led nowhere, as https:///x would name x as one', () => {
    const withoutHost = (shape: Partial<LinkedRedirect>) =>
      compileUrlMap(urlMap({ fallback: redirect(shape) }), services)
        .match(request('', '/a'))
        .redirect?.location('http', '', '/a');
    expect(withoutHost({ https: true })).toBeNull();
    expect(withoutHost({ host: 'b.example' })).toBe('http://b.example/a');
  });
});
