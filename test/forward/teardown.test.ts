import type { ExchangeRecord } from '#src/http/exchange-record.ts';
import { closeAll, type ProxyOptions, type Proxy as RunningProxy, startProxy } from './_proxy.ts';
import { type Backend, type Client, type ClientOutcome, startBackend, startClient, type Version } from './_sides.ts';

/**
 * The table at the top of src/forward/exchange-forward.ts over real sockets, HTTP/1 and HTTP/2 on each side: what the client sees, what
 * the backend sees, what is recorded, and that nothing is left open. What sockets cannot be made to do in order is in
 * exchange-forward.test.ts; tunnels, which have one protocol, in end-to-end.test.ts.
 */

interface Cell {
  readonly name: string;
  readonly options?: ProxyOptions;
  /** Streams that an HTTP/2 backend allows. */
  readonly maxStreams?: number;
  run(sides: Sides): Promise<void>;
}

interface Sides {
  readonly proxy: RunningProxy;
  readonly client: Client;
  readonly backend: Backend;
  readonly versions: { readonly client: Version; readonly backend: Version };
}

const CELLS: readonly Cell[] = [
  // ── the client aborts ──
  {
    name: 'client aborts, WAITING: nothing of it ever reaches a backend',
    options: { service: { maxConnectionsPerEndpoint: 1 } },
    maxStreams: 1,
    async run({ proxy, client, backend }) {
      const first = client.request({ method: 'GET' });
      const held = await backend.request(1);
      const second = client.request({ method: 'GET' });
      await started(proxy, 2);
      second.abort();
      expect(await proxy.records.nth(1)).toMatchObject({
        status: 499,
        statusDetails: 'client_disconnected_before_any_response',
        attempts: 1,
      });
      held.respond(200, 2, 'ok');
      held.end();
      expect(await first.outcome).toEqual(whole(200, 'ok'));
      expect(await proxy.records.nth(2)).toMatchObject(sentByBackend(200));
      expect(backend.requestCount).toBe(1);
    },
  },
  {
    name: 'client aborts, SENDING: the call is cancelled',
    async run({ proxy, client, backend }) {
      const { request, side } = await asked(client, backend);
      request.abort();
      await side.gone;
      expect(await proxy.records.nth(1)).toMatchObject({
        status: 499,
        statusDetails: 'client_disconnected_before_any_response',
      });
    },
  },
  {
    name: 'client aborts, SENDING its body: the backend never takes it for whole',
    async run({ proxy, client, backend }) {
      const { request, side } = await uploading(client, backend);
      request.abort();
      await side.gone;
      expect(side).toMatchObject({ body: 'half ', isWhole: false });
      expect(await proxy.records.nth(1)).toMatchObject({
        status: 499,
        statusDetails: 'client_disconnected_before_any_response',
        requestBytes: 5,
      });
    },
  },
  {
    name: 'client aborts, RELAYING: the call is cancelled, the status stays',
    async run({ proxy, client, backend }) {
      const { request, side } = await relaying(client, backend);
      request.abort();
      await side.gone;
      expect(await proxy.records.nth(1)).toMatchObject({
        status: 200,
        statusDetails: 'client_disconnected_after_partial_response',
      });
    },
  },

  // ── the backend fails ──
  {
    name: 'backend resets, SENDING on a fresh connection: 502, one attempt',
    async run({ proxy, client, backend }) {
      const request = client.request({ method: 'GET' });
      (await backend.request(1)).reset();
      expect(await request.outcome).toEqual(whole(502, '502 Bad Gateway\n'));
      expect(await proxy.records.nth(1)).toMatchObject({ ...closedBefore(), attempts: 1 });
    },
  },
  {
    name: 'backend resets, SENDING a body: 502, and the body is not sent again',
    async run({ proxy, client, backend }) {
      const { request, side } = await uploading(client, backend);
      side.reset();
      const outcome = await request.outcome;
      expect(outcome.status).toBe(502);
      expect(await proxy.records.nth(1)).toMatchObject({ ...closedBefore(), attempts: 1 });
      expect(backend.requestCount).toBe(1);
    },
  },
  {
    name: 'backend resets, RELAYING: the client is cut, and takes nothing for whole',
    async run({ proxy, client, backend }) {
      const { request, side } = await relaying(client, backend);
      side.reset();
      expect((await request.outcome).isComplete).toBe(false);
      expect(await proxy.records.nth(1)).toMatchObject(closedAfter());
    },
  },
  {
    name: 'backend ends early, SENDING: 502',
    async run({ proxy, client, backend }) {
      const request = client.request({ method: 'GET' });
      (await backend.request(1)).close();
      expect(await request.outcome).toEqual(whole(502, '502 Bad Gateway\n'));
      expect(await proxy.records.nth(1)).toMatchObject({ ...closedBefore(), attempts: 1 });
    },
  },
  {
    name: 'backend ends early, RELAYING: the client is cut, and takes nothing for whole',
    async run({ proxy, client, backend }) {
      const { request, side } = await relaying(client, backend);
      side.close();
      expect((await request.outcome).isComplete).toBe(false);
      expect(await proxy.records.nth(1)).toMatchObject(closedAfter());
    },
  },

  // ── the backend answers before the body ends ──
  {
    name: 'early error, SENDING a body: the client has it, the rest is discarded',
    async run({ proxy, client, backend }) {
      const { request, side } = await uploading(client, backend);
      side.respond(413, 3, 'big');
      side.end();
      await request.received(3);
      expect(await proxy.records.nth(1)).toMatchObject({
        status: 413,
        statusDetails: 'aborted_request_due_to_backend_early_response',
      });
      request.write('more ');
      request.end();
      expect(await request.outcome).toMatchObject({ status: 413, body: 'big' });
      await side.gone;
      expect(side.isWhole).toBe(false);
    },
  },
  {
    name: 'early success, SENDING a body: the upload goes on, and both are whole',
    async run({ proxy, client, backend }) {
      const { request, side } = await uploading(client, backend);
      side.respond(200, 8, 'yes ');
      await request.received(4);
      request.write('rest ');
      request.end();
      await side.bodyOf(10);
      side.write('done');
      side.end();
      expect(await request.outcome).toEqual(whole(200, 'yes done'));
      expect(side.body).toBe('half rest ');
      expect(await proxy.records.nth(1)).toMatchObject({ ...sentByBackend(200), requestBytes: 10 });
    },
  },

  // ── timeouts ──
  {
    name: 'deadline, SENDING: 504, the call is cancelled',
    options: { timeoutSec: 0.2 },
    async run({ proxy, client, backend }) {
      const { request, side } = await asked(client, backend);
      expect(await request.outcome).toEqual(whole(504, '504 Gateway Timeout\n'));
      await side.gone;
      expect(await proxy.records.nth(1)).toMatchObject({ status: 504, statusDetails: 'backend_timeout' });
    },
  },
  {
    name: 'deadline, SENDING a body: 504, the backend never takes it for whole',
    options: { timeoutSec: 0.2 },
    async run({ proxy, client, backend }) {
      const request = client.request({ method: 'POST', contentLength: 10 });
      request.write('half ');
      const side = await backend.request(1);
      expect((await request.outcome).status).toBe(504);
      await side.gone;
      expect(side.isWhole).toBe(false);
      expect(await proxy.records.nth(1)).toMatchObject({ status: 504, statusDetails: 'backend_timeout' });
    },
  },
  {
    name: 'deadline, RELAYING: both sides are cut',
    options: { timeoutSec: 1 },
    async run({ proxy, client, backend }) {
      const { request, side } = await asked(client, backend);
      side.respond(200, 100, 'part');
      expect((await request.outcome).isComplete).toBe(false);
      await side.gone;
      expect(await proxy.records.nth(1)).toMatchObject({ status: 200, statusDetails: 'backend_timeout' });
    },
  },
  {
    name: 'body under the rate floor, SENDING: 408, the backend never takes it for whole',
    options: { bodyRate: { minBodyBytesPerSec: 1000, minBodyRateWindowSec: 0.3 } },
    async run({ proxy, client, backend }) {
      const request = client.request({ method: 'POST', contentLength: 10 });
      request.write('half ');
      const side = await backend.request(1);
      expect((await request.outcome).status).toBe(408);
      await side.gone;
      expect(side.isWhole).toBe(false);
      expect(await proxy.records.nth(1)).toMatchObject({ status: 408, statusDetails: 'client_timed_out' });
    },
  },
  {
    name: 'maxStreamDuration, RELAYING: both sides are cut',
    options: { action: { maxStreamDurationMs: 1000 } },
    async run({ proxy, client, backend }) {
      const { request, side } = await asked(client, backend);
      side.respond(200, 100, 'part');
      expect((await request.outcome).isComplete).toBe(false);
      await side.gone;
      expect(await proxy.records.nth(1)).toMatchObject({ status: 200, statusDetails: 'backend_timeout' });
    },
  },

  // ── drain, retirement ──
  {
    name: 'drain, SENDING: the exchange finishes, then the connection closes',
    async run({ proxy, client, backend }) {
      const { request, side } = await asked(client, backend);
      proxy.door.drain();
      side.respond(200, 2, 'ok');
      side.end();
      expect(await request.outcome).toEqual(whole(200, 'ok'));
      expect(await proxy.records.nth(1)).toMatchObject(sentByBackend(200));
      await allClosed(proxy.accepted);
    },
  },
  {
    name: 'drain, RELAYING: the exchange finishes, then the connection closes',
    async run({ proxy, client, backend, versions }) {
      const { request, side } = await relaying(client, backend, 8);
      proxy.door.drain();
      side.write('rest');
      side.end();
      expect(await request.outcome).toEqual(whole(200, 'partrest'));
      expect(await proxy.records.nth(1)).toMatchObject(sentByBackend(200));
      if (versions.client === 'http2') await allClosed(proxy.accepted); // HTTP/1: the head had promised to go on
    },
  },
  {
    name: 'retirement, SENDING: the exchange finishes, then the backend connection closes',
    async run({ proxy, client, backend }) {
      const { request, side } = await asked(client, backend);
      const retired = proxy.service.retire();
      side.respond(200, 2, 'ok');
      side.end();
      expect(await request.outcome).toEqual(whole(200, 'ok'));
      expect(await proxy.records.nth(1)).toMatchObject(sentByBackend(200));
      await retired;
      await allClosed(backend.open);
    },
  },
];

