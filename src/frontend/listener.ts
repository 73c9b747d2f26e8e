import { type AddressInfo, type BlockList, createServer, type Server, type Socket } from 'node:net';
import { type Clock, systemClock } from '../base/clock.ts';
import { startDeadline } from '../base/deadline.ts';
import { DeadlineQueue } from '../base/deadline-queue.ts';
import { Turn } from '../base/turn.ts';
import { Admission, openFileLimit, type Refusal } from './admission.ts';
import { ClientConnection, type ConnectionHome, clientAuthenticationOf, type LocalEnd } from './client-connection.ts';
import { ClientReview } from './client-review.ts';
import { CostlyClients } from './costly-clients.ts';
import { EngineSet } from './engine.ts';
import { Handshake, type HandshakeOwner } from './handshake.ts';
import { refuseConnection } from './handshake-failure.ts';
import { Http1Door } from './http1.ts';
import { Http2Door } from './http2.ts';
import { PlainStart, type PlainStartOwner } from './plain-start.ts';
import { isTrusted, ProxiedStart, type ProxiedStartOwner } from './proxied-start.ts';
import { StreamDoor } from './stream.ts';
import { DEFAULT_TIMEOUTS, type FrontendTimeouts } from './timeouts.ts';

export interface ListenerOptions extends ConnectionHome {
  readonly address: string;
  /** 0: any free one, see `port`. */
  readonly port: number;
  readonly timeouts?: Partial<FrontendTimeouts>;
  /** Who must begin with a header of the PROXY protocol, others being closed; null or absent: nobody may. */
  trustedSources?(): BlockList | null;
  readonly clock?: Clock;
  /** One for the process: its limits are meant for all listeners together. By default this listener's own. */
  readonly admission?: Admission;
}

/**
 * The client-side door at one address and port. What new connections get is what `current()` says at that moment, so that a
 * reload needs no new socket.
 */
