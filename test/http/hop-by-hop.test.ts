import fc from 'fast-check';
import { connectionNames, forwardableTrailers, isHopByHop } from '#src/http/hop-by-hop.ts';

describe('isHopByHop()', () => {
  test.each([
    'connection',
    'keep-alive',
    'proxy-connection',
    'proxy-authenticate',
    'proxy-authorization',
    'te',
    'trailer',
    'trailers',
    'transfer-encoding',
    'upgrade',
    'http2-settings',
  ])('%s is', (name) => {
    expect(isHopByHop(name)).toBe(true);
  });

  test.each(['host', 'cookie', 'content-length', 'via', 'etag', 'authorization', 'sec-websocket-key', 'upgrades', ''])(
    '%j is not',
    (name) => {
      expect(isHopByHop(name)).toBe(false);
    },
  );
});

describe('connectionNames()', () => {
  const names = (...values: string[]) => connectionNames(values.flatMap((value) => ['connection', value]));

  test.each([[[]], [['keep-alive']], [['close']], [['Keep-Alive, Upgrade']], [['te, ,,']]])(
    'is null for %j',
    (values) => {
      expect(names(...values)).toBeNull();
    },
  );

  test('collects the names of all Connection fields in lower case', () => {
    expect(names('close, X-One', ' x-two\t,keep-alive', 'X-ONE')).toEqual(new Set(['x-one', 'x-two']));
  });

  test('finds each token that a stranger wrote', () => {
    const token = fc.stringMatching(/^x-[a-z0-9]{1,8}$/);
    fc.assert(
      fc.property(fc.array(token, { minLength: 1 }), fc.constantFrom(',', ', ', ' ,\t', ',,'), (tokens, separator) => {
        expect(names(tokens.join(separator))).toEqual(new Set(tokens));
      }),
    );
  });
});

describe('forwardableTrailers()', () => {
  test('passes what is about the content', () => {
    expect(forwardableTrailers(['grpc-status', '0', 'digest', 'x'])).toEqual(['grpc-status', '0', 'digest', 'x']);
  });

  test.each([
    'content-length',
    'transfer-encoding',
    'connection',
    'trailer',
    'host',
    'x-forwarded-for',
    'x-forwarded-proto',
    'via',
    'early-data',
    ':status',
  ])('never passes %s', (name) => {
    expect(forwardableTrailers([name, 'x'])).toBeNull();
    expect(forwardableTrailers(['a', '1', name, 'x', 'b', '2'])).toEqual(['a', '1', 'b', '2']);
  });

  test('is null when there are none', () => {
    expect(forwardableTrailers([])).toBeNull();
  });
});