const VERSIONS: readonly Version[] = ['http1', 'http2'];

afterEach(closeAll);

for (const clientVersion of VERSIONS) {
  for (const backendVersion of VERSIONS) {
    describe(`${clientVersion} client, ${backendVersion} backend`, () => {
      test.each(CELLS)('$name', async (cell) => {
        const { options = {}, maxStreams = 100 } = cell;
        const backend = await startBackend(backendVersion, maxStreams);
        const protocol = backendVersion === 'http1' ? 'HTTP' : 'H2C';
        const service = { ...options.service, protocol } as const;
        const proxy = await startProxy([backend.port], { ...options, service, clients: clientVersion });
        const client = startClient(clientVersion, proxy.port);
        try {
          await cell.run({ proxy, client, backend, versions: { client: clientVersion, backend: backendVersion } });
        } finally {
          client.stop();
          await allClosed(proxy.accepted);
          await proxy.service.retire();
          await allClosed(backend.open);
          await backend.stop();
        }
        expect(proxy.records.startedCount).toBe(proxy.records.all.length);
        expect(proxy.door.size).toBe(0);
      });
    });
  }
}

/** SENDING: the backend has the request, and has not answered. */
async function asked(client: Client, backend: Backend) {
  const request = client.request({ method: 'GET' });
  return { request, side: await backend.request(1) };
}

