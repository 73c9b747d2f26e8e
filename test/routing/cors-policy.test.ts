import { parseRegularExpression, type RegularExpression } from '#src/http/regular-expression.ts';
import { CorsPolicy, type CorsShape, isPreflight } from '#src/routing/cors-policy.ts';

function policy(shape: Partial<CorsShape>): CorsPolicy {
  return new CorsPolicy({
    allowOrigins: [],
    allowOriginPatterns: [],
    allowMethods: [],
    allowHeaders: [],
    exposeHeaders: [],
    maxAgeSec: null,
    allowCredentials: false,
    ...shape,
  });
}
const pattern = parseRegularExpression('https://[a-z]+\\.shop\\.example') as RegularExpression;

describe('allowedOrigin()', () => {
  test.each([
    [{ allowOrigins: ['https://a.example'] }, 'https://a.example', true],
    [{ allowOrigins: ['https://a.example'] }, 'https://a.example.evil', false],
    [{ allowOrigins: ['https://a.example'] }, 'https://A.example', false],
    [{ allowOrigins: ['*'] }, 'https://anything', true],
    [{ allowOriginPatterns: [pattern] }, 'https://www.shop.example', true],
    [{ allowOriginPatterns: [pattern] }, 'https://www.shop.example.evil', false],
    [{ allowOriginPatterns: [pattern] }, 'http://x/?https://www.shop.example', false],
    [{ allowOrigins: ['https://a.example'] }, 'null', false],
  ])('%j and %s: %s', (shape, origin, expected) => {
    expect(policy(shape).allowedOrigin(['origin', origin])).toBe(expected ? origin : null);
  });

  test('without Origin, and with two, nobody is allowed', () => {
    expect(policy({ allowOrigins: ['*'] }).allowedOrigin([])).toBeNull();
    expect(policy({ allowOrigins: ['*'] }).allowedOrigin(['origin', 'https://a', 'origin', 'https://b'])).toBeNull();
  });
});

test('a preflight is OPTIONS that asks for a method', () => {
  expect(isPreflight('OPTIONS', ['access-control-request-method', 'PUT'])).toBe(true);
  expect(isPreflight('OPTIONS', [])).toBe(false);
  expect(isPreflight('GET', ['access-control-request-method', 'PUT'])).toBe(false);
});

test('a preflight is answered with all that the policy says', () => {
  const shape = { allowMethods: ['GET', 'PUT'], allowHeaders: ['x-a'], maxAgeSec: 60, allowCredentials: true };
  expect(policy(shape).preflightFields('https://a.example')).toEqual([
    'access-control-allow-origin',
    'https://a.example',
    'vary',
    'origin',
    'access-control-allow-credentials',
    'true',
    'access-control-allow-methods',
    'GET, PUT',
    'access-control-allow-headers',
    'x-a',
    'access-control-max-age',
    '60',
  ]);
});

describe('edit()', () => {
  test('replaces what the backend says of CORS', () => {
    const fields = ['access-control-allow-origin', '*', 'x', '1', 'access-control-allow-credentials', 'true'];
    policy({ exposeHeaders: ['x-b'] }).edit(fields, 'https://a.example');
    expect(fields).toEqual([
      'x',
      '1',
      'access-control-allow-origin',
      'https://a.example',
      'access-control-expose-headers',
      'x-b',
      'vary',
      'origin',
    ]);
  });

  test('leaves the answer to another origin as it is, but says that it depends on it', () => {
    const fields = ['access-control-allow-origin', '*'];
    policy({ allowOrigins: ['https://a.example'] }).edit(fields, null);
    expect(fields).toEqual(['access-control-allow-origin', '*', 'vary', 'origin']);
  });
});
