import fc from 'fast-check';
import { backendRequestHeaders } from '#src/http/forwarding-headers.ts';
import { HeaderTemplates, parseCustomHeader } from '#src/http/header-template.ts';
import { forwardableTrailers } from '#src/http/hop-by-hop.ts';
import { ALWAYS_REMOVED, RemovedFields } from '#src/http/removed-fields.ts';

const connection = {
  id: '1',
  remoteAddress: '192.0.2.7',
  remotePort: 1,
  localAddress: '192.0.2.1',
  localPort: 443,
  targetProxy: 'web',
  forwardingRule: 'https',
  tls: null,
};

describe('RemovedFields', () => {
  test.each([
    'client-cert',
    'client_cert',
    'client-cert-chain',
    'client_cert-chain',
    'x-client-cert-leaf',
    'x_client_cert_anything',
    'x-client-cert-',
  ])('always has %s', (name) => {
    expect(ALWAYS_REMOVED.has(name)).toBe(true);
  });

  test.each(['client-certificate', 'client', 'x-client-cert', 'x-client-certs', 'y-client-cert-leaf', 'x-client', ''])(
    'leaves %j',
    (name) => {
      expect(ALWAYS_REMOVED.has(name)).toBe(false);
    },
  );

  test('has the names that it was made of, in every spelling', () => {
    const removed = new RemovedFields(['x-user', 'x_tls_version', `x-${'long'.repeat(100)}`]);
    for (const name of [
      'x-user',
      'x_user',
      'x-tls-version',
      'x_tls_version',
      'x-tls_version',
      `x_${'long'.repeat(100)}`,
    ])
      expect(removed.has(name)).toBe(true);
    for (const name of ['x-users', 'user', 'x.user', `x-${'long'.repeat(101)}`]) expect(removed.has(name)).toBe(false);
  });

  test('is the same as comparing with every - and _ alike', () => {
    const name = fc.string({ unit: fc.constantFrom('a', '-', '_', 'x'), maxLength: 6 });
    fc.assert(
      fc.property(fc.array(name), name, (names, asked) => {
        const folded = (text: string) => text.replaceAll('_', '-');
        expect(new RemovedFields(names).has(asked)).toBe(names.map(folded).includes(folded(asked)));
      }),
    );
  });
});

describe('identity fields of a request (security rule 18)', () => {
  const removed = new RemovedFields(['x-who']);
  const custom = new HeaderTemplates(
    [parseCustomHeader('X-Who:{client_cert_present}')].filter((h) => typeof h !== 'string'),
  );

  test("a client's own are removed and ours come last, Connection-named or not", () => {
    const headers = backendRequestHeaders(
      {
        connection,
        protocol: 'HTTP/1.1',
        headers: [
          'x-who',
          'admin',
          'x_who',
          'root',
          'connection',
          'x-who, client-cert',
          'client-cert',
          ':AA==:',
          'x-client-cert-present',
          'true',
          'a',
          'b',
        ],
      },
      'http1',
      'trace',
      removed,
      custom,
    );
    expect(headers.slice(0, 2)).toEqual(['a', 'b']);
    expect(headers.slice(-2)).toEqual(['x-who', 'false']);
    expect(headers.filter((text) => /who|cert/.test(text))).toEqual(['x-who']);
  });

  test('are removed from trailers', () => {
    expect(forwardableTrailers(['x-who', 'admin', 'digest', 'x', 'x_client_cert_present', 'true'], removed)).toEqual([
      'digest',
      'x',
    ]);
    expect(forwardableTrailers(['x_who', 'admin'], removed)).toBeNull();
  });
});
