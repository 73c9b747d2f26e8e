import { createServer, type Server, type ServerResponse } from 'node:http';
import { createServer as createHttp2Server, type Http2Server, type ServerHttp2Stream } from 'node:http2';
import type { BackendService, BackendStream } from '#src/backend/contract.ts';
import { ProxyError } from '#src/base/errors.ts';
import type { LinkedCircuitBreakers, LinkedOutlierDetection } from '#src/config/linked.ts';
import { until } from '../harness/until.ts';
import { EventLog, exchange, listen, makeService, REQUESTER, Recorder, type ServiceOptions } from './support.ts';

/** What a service does over all of its endpoints, with real backends. */

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  await Promise.all(cleanups.splice(0).map((cleanup) => cleanup())); // services wait for what backends hold
});

const LIMITS: LinkedCircuitBreakers = {
  maxConnections: 1024,
  maxPendingRequests: 1024,
  maxRequests: 1024,
  maxRetries: 3,
  maxRequestsPerConnection: null,
};

const OUTLIERS: LinkedOutlierDetection = {
  baseEjectionTimeMs: 30_000,
  intervalMs: 60_000,
  consecutiveErrors: 2,
  consecutiveGatewayFailure: 5,
  enforcingConsecutiveErrors: 100,
  enforcingConsecutiveGatewayFailure: 0,
  enforcingSuccessRate: 0,
  maxEjectionPercent: 50,
  successRateMinimumHosts: 5,
  successRateRequestVolume: 100,
  successRateStdevFactor: 1900,
};

/** Holds every response until it is let go. */
class Backend {
  port = 0;
  connections = 0;
  readonly held: ServerResponse[] = [];
  readonly server: Server = createServer((_request, response) => {
    if (this.status !== 0) response.writeHead(this.status).end();
    else this.held.push(response);
  }).on('connection', () => this.connections++);
  /** 0: hold. */
  status = 0;

  letGo(): void {
    for (const response of this.held.splice(0)) response.end('done');
  }
}

async function backend(status = 0): Promise<Backend> {
  const one = new Backend();
  one.status = status;
  one.port = await listen(one.server);
  cleanups.push(() => {
    one.server.closeAllConnections();
    one.server.close();
  });
  return one;
}

function service(options: ServiceOptions): BackendService {
  const made = makeService(options);
  made.start();
  cleanups.push(() => made.retire());
  return made;
}

function begin(of: BackendService, port: number): Recorder {
  const recorder = new Recorder();
  recorder.start(of, { endpoint: of.endpoints.find((endpoint) => endpoint.port === port)! });
  return recorder;
}

