import { setTimeout as sleep } from 'node:timers/promises';
import type { RetrySlots } from '#src/backend/contract.ts';
import { type ErrorCode, ProxyError } from '#src/base/errors.ts';
import type { LinkedRetryPolicy, RetryCondition } from '#src/config/linked-url-map.ts';
import { grpcStatusOf, PolicyRetries } from '#src/forward/retry-policy.ts';
import { MemoryService, type RequestShape, start } from './_memory.ts';
import { client, closeAll, rawBackend, startProxy } from './_proxy.ts';

const CLOSED = 'backend_connection_closed_before_data_sent_to_client';

function policy(retryConditions: RetryCondition[], rest: Partial<LinkedRetryPolicy> = {}): LinkedRetryPolicy {
  return { numRetries: 1, perTryTimeoutMs: null, retryConditions, ...rest };
}

function takes(conditions: RetryCondition[], ended: object, method = 'GET'): boolean {
  const attempt = { error: null, status: 0, grpcStatus: -1, sent: true, canRestart: true, answered: false, ...ended };
  return new PolicyRetries(policy(conditions), null, method).takes(attempt);
}

const failed = (code: ErrorCode, retry?: 'yes' | 'no') => ({
  error: new ProxyError(code, retry === undefined ? {} : { retry }),
});

describe('when a condition is met', () => {
  const refused = failed(CLOSED, 'yes');
  const cases: readonly (readonly [RetryCondition, object, boolean])[] = [
    ['5xx', { status: 500 }, true],
    ['5xx', { status: 503 }, true],
    ['5xx', { status: 499 }, false],
    ['5xx', failed(CLOSED), true],
    ['5xx', failed('backend_connect_refused'), true],
    ['5xx', failed('backend_timeout'), true],
    ['5xx', failed('backend_response_corrupted'), false],
    ['5xx', failed('backend_queue_full'), false],
    ['gateway-error', { status: 500 }, false],
    ['gateway-error', { status: 502 }, true],
    ['gateway-error', { status: 503 }, true],
    ['gateway-error', { status: 504 }, true],
    ['gateway-error', { status: 505 }, false],
    ['gateway-error', failed(CLOSED), true],
    ['connect-failure', failed('backend_connect_timeout'), true],
    ['connect-failure', failed('ssl_certificate_chain_verification_failed'), true],
    ['connect-failure', failed(CLOSED), false],
    ['connect-failure', refused, false],
    ['connect-failure', { status: 503 }, false],
    ['refused-stream', refused, true],
    ['refused-stream', failed(CLOSED), false],
    ['refused-stream', failed('backend_connect_refused'), false],
    ['retriable-4xx', { status: 409 }, true],
    ['retriable-4xx', { status: 404 }, false],
    ['retriable-4xx', { status: 425 }, false],
    ['retriable-4xx', { status: 429 }, false],
    ['reset', failed(CLOSED), true],
    ['reset', failed('backend_timeout'), true],
    ['reset', { status: 503 }, false],
    ['cancelled', { status: 200, grpcStatus: 1 }, true],
    ['deadline-exceeded', { status: 200, grpcStatus: 4 }, true],
    ['resource-exhausted', { status: 200, grpcStatus: 8 }, true],
    ['internal', { status: 200, grpcStatus: 13 }, true],
    ['unavailable', { status: 200, grpcStatus: 14 }, true],
    ['unavailable', { status: 200, grpcStatus: 0 }, false],
    ['unavailable', { status: 200, grpcStatus: 13 }, false],
    ['unavailable', { status: 503 }, false],
  ];

  test.each(cases)('%s: %j is %s', (condition, ended, expected) => {
    expect(takes([condition], ended)).toBe(expected);
  });

  test('any of several will do, and none written means gateway-error', () => {
    expect(takes(['retriable-4xx', '5xx'], { status: 500 })).toBe(true);
    expect(takes([], { status: 503 })).toBe(true);
    expect(takes([], { status: 500 })).toBe(false);
  });

  test('425 is never retried by us (security rule 37)', () => {
    const all: RetryCondition[] = [
      '5xx',
      'gateway-error',
      'connect-failure',
      'retriable-4xx',
      'refused-stream',
      'reset',
    ];
    expect(takes(all, { status: 425 })).toBe(false);
  });
});

describe('what must not be sent twice is not', () => {
  test.each(['POST', 'PATCH'])('%s that the backend may have acted on', (method) => {
    expect(takes(['5xx', 'reset'], { status: 503 }, method)).toBe(false);
    expect(takes(['5xx', 'reset'], failed(CLOSED), method)).toBe(false);
    expect(takes(['5xx', 'reset'], failed('backend_timeout'), method)).toBe(false);
  });

  test('POST of which nothing was sent, or that the server refused unprocessed, is', () => {
    expect(takes(['connect-failure'], { ...failed('backend_connect_refused'), sent: false }, 'POST')).toBe(true);
    expect(takes(['refused-stream'], failed(CLOSED, 'yes'), 'POST')).toBe(true);
  });

  test('POST with a gRPC status that the policy names is', () => {
    expect(takes(['unavailable'], { status: 200, grpcStatus: 14 }, 'POST')).toBe(true);
  });

  test('a body that cannot be sent again, and a response of which the client has seen a part, are the end', () => {
    expect(takes(['5xx'], { status: 503, canRestart: false })).toBe(false);
    expect(takes(['5xx'], { status: 503, answered: true })).toBe(false);
  });
});

