import { once } from 'node:events';
import { connect as connectTcp, createServer as createTcpServer, type Server, type Socket } from 'node:net';
import { connect as connectTls, createServer as createTlsServer, type TlsOptions } from 'node:tls';
import type { BackendService } from '#src/backend/contract.ts';
import { systemClock } from '#src/base/clock.ts';
import { createStreamForwarder } from '#src/forward/stream-forward.ts';
import { Listener } from '#src/frontend/listener.ts';
import type { ClientStream } from '#src/http/client-stream.ts';
import type { StreamCounters, StreamRecord, StreamRecorder } from '#src/http/stream-record.ts';
import { EventLog, listen, makeService, type ServiceOptions } from '../backend/support.ts';
import { Recorder } from '../frontend/_recorder.ts';
import { localhostCertificate, tlsProxy } from '../frontend/_tls-door.ts';

/** Client ⇄ listener (TLS or plain) ⇄ stream ⇄ TCP or SSL service ⇄ backend: everything real. */
export interface StreamProxy {
  readonly port: number;
  readonly listener: Listener;
  readonly recorder: Recorder;
  readonly records: StreamRecords;
  readonly service: BackendService;
  readonly events: EventLog;
  /** A client, TLS or plain as the proxy is; errors are kept. */
  readonly client: () => Peer;
}

export interface StreamProxyOptions extends Omit<ServiceOptions, 'events'> {
  readonly clients?: 'tls' | 'plain';
  readonly proxyHeader?: 'NONE' | 'PROXY_V1' | 'PROXY_V2';
}

const cleanups: (() => Promise<void> | void)[] = [];

/** Closes everything that the functions below opened; hangs, and so fails, when something stays open. */
export async function closeAll(): Promise<void> {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
}

export async function startStreams(options: StreamProxyOptions): Promise<StreamProxy> {
  const { clients = 'tls', proxyHeader = 'NONE', protocol = 'TCP' } = options;
  const recorder = new Recorder();
  const records = new StreamRecords();
  const events = new EventLog();
  const service = makeService({ ...options, protocol, events });
  const onStream = createStreamForwarder({ service, proxyHeader, recorder: records, clock: systemClock });
  const base = tlsProxy(recorder, {}, [await localhostCertificate()]);
  const proxy = {
    ...base,
    limits: { ...base.limits, connections: 1000, connectionsPerAddress: 1000, unfinishedHandshakes: 1000 },
    tls: clients === 'tls' ? base.tls : null,
    traffic: { kind: 'stream', onStream } as const,
  };
  const listener = new Listener({
    address: '127.0.0.1',
    port: 0,
    forwardingRule: () => 'rule',
    current: () => proxy,
    events: recorder,
    timeouts: { checkIntervalMs: 20 },
  });
  await listener.listen();
  cleanups.push(async () => {
    await listener.closeNow();
    await service.retire();
    expect(records.open).toBe(0);
  });
  return {
    port: listener.port,
    listener,
    recorder,
    records,
    service,
    events,
    client() {
      const raw = connectTcp({ port: listener.port, host: '127.0.0.1', allowHalfOpen: true });
      raw.on('error', () => {});
      const socket =
        clients === 'tls' ? connectTls({ socket: raw, servername: 'localhost', rejectUnauthorized: false }) : raw;
      const peer = new Peer(socket, raw);
      cleanups.push(() => peer.destroy());
      return peer;
    },
  };
}

/** A socket that keeps what it gets, until told otherwise. */
export class Peer {
  readonly socket: Socket;
  readonly #raw: Socket;
  readonly chunks: Buffer[] = [];
  bytes = 0;
  ended = false;
  closed = false;
  failure: string | null = null;

  constructor(socket: Socket, raw: Socket = socket) {
    this.socket = socket;
    this.#raw = raw;
    socket.on('data', (chunk: Buffer) => {
      this.chunks.push(chunk);
      this.bytes += chunk.length;
    });
    socket.on('end', () => {
      this.ended = true;
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      this.failure = error.code ?? error.message;
    });
    socket.on('close', () => {
      this.closed = true;
    });
  }

  get text(): string {
    return Buffer.concat(this.chunks).toString('latin1');
  }

  destroy(): void {
    this.socket.destroy();
    this.#raw.destroy();
  }

  /** What the kernel sends for a process that crashes with unread bytes. */
  reset(): void {
    this.#raw.resetAndDestroy();
    this.socket.destroy();
  }
}

/** A TCP backend, or with `tls` a TLS one, that does what the test says with each connection. */
export async function startBackend(
  onConnection: (peer: Peer, index: number) => void = () => {},
  tls: TlsOptions | null = null,
): Promise<{ readonly port: number; readonly peers: readonly Peer[]; readonly server: Server }> {
  const peers: Peer[] = [];
  const onSocket = (socket: Socket) => {
    const peer = new Peer(socket);
    peers.push(peer);
    onConnection(peer, peers.length - 1);
  };
  const accepted = new Set<Socket>();
  const server =
    tls === null ? createTcpServer({ allowHalfOpen: true }) : createTlsServer({ ...tls, allowHalfOpen: true });
  server.on(tls === null ? 'connection' : 'secureConnection', onSocket);
  server.on('connection', (socket: Socket) => {
    accepted.add(socket);
    socket.on('close', () => accepted.delete(socket));
    socket.on('error', () => {});
  });
  server.on('tlsClientError', () => {});
  const port = await listen(server);
  cleanups.push(async () => {
    for (const peer of peers) peer.destroy();
    for (const socket of accepted) socket.destroy();
    server.close();
    await once(server, 'close');
  });
  return { port, peers, server };
}

/** Keeps what is recorded; every start has to have an end. */
export class StreamRecords implements StreamRecorder {
  readonly all: StreamRecord[] = [];
  readonly received = { value: 0 };
  readonly sent = { value: 0 };
  open = 0;
  #waiting: (() => void)[] = [];

  started(_stream: ClientStream, _service: string): StreamCounters {
    this.open++;
    return { received: this.received, sent: this.sent };
  }

  finished(record: StreamRecord): void {
    this.open--;
    this.all.push(record);
    for (const wake of this.#waiting.splice(0)) wake();
  }

  async nth(count: number): Promise<StreamRecord> {
    while (this.all.length < count) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    return this.all[count - 1]!;
  }
}
