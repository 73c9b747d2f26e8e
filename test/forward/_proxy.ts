import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import type { BackendService } from '#src/backend/contract.ts';
import { noBackendEvents } from '#src/backend/events.ts';
import { NameResolver, noNameEvents } from '#src/backend/name-resolver.ts';
import { createBackendService } from '#src/backend/service.ts';
import { SessionStore } from '#src/backend/session-store.ts';
import { systemClock } from '#src/base/clock.ts';
import type { Digest } from '#src/base/digest.ts';
import type { LinkedBackendService } from '#src/config/linked.ts';
import type { LinkedRouteAction } from '#src/config/linked-url-map.ts';
import { createForwarder } from '#src/forward/forwarder.ts';
import type { BodyRateLimits } from '#src/forward/rate-floor.ts';
import { RequestAdmission, type RequestLimits, requestGate } from '#src/forward/request-admission.ts';
import { ClientConnection } from '#src/frontend/client-connection.ts';
import type { FrontendProxy } from '#src/frontend/contract.ts';
import { Http1Door } from '#src/frontend/http1.ts';
import { Http2Door } from '#src/frontend/http2.ts';
import { DEFAULT_TIMEOUTS } from '#src/frontend/timeouts.ts';
import { PLAIN_BALANCING, SECRETS } from '../backend/support.ts';
import { mapTo, Records } from './_memory.ts';

/** Client ⇄ node:http exchange ⇄ forwarder ⇄ undici ⇄ backend, over plain TCP: everything real but TLS. */
export interface Proxy {
  readonly port: number;
  readonly records: Records;
  readonly service: BackendService;
  readonly door: Http1Door | Http2Door;
  /** Connections from clients that are still open. */
  readonly accepted: ReadonlySet<Socket>;
}

const cleanups: (() => Promise<void> | void)[] = [];

/** Closes everything that the functions below opened; fails the test when something stays open. */
export async function closeAll(): Promise<void> {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
}

export interface ProxyOptions {
  readonly timeoutSec?: number;
  /** What the backend service has other than plain HTTP. */
  readonly service?: Partial<LinkedBackendService>;
  /** What its clients speak; h2 with prior knowledge. */
  readonly clients?: 'http1' | 'http2';
  /** Absent: bodies may be as slow as they like. */
  readonly bodyRate?: BodyRateLimits;
  readonly limits?: RequestLimits;
  /** Of every route. `mirror.service`: `mirror`, the service of `mirrorPorts`. */
  readonly action?: Partial<LinkedRouteAction>;
  readonly mirrorPorts?: readonly number[];
}

export async function startProxy(
  ports: readonly number[],
  {
    timeoutSec = 30,
    service: overrides = {},
    clients = 'http1',
    bodyRate,
    limits = {},
    action,
    mirrorPorts = [],
  }: ProxyOptions = {},
): Promise<Proxy> {
  const records = new Records();
  const service = serviceOf('api', ports, { timeoutSec, ...overrides });
  const mirror = serviceOf('mirror', mirrorPorts, {});
  const proxy: FrontendProxy = {
    name: 'web',
    tls: null,
    limits: {
      connections: 100,
      connectionsPerAddress: 100,
      unfinishedHandshakes: 50,
      requestsPerConnection: 1000,
      concurrentStreams: 32,
    },
    traffic: {
      kind: 'http',
      keepAliveTimeoutMs: 610_000,
      webSockets: true,
      onExchange: createForwarder({
        urlMap: mapTo(service, action, [mirror]),
        recorder: records,
        ...(bodyRate && { bodyRate }),
        gate: requestGate(new RequestAdmission(systemClock), limits),
      }),
    },
  };
  const events = {
    onHandshake() {},
    onHandshakeFailure() {},
    onHello() {},
    onAcceptPaused() {},
    onBadRequest() {},
    onSessionEnd() {},
  };
  const home = { forwardingRule: () => 'http', events, current: () => proxy };
  const timeouts = { ...DEFAULT_TIMEOUTS, discardMs: 300, checkIntervalMs: 50 };
  const door = clients === 'http1' ? new Http1Door(timeouts, systemClock) : new Http2Door(timeouts, systemClock);
  const accepted = new Set<Socket>();
  const server = createServer({ allowHalfOpen: clients === 'http1', noDelay: true }, (socket) => {
    accepted.add(socket);
    socket.on('close', () => accepted.delete(socket));
    socket.on('error', () => {});
    door.accept(socket, new ClientConnection(socket, home));
  });
  const port = await listen(server);
  cleanups.push(async () => {
    door.closeNow();
    door.stop();
    server.close();
    await once(server, 'close');
    await service.retire();
    await mirror.retire();
    expect(records.startedCount).toBe(records.all.length);
  });
  return { port, records, service, door, accepted };
}