describe('how often', () => {
  const ended = { error: null, status: 503, grpcStatus: -1, sent: true, canRestart: true, answered: false };

  test('numRetries, and no more', () => {
    const retries = new PolicyRetries(policy(['5xx'], { numRetries: 3 }), null, 'GET');
    expect(Array.from({ length: 5 }, () => retries.takes(ended))).toEqual([true, true, true, false, false]);
  });

  test('as many at once as the service has slots; one that ends makes room', () => {
    let free = 1;
    const slots: RetrySlots = {
      take: () => free > 0 && free-- > 0,
      release: () => {
        free++;
      },
    };
    const [first, second] = [0, 1].map(() => new PolicyRetries(policy(['5xx'], { numRetries: 5 }), slots, 'GET'));
    expect(first!.takes(ended)).toBe(true);
    expect(second!.takes(ended)).toBe(false);
    expect(first!.takes(ended)).toBe(true); // its own slot again
    first!.attemptEnded();
    first!.attemptEnded();
    expect(free).toBe(1);
    expect(second!.takes(ended)).toBe(true);
  });
});

test.each([
  [['grpc-status', '14'], 14],
  [['grpc-status', 'x'], -1],
  [['grpc-status', '1.5'], -1],
  [['x-grpc-status', '14', 'server', 'grpc-status'], -1],
  [[], -1],
])('grpcStatusOf(%j) is %d', (headers, expected) => {
  expect(grpcStatusOf(headers as string[])).toBe(expected);
});

