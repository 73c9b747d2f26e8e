import { compileUrlMap } from '#src/routing/compile-url-map.ts';
import { named, request, shared, to, urlMap } from '../harness/url-map.ts';

const services = named('a', 'b', 'c', 'mirror');

describe('weighted services', () => {
  test.each([
    [0, 'a'],
    [0.299, 'a'],
    [0.3, 'c'],
    [0.999, 'c'],
  ])('%d falls on %s, by the sums of the weights', (point, service) => {
    const map = urlMap({
      fallback: shared([
        ['a', 300],
        ['b', 0],
        ['c', 700],
      ]),
    });
    expect(compileUrlMap(map, services, () => point).match(request('x', '/')).service).toBe(service);
  });

  test('every service gets its share, and one that weighs nothing gets nothing', () => {
    let state = 1;
    const random = () => {
      state = (state * 48_271) % 2_147_483_647; // Park-Miller: the same every time
      return state / 2_147_483_647;
    };
    const matcher = compileUrlMap(
      urlMap({
        fallback: shared([
          ['a', 1],
          ['b', 0],
          ['c', 3],
        ]),
      }),
      services,
      random,
    );
    const counts = new Map<string | null, number>();
    for (let i = 0; i < 10_000; i++) {
      const { service } = matcher.match(request('x', '/'));
      counts.set(service, (counts.get(service) ?? 0) + 1);
    }
    expect(counts.get('b')).toBeUndefined();
    expect(counts.get('a')! / 10_000).toBeCloseTo(0.25, 1);
    expect(counts.get('c')! / 10_000).toBeCloseTo(0.75, 1);
  });

  test('one service asks for no random number', () => {
    const random = () => {
      throw new Error('asked');
    };
    const matcher = compileUrlMap(
      urlMap({
        fallback: shared([
          ['a', 5],
          ['b', 0],
        ]),
      }),
      services,
      random,
    );
    expect(matcher.match(request('x', '/')).service).toBe('a');
  });

  test('each has its own headerAction, before those of the map', () => {
    const add = (name: string) => ({ header: { name, parts: [{ text: '1' }] }, replace: true });
    const nothing = { requestHeadersToRemove: [], responseHeadersToAdd: [], responseHeadersToRemove: [] };
    const map = urlMap({
      fallback: {
        kind: 'forward',
        action: null,
        services: [
          { service: 'a', weight: 1, headerAction: { ...nothing, requestHeadersToAdd: [add('x-a')] } },
          { service: 'b', weight: 1, headerAction: null },
        ],
      },
      headerAction: { ...nothing, requestHeadersToAdd: [add('x-map')], requestHeadersToRemove: [] },
    });
    const fieldsAt = (point: number) => {
      const { action } = compileUrlMap(map, services, () => point).match(request('x', '/'));
      const fields: string[] = [];
      action?.headers?.request?.apply(fields, { connection: {} as never, protocol: 'HTTP/1.1' });
      return fields;
    };
    expect(fieldsAt(0)).toEqual(['x-a', '1', 'x-map', '1']);
    expect(fieldsAt(0.9)).toEqual(['x-map', '1']);
  });
});

describe('what forward applies', () => {
  test('is carried as it was linked, services looked up', () => {
    const action = {
      timeoutMs: 1500,
      maxStreamDurationMs: 60_000,
      retryPolicy: { numRetries: 3, perTryTimeoutMs: 200, retryConditions: ['5xx' as const] },
      mirror: { service: 'mirror', percent: 5, dangerKeepCredentials: false },
      fault: { delay: { delayMs: 10, percentage: 1 }, abort: { httpStatus: 503, percentage: 2 } },
    };
    const route = compileUrlMap(urlMap({ fallback: to('a', action) }), services).match(request('x', '/'));
    expect(route.action).toEqual({ ...action, rewrite: null, headers: null, cors: null });
  });

  test('is null where nothing is asked for', () => {
    expect(compileUrlMap(urlMap({ fallback: to('a') }), services).match(request('x', '/')).action).toBeNull();
  });

  test('an unknown mirror is internal_error', () => {
    const map = urlMap({
      fallback: to('a', { mirror: { service: 'gone', percent: 1, dangerKeepCredentials: false } }),
    });
    expect(() => compileUrlMap(map, services)).toThrow(expect.objectContaining({ code: 'internal_error' }));
  });
});