function serviceOf(name: string, ports: readonly number[], overrides: Partial<LinkedBackendService>): BackendService {
  const linked: LinkedBackendService = {
    name,
    digest: 'digest' as Digest,
    protocol: 'HTTP',
    timeoutSec: 30,
    maxStreamDurationMs: null,
    endpoints: ports.map((port) => ({ host: '127.0.0.1', port, isFqdn: false, weight: 1 })),
    ipAddressSelectionPolicy: 'IPV4_ONLY',
    tls: null,
    maxConnectionsPerEndpoint: 100,
    maxPendingPerEndpoint: 100,
    healthCheck: null,
    balancing: PLAIN_BALANCING,
    outlierDetection: null,
    circuitBreakers: null,
    customRequestHeaders: [],
    customResponseHeaders: [],
    ...overrides,
  };
  return createBackendService(linked, {
    clock: systemClock,
    events: noBackendEvents,
    sessions: new SessionStore(systemClock),
    names: new NameResolver(noNameEvents),
    affinitySecrets: SECRETS,
  });
}

/** One connection that a backend accepted: what came, and what to do with it. */
export class BackendSocket {
  readonly socket: Socket;
  text = '';
  /** The other side let go of it, by FIN or RST. */
  closed = false;
  bytes = 0;
  #waiting: (() => void)[] = [];

  constructor(socket: Socket, keep: 'text' | 'count') {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.bytes += chunk.length;
      if (keep === 'text') this.text += chunk.toString('latin1');
      this.#changed();
    });
    socket.on('error', () => {});
    const onGone = () => {
      this.closed = true;
      this.#changed();
    };
    socket.on('end', onGone);
    socket.on('close', onGone);
  }

  async until(condition: (self: this) => boolean): Promise<void> {
    while (!condition(this)) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /** A whole request head (and what came with it). */
  async head(): Promise<string> {
    await this.until((self) => self.text.includes('\r\n\r\n'));
    return this.text.slice(0, this.text.indexOf('\r\n\r\n') + 2);
  }

  #changed(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }
}

/** A backend that does exactly what the test says, connection by connection. */
export async function rawBackend(
  onConnection: (connection: BackendSocket, index: number) => void | Promise<void>,
  keep: 'text' | 'count' = 'text',
): Promise<{ port: number; connections: BackendSocket[]; server: Server }> {
  const connections: BackendSocket[] = [];
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    const connection = new BackendSocket(socket, keep);
    connections.push(connection);
    void onConnection(connection, connections.length - 1);
  });
  const port = await listen(server);
  cleanups.push(async () => {
    for (const { socket } of connections) socket.destroy();
    server.close();
    await once(server, 'close');
  });
  return { port, connections, server };
}

/** A backend that answers every request of every connection with the same text. */
export async function answeringBackend(response: string): Promise<{ port: number; connections: BackendSocket[] }> {
  return rawBackend(async (connection) => {
    for (;;) {
      await connection.head();
      connection.text = connection.text.slice(connection.text.indexOf('\r\n\r\n') + 4);
      connection.socket.write(response, 'latin1');
    }
  });
}

/** A client that keeps what it gets, byte by byte. */
export class RawClient extends BackendSocket {
  send(text: string | Buffer): this {
    this.socket.write(text);
    return this;
  }

  async response(part: string): Promise<string> {
    await this.until((self) => self.text.includes(part) || self.closed);
    return this.text;
  }
}

export function client(port: number, keep: 'text' | 'count' = 'text'): RawClient {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  cleanups.push(() => {
    socket.destroy();
  });
  return new RawClient(socket, keep);
}

/** A port on which nobody listens. */
export async function closedPort(): Promise<number> {
  const server = createServer();
  const port = await listen(server);
  server.close();
  await once(server, 'close');
  return port;
}

export async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}