describe('in an exchange', () => {
  const twoEndpoints = () => new MemoryService({ endpoints: 2 });
  const began = (shape: RequestShape, retryPolicy: LinkedRetryPolicy, service = twoEndpoints()) =>
    start(shape, service, { action: { retryPolicy } });

  test('a 503 is thrown away, another endpoint is asked, and its answer is the one record', () => {
    const { exchange, service, records } = began({}, policy(['5xx']));
    service.call.connect().respond(503, ['x-from', 'first']);
    expect(service.calls[0]!.events).toEqual([`abort ${CLOSED}`]);
    expect(service.calls[1]!.endpoint).not.toBe(service.calls[0]!.endpoint);
    service.call.connect().respond(200, ['x-from', 'second']).handler.onEnd([]);
    expect(exchange.events).toEqual(['respond 200 body', 'end']);
    expect(exchange.header('x-from')).toBe('second');
    exchange.handler.onFinish();
    expect(records.only).toMatchObject({ status: 200, attempts: 2, error: null });
  });

  test('the last 503 is passed on as it came', () => {
    const { exchange, service, records } = began({}, policy(['5xx'], { numRetries: 2 }));
    for (let i = 0; i < 3; i++) service.call.connect().respond(503, ['x-from', String(i)]);
    service.call.handler.onEnd([]);
    exchange.handler.onFinish();
    expect(exchange.status).toBe(503);
    expect(exchange.header('x-from')).toBe('2');
    expect(records.only).toMatchObject({ status: 503, statusDetails: 'response_sent_by_backend', attempts: 3 });
  });

  test('with one endpoint it is asked again', () => {
    const { service } = began({}, policy(['5xx']), new MemoryService());
    service.call.connect().respond(500);
    expect(service.calls).toHaveLength(2);
  });

  test('without a policy a 503 is passed on (spec 10.21)', () => {
    const { exchange, service } = start();
    service.call.connect().respond(503);
    expect(exchange.status).toBe(503);
    expect(service.calls).toHaveLength(1);
  });

  test('a body within the bound is sent again, with what was not yet read and its end', () => {
    const { exchange, service } = began({ method: 'PUT', contentLength: 6 }, policy(['5xx']));
    service.call.connect().handler.onBodyWanted();
    exchange.send('abcd');
    service.call.respond(503);
    service.call.connect().handler.onBodyWanted();
    exchange.send('ef');
    exchange.handler.onBodyEnd([]);
    expect(service.calls.map(({ body }) => body)).toEqual(['abcd', 'abcdef']);
    expect(service.call.events).toEqual(['end body']);
  });

  test('a body that had ended is sent again whole', () => {
    const { exchange, service } = began({ method: 'PUT', contentLength: 4 }, policy(['reset'], { numRetries: 2 }));
    service.call.connect().handler.onBodyWanted();
    exchange.send('abcd');
    exchange.handler.onBodyEnd([]);
    for (let i = 0; i < 2; i++) {
      service.call.fail(CLOSED);
      service.call.connect().handler.onBodyWanted();
      expect(service.call).toMatchObject({ body: 'abcd', events: ['end body'] });
    }
    service.call.respond(200).handler.onEnd([]);
    expect(exchange.status).toBe(200);
  });

  test.each([
    ['declared', 100_000],
    ['found', -1],
  ])('a body over the bound, %s so, is sent once', (_how, contentLength) => {
    const { exchange, service } = began({ method: 'PUT', contentLength }, policy(['5xx']));
    service.call.connect().handler.onBodyWanted();
    exchange.send('x'.repeat(70_000));
    service.call.respond(503);
    expect(service.calls).toHaveLength(1);
    expect(exchange.status).toBe(503);
  });

  test('what the client has seen a part of is not retried', () => {
    const { exchange, service } = began({}, policy(['5xx', 'reset']));
    service.call.connect().handler.onInterim(103, []);
    service.call.respond(503);
    expect(service.calls).toHaveLength(1);
    expect(exchange.status).toBe(503);
  });

  test('gRPC: a response that is all head is retried, one with a body is not', () => {
    const shape = { method: 'POST', protocol: 'HTTP/2' as const, contentLength: 2 };
    for (const [head, calls] of [
      [['grpc-status', '14'], 2],
      [[], 1],
    ] as const) {
      const { exchange, service } = began(shape, policy(['unavailable']), new MemoryService({ protocol: 'HTTP2' }));
      service.call.connect().handler.onBodyWanted();
      exchange.send('ab');
      exchange.handler.onBodyEnd([]);
      service.call.respond(200, head);
      expect(service.calls).toHaveLength(calls);
    }
  });

  test('endpoints that all refuse are tried again where the policy says so', () => {
    const { exchange, service, records } = began({}, policy(['connect-failure'], { numRetries: 2 }));
    for (let i = 0; i < 4; i++) service.call.fail('backend_connect_refused');
    exchange.handler.onFinish();
    expect(exchange.status).toBe(502);
    expect(records.only.attempts).toBe(4); // each once, then two more
  });

  test('an attempt over perTryTimeout is cancelled and repeated; the last one is 504', async () => {
    const { exchange, service, records } = began({}, policy(['gateway-error'], { perTryTimeoutMs: 20 }));
    service.call.connect();
    while (service.calls.length < 2) await sleep(2);
    expect(service.calls[0]!.events).toEqual(['abort backend_timeout']);
    service.call.connect();
    while (!exchange.responded) await sleep(2);
    exchange.handler.onFinish();
    expect(records.only).toMatchObject({ status: 504, statusDetails: 'backend_timeout', attempts: 2 });
    expect(records.only.error?.detail).toBe('perTryTimeout');
  });

  test('perTryTimeout ends with the response head', async () => {
    const { exchange, service } = began({}, policy(['gateway-error'], { perTryTimeoutMs: 10 }));
    service.call.connect().respond(200);
    await sleep(50);
    service.call.data('late').handler.onEnd([]);
    expect(exchange.events).toEqual(['respond 200 body', 'end']);
  });

  test('the timeout of the route counts once for all attempts', async () => {
    const retryPolicy = policy(['5xx'], { numRetries: 25 });
    const { exchange, service, records } = start({}, twoEndpoints(), { action: { retryPolicy, timeoutMs: 100 } });
    while (!exchange.responded) {
      service.call.connect();
      await sleep(30);
      if (!exchange.responded) service.call.respond(503);
    }
    exchange.handler.onFinish();
    expect(records.only).toMatchObject({ status: 504, statusDetails: 'backend_timeout' });
    expect(records.only.attempts).toBeLessThan(10);
  });

  test('a client that leaves during a retry gives its slot back', () => {
    let held = 0;
    const service = twoEndpoints();
    service.retrySlots = {
      take: () => {
        held++;
        return true;
      },
      release: () => {
        held--;
      },
    };
    const { exchange } = began({}, policy(['5xx']), service);
    service.call.connect().respond(503);
    expect(held).toBe(1);
    exchange.handler.onAbort(new ProxyError('client_disconnected_before_any_response'));
    expect(held).toBe(0);
    expect(service.call.events).toEqual(['abort client_disconnected_before_any_response']);
  });
});

describe('over sockets', () => {
  afterEach(closeAll);

  test('a 503 and a body: the second connection gets the same request', async () => {
    const backend = await rawBackend(async (connection, index) => {
      await connection.until((self) => self.text.endsWith('hello'));
      connection.socket.write(
        index === 0
          ? 'HTTP/1.1 503 Service Unavailable\r\ncontent-length: 3\r\n\r\nbad'
          : 'HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ngood',
      );
    });
    const { port, records } = await startProxy([backend.port], { action: { retryPolicy: policy(['gateway-error']) } });
    const connection = client(port).send('PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello');
    expect(await connection.response('good')).toMatch(/^HTTP\/1.1 200/);
    expect(await records.nth(1)).toMatchObject({ status: 200, attempts: 2, requestBytes: 5 });
    expect(backend.connections).toHaveLength(2);
    expect(backend.connections[1]!.text).toBe(backend.connections[0]!.text);
    await backend.connections[0]!.until((self) => self.closed);
  });
});