describe('circuitBreakers', () => {
  test('maxRequests counts over all endpoints: what is beyond gets 503 at once, and the next one is served when one has ended', async () => {
    const [one, two] = [await backend(), await backend()];
    const events = new EventLog();
    const api = service({ ports: [one.port, two.port], events, circuitBreakers: { ...LIMITS, maxRequests: 2 } });
    begin(api, one.port);
    begin(api, two.port);
    await until(() => one.held.length + two.held.length === 2);
    const { error } = await exchange(api);
    expect(error).toMatchObject({ code: 'backend_request_limit_reached', phase: 'pick' });
    expect(error!.spec).toMatchObject({ status: 503, statusDetails: 'failed_to_pick_backend' });
    expect(error!.retry).toBe('no');
    expect(events.circuitBreaks).toEqual(['requests']);
    one.letGo();
    await until(() => api.balance().endpoints[0]!.inFlight === 0);
    one.status = 200;
    expect((await exchange(api, { endpoint: api.endpoints[0]! })).status).toBe(200);
  });

  test('a refused attempt that is aborted first is not answered', async () => {
    const api = service({ ports: [1], circuitBreakers: { ...LIMITS, maxRequests: 0 } });
    const recorder = new Recorder();
    recorder.start(api).abort(new ProxyError('internal_error'));
    await new Promise((resolve) => setImmediate(resolve));
    expect(recorder.order).toEqual([]);
  });

  test('maxConnections counts over all endpoints, but each may have its first; what waits beyond maxPendingRequests gets 503 (security rule 10)', async () => {
    const [one, two] = [await backend(), await backend()];
    const events = new EventLog();
    const limits = { ...LIMITS, maxConnections: 1, maxPendingRequests: 1 };
    const api = service({ ports: [one.port, two.port], events, circuitBreakers: limits });
    begin(api, one.port);
    await until(() => one.held.length === 1);
    const waiting = begin(api, one.port); // its first connection is busy, and there may be no second
    begin(api, two.port); // the first one there
    await until(() => two.held.length === 1);
    const { error } = await exchange(api, { endpoint: api.endpoints[1]! });
    expect(error).toMatchObject({ code: 'backend_queue_full', phase: 'pick' });
    expect(events.circuitBreaks).toEqual(['pending-requests']);
    one.letGo();
    await until(() => one.held.length === 1); // the one that waited
    one.letGo();
    await until(() => waiting.ended === 1);
    expect([waiting.status, one.connections, two.connections]).toEqual([200, 1, 1]);
  });

  test('maxConnections of streams: one beyond it is refused at once, and counted', async () => {
    const one = await backend();
    const events = new EventLog();
    const api = service({
      protocol: 'TCP',
      ports: [one.port],
      events,
      circuitBreakers: { ...LIMITS, maxConnections: 1 },
    });
    const endpoint = api.endpoints[0]!;
    const opened = new Promise<BackendStream>((resolve, reject) => {
      api.openStream(endpoint, null, { onOpen: resolve, onError: reject });
    });
    const stream = await opened;
    const refused = new Promise<ProxyError>((resolve, reject) => {
      api.openStream(endpoint, null, { onOpen: () => reject(new Error('opened')), onError: resolve });
    });
    expect(await refused).toMatchObject({ code: 'backend_queue_full' });
    expect(events.circuitBreaks).toEqual(['connections']);
    stream.reset();
  });

  test('maxRequestsPerConnection: HTTP/1.1', async () => {
    const one = await backend(204);
    const events = new EventLog();
    const api = service({ ports: [one.port], events, circuitBreakers: { ...LIMITS, maxRequestsPerConnection: 2 } });
    for (let i = 0; i < 5; i++) expect((await exchange(api)).status).toBe(204);
    expect(one.connections).toBe(3);
    expect(new Set(events.closes)).toEqual(new Set(['max-requests']));
  });

  test('maxRequestsPerConnection: HTTP/2, streams side by side included', async () => {
    const streams: ServerHttp2Stream[] = [];
    const perSession: number[] = [];
    const server: Http2Server = createHttp2Server();
    server.on('session', (session) => {
      const at = perSession.push(0) - 1;
      session.on('stream', (stream) => {
        perSession[at]!++;
        streams.push(stream);
      });
    });
    const port = await listen(server);
    cleanups.push(() => server.close());
    const limits = { ...LIMITS, maxRequestsPerConnection: 2 };
    const api = service({ protocol: 'H2C', ports: [port], circuitBreakers: limits });
    const recorders = Array.from({ length: 5 }, () => begin(api, port));
    await until(() => streams.length === 5);
    for (const stream of streams) stream.respond({ ':status': 204 }, { endStream: true });
    await until(() => recorders.every(({ ended }) => ended === 1));
    expect(recorders.map(({ status }) => status)).toEqual(Array(5).fill(204));
    expect(perSession.sort((a, b) => a - b)).toEqual([1, 2, 2]);
  });

  test('maxRetries: that many at once, and again when one has ended', () => {
    const events = new EventLog();
    const { retrySlots } = service({ ports: [1], events, circuitBreakers: { ...LIMITS, maxRetries: 2 } });
    expect([retrySlots!.take(), retrySlots!.take(), retrySlots!.take()]).toEqual([true, true, false]);
    retrySlots!.release();
    expect([retrySlots!.take(), retrySlots!.take()]).toEqual([true, false]);
    expect(events.circuitBreaks).toEqual(['retries', 'retries']);
    expect(service({ ports: [1] }).retrySlots).toBeNull();
  });
});

