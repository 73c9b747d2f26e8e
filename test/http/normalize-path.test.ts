import fc from 'fast-check';
import { inspectPath, removeDotSegments } from '#src/http/normalize-path.ts';

describe('inspectPath()', () => {
  test.each([
    '/',
    '/a/b.html',
    '/a.b/..c/c../...',
    '/.hidden',
    '//a//b',
    '/a%2fb',
    '/a%2F..%2fb',
    '/%2e%2e%2fetc',
    '/.%2e.',
    '/%e4%f6?a=../..',
    '/a?b=\\&c=%zz&d=%00',
    '/..;/admin',
    "/a!$&'()*+,;=:@[]|",
  ])('%s is clean', (target) => {
    expect(inspectPath(target)).toBe('clean');
  });

  test.each([
    ['/.', '/'],
    ['/..', '/'],
    ['/../', '/'],
    ['/a/./b', '/a/b'],
    ['/a/../b', '/b'],
    ['/a/b/..', '/a/'],
    ['/a/b/.', '/a/b/'],
    ['/a/%2e%2E/b', '/b'],
    ['/a/.%2e/b', '/b'],
    ['/a/%2e./b', '/b'],
    ['/a/%2E/b', '/a/b'],
    ['/a//../b', '/a/b'],
    ['/../../etc/passwd', '/etc/passwd'],
    ['/a/../b?c=/../d', '/b?c=/../d'],
    ['/.?..', '/?..'],
    ['/.//evil.example', '//evil.example'],
  ])('%s has dot segments, without which it is %s', (target, normalised) => {
    expect(inspectPath(target)).toBe('dot-segments');
    expect(removeDotSegments(target)).toBe(normalised);
  });

  test.each([
    '',
    'a',
    '*',
    '/a\\b',
    '/%',
    '/%2',
    '/%zz',
    '/%0',
    '/a%00',
    '/..%00',
    '/a b',
    '/a\u007f',
    '/\u00e4',
    '/a#b',
    '/a%2?b',
  ])('%j is malformed', (target) => {
    expect(inspectPath(target)).toBe('malformed');
  });

  test('is not fooled by a run of dots after another byte', () => {
    for (const dots of [1, 2, 999, 1001, 1002, 60_000]) expect(inspectPath(`/x${'.'.repeat(dots)}`)).toBe('clean');
  });
});

const piece = fc.constantFrom('/', '.', '..', '%2e', '%2E', 'a', 'bc', '%41', '%2f', '...', '?', '//', '/../', '/./');
const target = fc.array(piece, { maxLength: 12 }).map((pieces) => `/${pieces.join('')}`);

/** RFC 3986 section 5.2.4, letter by letter, on a path whose dots were decoded where a segment is nothing but dots. */
function reference(path: string): string {
  let input = path
    .split('/')
    .map((segment) => (/^(?:\.|%2e){1,2}$/i.test(segment) ? segment.replaceAll(/%2e/gi, '.') : segment))
    .join('/');
  let output = '';
  while (input !== '') {
    if (input.startsWith('/./') || input === '/.') input = `/${input.slice(3)}`;
    else if (input.startsWith('/../') || input === '/..') {
      input = `/${input.slice(4)}`;
      output = output.slice(0, Math.max(0, output.lastIndexOf('/')));
    } else {
      const next = input.indexOf('/', 1);
      output += next === -1 ? input : input.slice(0, next);
      input = next === -1 ? '' : input.slice(next);
    }
  }
  return output;
}

describe('removeDotSegments()', () => {
  test('does what RFC 3986 section 5.2.4 does', () => {
    fc.assert(
      fc.property(target, (text) => {
        const [path, ...query] = text.split('?');
        const rest = query.length === 0 ? '' : `?${query.join('?')}`;
        expect(removeDotSegments(text)).toBe(reference(path!) + rest);
      }),
      { numRuns: 2000 },
    );
  });

  test('leaves a clean path, so that a redirect is never followed by another', () => {
    fc.assert(
      fc.property(target, (text) => {
        expect(inspectPath(removeDotSegments(text))).toBe('clean');
      }),
      { numRuns: 2000 },
    );
  });

  test('changes a target exactly when inspectPath() finds dot segments in it', () => {
    fc.assert(
      fc.property(target, (text) => {
        expect(removeDotSegments(text) !== text).toBe(inspectPath(text) === 'dot-segments');
      }),
      { numRuns: 2000 },
    );
  });
});

test('neither throws, whatever a stranger sends', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      inspectPath(text);
      removeDotSegments(`/${text}`);
    }),
  );
});