/** SENDING its body: the backend has the first half of it. */
async function uploading(client: Client, backend: Backend) {
  const request = client.request({ method: 'POST', contentLength: 10 });
  request.write('half ');
  const side = await backend.request(1);
  await side.bodyOf(5);
  return { request, side };
}

/** RELAYING: the client has the first 4 bytes of a response. */
async function relaying(client: Client, backend: Backend, contentLength = 100) {
  const { request, side } = await asked(client, backend);
  side.respond(200, contentLength, 'part');
  await request.received(4);
  return { request, side };
}

function whole(status: number, body: string): ClientOutcome {
  return { status, body, isComplete: true };
}

function sentByBackend(status: number): Partial<ExchangeRecord> {
  return { status, statusDetails: 'response_sent_by_backend', error: null };
}

function closedBefore(): Partial<ExchangeRecord> {
  return { status: 502, statusDetails: 'backend_connection_closed_before_data_sent_to_client' };
}

function closedAfter(): Partial<ExchangeRecord> {
  return { status: 200, statusDetails: 'backend_connection_closed_after_partial_response_sent' };
}

/** So many exchanges have reached the forwarder. */
async function started({ records }: RunningProxy, count: number): Promise<void> {
  while (records.startedCount < count) await new Promise((resolve) => setImmediate(resolve));
}

async function allClosed(sockets: ReadonlySet<{ once(event: 'close', listener: () => void): unknown }>): Promise<void> {
  for (const socket of sockets) await new Promise<void>((resolve) => socket.once('close', resolve));
}