export class Listener {
  readonly #options: ListenerOptions;
  readonly #server: Server;
  readonly #connections = new Set<ClientConnection>();
  readonly #admission: Admission;
  readonly #http1: Http1Door;
  readonly #http2: Http2Door;
  readonly #streams: StreamDoor;
  readonly #handshakes: HandshakeOwner;
  readonly #plainStarts: PlainStartOwner;
  readonly #proxiedStarts: ProxiedStartOwner;
  readonly #review = new ClientReview(this.#connections);
  readonly #reviewTimer: NodeJS.Timeout;
  readonly #clock: Clock;
  readonly #whenEmpty: (() => void)[] = [];
  readonly #onClosed = (connection: ClientConnection): void => {
    connection.handshake?.onClosed();
    this.#connections.delete(connection);
    this.#review.closed(connection);
    connection.serialised = null; // of HTTP/2 and of streams, closures on the closed socket still lead here
    this.#admission.leave(connection.countedAs);
    this.#resumed();
    if (this.#connections.size === 0) this.#settle();
  };
  /** By the newest proxy, unless that has judged it already. */
  readonly #judge = (connection: ClientConnection): void => {
    const proxy = this.#options.current();
    if (connection.judgedBy === clientAuthenticationOf(proxy)) return;
    this.#review.reviewOne(connection, proxy, this.#clock.wallMs(), this.#reviewTimeoutMs);
  };
  /** What every connection was sent to; null: not bound yet, or to a wildcard. */
  #boundTo: LocalEnd | null = null;
  #isDraining = false;
  #reviewTimeoutMs = DEFAULT_REVIEW_TIMEOUT_MS;
  #pausedFor: string | null = null;

  constructor(options: ListenerOptions) {
    const timeouts = { ...DEFAULT_TIMEOUTS, ...options.timeouts };
    const clock = options.clock ?? systemClock;
    this.#options = options;
    this.#clock = clock;
    this.#reviewTimer = setInterval(
      () => this.#review.sweep(clock.wallMs(), this.#reviewTimeoutMs),
      timeouts.checkIntervalMs,
    );
    this.#reviewTimer.unref();
    this.#admission = options.admission ?? new Admission(openFileLimit());
    this.#http1 = new Http1Door(timeouts, clock);
    this.#http2 = new Http2Door(timeouts, clock);
    this.#streams = new StreamDoor(clock);
    this.#handshakes = {
      engines: new EngineSet(clock),
      costlyClients: new CostlyClients(),
      timeouts,
      deadlines: new DeadlineQueue(timeouts.handshakeMs, clock),
      turn: new Turn(),
      clock,
      onHandshakeOver: () => this.#admission.handshakeOver(),
      onSecured: (socket, connection) =>
        this.#onOpen(socket, connection, connection.tls?.alpn === 'h2' ? 'http2' : 'http1'),
    };
    this.#plainStarts = {
      timeouts,
      clock,
      onHandshakeOver: () => this.#admission.handshakeOver(),
      onOpen: (socket, connection, protocol) => this.#onOpen(socket, connection, protocol),
    };
    this.#proxiedStarts = {
      timeouts,
      clock,
      onHandshakeOver: () => this.#admission.handshakeOver(),
      onIdentified: (connection, acceptedAtMs, conveyed) => this.#onIdentified(connection, acceptedAtMs, conveyed),
    };
    // A client that ends its side during the handshake, or in HTTP/2, is gone; #onOpen allows it to HTTP/1.
    this.#server = createServer({ allowHalfOpen: false, noDelay: true }, (socket) => this.#onConnection(socket));
    this.#server.on('error', (error: NodeJS.ErrnoException) => this.#onAcceptError(error));
  }

  /** Open connections, handshakes included. */
  get connections(): number {
    return this.#connections.size;
  }

  /** The bound port, after listen(). */
  get port(): number {
    const bound = this.#server.address();
    return typeof bound === 'object' && bound !== null ? bound.port : this.#options.port;
  }

  /** Rejects with node:net's error when the address cannot be bound. */
  listen(): Promise<void> {
    const { address, port } = this.#options;
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen({ host: address, port, backlog: BACKLOG }, () => {
        this.#server.removeListener('error', reject);
        const bound = this.#server.address() as AddressInfo;
        this.#boundTo = WILDCARDS.has(bound.address) ? null : bound;
        resolve();
      });
    });
  }

  /** New connections are refused by the system from now on; open ones go on. */
  stopAccepting(): void {
    if (this.#server.listening) this.#server.close();
  }

  /**
   * Stops accepting; idle connections close, busy ones after their exchanges (HTTP/1 with Connection: close, HTTP/2 with
   * GOAWAY). Resolves when the last one is gone: how long to wait is the caller's to say, with closeNow().
   */
  drain(): Promise<void> {
    this.#isDraining = true;
    this.stopAccepting();
    this.#http1.drain();
    this.#http2.drain();
    return this.#empty();
  }

  /** The time to drain is over: WebSockets are told 1001, everything else is cut; what is then left is cut a moment later. */
  goAway(): Promise<void> {
    this.#isDraining = true;
    this.stopAccepting();
    this.#http1.goAway();
    this.#http2.goAway();
    this.#streams.closeNow();
    const deadline = startDeadline(GOING_AWAY_MS, () => void this.closeNow());
    return this.#empty().then(() => deadline.cancel());
  }

  closeNow(): Promise<void> {
    this.#isDraining = true;
    this.stopAccepting();
    this.#http1.closeNow();
    this.#http2.closeNow();
    this.#streams.closeNow();
    setImmediate(() => {
      for (const { rawSocket } of this.#connections) rawSocket.destroy(); // streams have been reset by then (tls/reset-socket.ts)
    });
    return this.#empty();
  }

  /**
   * After a reload: `current()` may judge clients by another trust. Connections that it would not have let in end after their
   * current exchange, and at last after `timeoutMs`.
   */
  reviewClients(timeoutMs: number): void {
    this.#reviewTimeoutMs = timeoutMs;
    this.#review.review(this.#options.current(), this.#clock.wallMs(), timeoutMs);
  }

  #onConnection(socket: Socket): void {
    const connection = new ClientConnection(socket, this.#options, this.#boundTo);
    const { remoteAddress, proxy } = connection;
    const balancers = this.#options.trustedSources?.() ?? null;
    if (balancers !== null && !isTrusted(balancers, remoteAddress)) {
      refuseConnection(connection, 'proxy_protocol_untrusted', 'its address is not among trustedSources', 0);
      return;
    }
    // a balancer stands for all of its clients: none of them is known before its header
    const counted = balancers === null ? remoteAddress : null;
    const refusal = this.#admission.enter(counted, proxy.limits);
    if (refusal !== null) {
      this.#refuse(connection, refusal);
      return;
    }
    connection.countedAs = counted;
    this.#connections.add(connection);
    connection.onClosed = this.#onClosed;
    (socket as CountedSocket)[CONNECTION] = connection;
    socket.on('close', onSocketClose);
    const acceptedAtMs = this.#clock.monotonicMs();
    if (balancers === null) this.#begin(connection, acceptedAtMs, acceptedAtMs);
    else new ProxiedStart(this.#proxiedStarts, connection, acceptedAtMs);
  }

  #onIdentified(connection: ClientConnection, acceptedAtMs: number, conveyed: boolean): void {
    const { remoteAddress, proxy } = connection;
    if (conveyed && !this.#admission.identify(remoteAddress, proxy.limits)) {
      this.#admission.handshakeOver();
      this.#refuse(connection, 'address_limit');
      return;
    }
    if (conveyed) connection.countedAs = remoteAddress;
    this.#begin(connection, acceptedAtMs, this.#clock.monotonicMs());
  }

  #begin(connection: ClientConnection, acceptedAtMs: number, nowMs: number): void {
    const { tls, traffic } = connection.proxy;
    if (tls !== null) {
      new Handshake(this.#handshakes, connection, tls, acceptedAtMs, nowMs);
    } else if (traffic.kind === 'stream') {
      this.#admission.handshakeOver();
      this.#onOpen(connection.rawSocket, connection, 'http1');
    } else {
      new PlainStart(this.#plainStarts, connection, acceptedAtMs);
    }
  }

  /** Whatever came before its first application byte is over; `socket` is the TLS socket, or the TCP socket where there is no TLS. */
  #onOpen(socket: Socket, connection: ClientConnection, protocol: 'http1' | 'http2'): void {
    const isStream = connection.proxy.traffic.kind === 'stream';
    const door = isStream ? this.#streams : protocol === 'http2' ? this.#http2 : this.#http1;
    if (door === this.#http1) socket.allowHalfOpen = true; // a client that ends its side after the request still gets the response
    connection.draining = door.accept(socket, connection);
    connection.onUnjudged = this.#judge;
    this.#judge(connection); // a reload may have come during its handshake
    if (this.#isDraining) door.drain(); // it was in its handshake when the others were told
  }

  #refuse(connection: ClientConnection, refusal: Refusal): void {
    refuseConnection(connection, refusal, REFUSALS[refusal], 0);
    if (refusal === 'connection_limit') this.#paused(refusal);
  }

  /** EMFILE and ENFILE: the system has closed what it could not hand over. The listening socket goes on. */
  #onAcceptError(error: NodeJS.ErrnoException): void {
    if (this.#server.listening) this.#paused(error.code ?? 'error');
  }

  #paused(reason: string): void {
    if (this.#pausedFor !== null) return; // once for a period, however many knock
    this.#pausedFor = reason;
    this.#options.events.onAcceptPaused(reason);
  }

  #resumed(): void {
    if (this.#pausedFor === null) return;
    this.#pausedFor = null;
    this.#options.events.onAcceptPaused('resumed');
  }

  #empty(): Promise<void> {
    return new Promise((resolve) => {
      this.#whenEmpty.push(resolve);
      if (this.#connections.size === 0) this.#settle();
    });
  }

  #settle(): void {
    if (this.#whenEmpty.length === 0) return;
    clearInterval(this.#reviewTimer);
    this.#http1.stop();
    this.#http2.stop();
    for (const resolve of this.#whenEmpty.splice(0)) resolve();
  }
}

/** The socket carries its connection, so that one listener serves all of them without a closure each. */
interface CountedSocket extends Socket {
  [CONNECTION]?: ClientConnection | null;
}

function onSocketClose(this: CountedSocket): void {
  const connection = this[CONNECTION];
  this[CONNECTION] = null; // for the reason that http1-connection.ts has
  connection?.onClosed?.(connection);
}

const CONNECTION = Symbol('connection');

const REFUSALS: Readonly<Record<Refusal, string>> = {
  connection_limit: 'limits.connections, or what RLIMIT_NOFILE allows, is reached',
  address_limit: 'limits.connectionsPerAddress is reached',
  handshake_limit: 'limits.unfinishedHandshakes is reached',
};

const WILDCARDS: ReadonlySet<string> = new Set(['0.0.0.0', '::']);
const DEFAULT_REVIEW_TIMEOUT_MS = 30_000; // the default of sallyport.drain.timeoutSec
const GOING_AWAY_MS = 500; // ours: a round trip to anybody, for the close frame and the answer to it
const BACKLOG = 4096; // the kernel caps it at net.core.somaxconn, by default as much