describe('outlierDetection', () => {
  test('an endpoint that answers 500 gets nothing more; what answers well goes on', async () => {
    const [ill, well] = [await backend(500), await backend(200)];
    const events = new EventLog();
    const api = service({ ports: [ill.port, well.port], events, outlierDetection: OUTLIERS });
    for (let i = 0; i < 4; i++) await exchange(api);
    expect(events.ejections).toEqual([`127.0.0.1:${ill.port} consecutive-errors`]);
    expect(Array.from({ length: 4 }, () => api.pick([], REQUESTER)!.port)).toEqual(Array(4).fill(well.port));
    expect(api.balance().endpoints).toEqual([
      { endpoint: `127.0.0.1:${ill.port}`, weight: 1, inFlight: 0, isEjected: true },
      { endpoint: `127.0.0.1:${well.port}`, weight: 1, inFlight: 0, isEjected: false },
    ]);
  });

  test.each<[string, (recorder: Recorder) => void, boolean]>([
    [
      'a deadline counts as a failure',
      ({ call }) => call!.abort(new ProxyError('backend_timeout', { phase: 'send' })),
      true,
    ],
    [
      'a client that leaves does not',
      ({ call }) => call!.abort(new ProxyError('client_disconnected_before_any_response')),
      false,
    ],
  ])('%s', async (_what, end, counts) => {
    const [slow, other] = [await backend(), await backend()];
    const events = new EventLog();
    const api = service({ ports: [slow.port, other.port], events, outlierDetection: OUTLIERS });
    const recorders = [begin(api, slow.port), begin(api, slow.port)];
    await until(() => slow.held.length === 2);
    for (const recorder of recorders) end(recorder);
    expect(events.ejections).toEqual(counts ? [`127.0.0.1:${slow.port} consecutive-errors`] : []);
  });

  test('connections that are refused count as failures', async () => {
    const other = await backend();
    const events = new EventLog();
    const api = service({ ports: [1, other.port], events, outlierDetection: OUTLIERS });
    for (let i = 0; i < 2; i++) await exchange(api, { endpoint: api.endpoints[0]! });
    expect(events.ejections).toEqual(['127.0.0.1:1 consecutive-errors']);
  });

  test('ejections survive a reload that keeps the endpoint, and end with one that has no outlier detection', async () => {
    const [ill, well] = [await backend(500), await backend(200)];
    const events = new EventLog();
    const ports = [ill.port, well.port];
    const before = service({ ports, events, outlierDetection: OUTLIERS });
    for (let i = 0; i < 4; i++) await exchange(before);
    const after = service({ ports, events, outlierDetection: { ...OUTLIERS, consecutiveErrors: 7 }, previous: before });
    await before.retire({ successor: after });
    expect(after.balance().endpoints[0]!.isEjected).toBe(true);
    const without = service({ ports, events, previous: after });
    await after.retire({ successor: without });
    expect(without.balance().endpoints[0]!.isEjected).toBe(false);
    expect(events.ejections.at(-1)).toBe(`127.0.0.1:${ill.port} back`);
  });
});

describe('a reload', () => {
  test('of the policy, of limits, of affinity: connections stay', async () => {
    const one = await backend(200);
    let current = service({ ports: [one.port] });
    await exchange(current);
    const changes: Partial<ServiceOptions>[] = [
      { balancing: { policy: 'MAGLEV' } },
      {
        balancing: {
          policy: 'RANDOM',
          affinity: { by: 'GENERATED_COOKIE', cookie: { name: 'GCLB', path: '/', ttlSec: 0 } },
        },
      },
      { circuitBreakers: LIMITS, outlierDetection: OUTLIERS },
      { weights: [0.5] },
    ];
    for (const change of changes) {
      const next = service({ ports: [one.port], previous: current, ...change });
      await current.retire({ successor: next });
      expect((await exchange(next)).connection?.reused).toBe(true);
      current = next;
    }
    expect(one.connections).toBe(1);
  });

  test('its limits hold for the connections that it took over', async () => {
    const one = await backend(204);
    const before = service({ ports: [one.port] });
    await exchange(before);
    const after = service({
      ports: [one.port],
      previous: before,
      circuitBreakers: { ...LIMITS, maxRequestsPerConnection: 2 },
    });
    await before.retire({ successor: after });
    for (let i = 0; i < 3; i++) await exchange(after);
    expect(one.connections).toBe(2);
  });
});

describe('connectionDraining', () => {
  test.each(['HTTP', 'H2C'] as const)(
    '%s: an exchange at a removed endpoint ends with the time it has',
    async (protocol) => {
      const held: { readonly port: number }[] = [];
      const server =
        protocol === 'HTTP'
          ? createServer(() => held.push({ port: 0 }))
          : createHttp2Server().on('stream', (stream) => {
              stream.on('error', () => {});
              held.push({ port: 0 });
            });
      const port = await listen(server);
      cleanups.push(() => server.close());
      const before = service({ protocol, ports: [port] });
      const recorder = begin(before, port);
      await until(() => held.length === 1);
      const after = service({ protocol, ports: [], previous: before });
      await before.retire({ successor: after, drainMs: 20 });
      expect(recorder.order).toEqual(['onConnection', 'onError']);
    },
  );

  test('without a time it ends when it ends', async () => {
    const one = await backend();
    const before = service({ ports: [one.port] });
    const recorder = begin(before, one.port);
    await until(() => one.held.length === 1);
    const retired = before.retire({ successor: service({ ports: [], previous: before }) });
    one.letGo();
    await retired;
    expect(recorder.status).toBe(200);
  });

  test('a drained endpoint gets nothing new, and what runs there ends with the time it has', async () => {
    const [one, two] = [await backend(), await backend(200)];
    const ports = [one.port, two.port];
    const before = service({ ports });
    const recorder = begin(before, one.port);
    await until(() => one.held.length === 1);
    const after = service({ ports, previous: before, weights: [0, 1], balancing: { drainingTimeoutSec: 0 } });
    await before.retire({ successor: after });
    expect(Array.from({ length: 4 }, () => after.pick([], REQUESTER)!.port)).toEqual(Array(4).fill(two.port));
    await until(() => recorder.ended === 1);
    expect(recorder.order.at(-1)).toBe('onError');
  });
});
