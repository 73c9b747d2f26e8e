import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { asProxyError, ProxyError } from '../base/errors.ts';
import { hostPort } from '../base/host-port.ts';
import type { ConnectionFacts, Exchange } from '../http/exchange.ts';
import type { Place } from '../http/place.ts';
import type { ConveyedAddresses } from '../http/proxy-protocol-reader.ts';
import type { ClientAuthentication, JudgedClient } from './client-auth.ts';
import type { FrontendEvents, FrontendProxy } from './contract.ts';
import type { HandshakeFacts } from './handshake-facts.ts';

export interface LocalEnd {
  readonly address: string;
  readonly port: number;
}

/** Connection: close or GOAWAY, and the end after what runs. */
export interface Draining {
  drain(): void;
}

/** Where a connection came in and whom to ask what its requests get. */
export interface ConnectionHome {
  readonly events: FrontendEvents;
  /** Name of the rule that leads here; a reload may rename it. */
  forwardingRule(): string;
  /** The newest proxy; a reload swaps it without touching the connections. */
  current(): FrontendProxy;
}

/**
 * One accepted connection. It keeps the proxy (and so the policy) that it was accepted under, but each request goes to the
 * newest `onExchange` of that proxy.
 */
export class ClientConnection implements ConnectionFacts {
  remoteAddress: string;
  remotePort: number;
  localAddress: string;
  localPort: number;
  readonly targetProxy: string;
  readonly forwardingRule: string;
  readonly proxy: FrontendProxy;
  readonly events: FrontendEvents;
  /** The address that admission counted it under; null: none. */
  countedAs: string | null;
  /** The TCP socket under the TLS socket. */
  readonly rawSocket: Socket;
  serialised: object | null;
  hops: string | null;
  readonly #home: ConnectionHome;
  readonly #serial: number;
  /** undefined: nobody has asked yet. */
  #place: Place | null | undefined;
  /** Set once, when the handshake is over. */
  tls: HandshakeFacts | null;
  /** Who made the verdict on its client; null: nobody, it was not asked. */
  judgedBy: ClientAuthentication | null;
  /** Told of its end while it lasts; null before and after. */
  handshake: { onClosed(): void } | null;
  /** null until its door has it. */
  draining: Draining | null;
  /** Told when its TCP socket is gone; null before it counts. */
  onClosed: ((connection: ClientConnection) => void) | null;
  /** Judges its client by the newest proxy; null until its handshake is over. */
  onUnjudged: ((connection: ClientConnection) => void) | null;
  /** Wall time at which the verdict on the client's certificate ends. */
  validUntilMs: number;
  /** Its client is not, or no longer, authenticated as the newest proxy wants: what comes after its current exchange is not served. */
  isExpelled: boolean;

  /** `local`: where the listening socket is bound, if that is one address; null: the socket is asked. */
  constructor(rawSocket: Socket, home: ConnectionHome, local: LocalEnd | null = null) {
    this.remoteAddress = plainAddress(rawSocket.remoteAddress ?? '');
    this.remotePort = rawSocket.remotePort ?? 0;
    this.localAddress = plainAddress((local === null ? rawSocket.localAddress : local.address) ?? '');
    this.localPort = (local === null ? rawSocket.localPort : local.port) ?? 0;
    this.proxy = home.current();
    this.targetProxy = this.proxy.name;
    this.forwardingRule = home.forwardingRule();
    this.events = home.events;
    this.rawSocket = rawSocket;
    this.countedAs = null;
    this.serialised = null;
    this.hops = null;
    this.#home = home;
    this.#serial = ++connectionCount;
    this.#place = undefined;
    this.tls = null;
    this.judgedBy = clientAuthenticationOf(this.proxy);
    this.handshake = null;
    this.draining = null;
    this.onClosed = null;
    this.onUnjudged = null;
    this.validUntilMs = Number.POSITIVE_INFINITY;
    this.isExpelled = false;
  }

  get id(): string {
    return `${PROCESS_ID}-${this.#serial.toString(36)}`;
  }

  get isSecure(): boolean {
    return this.tls !== null;
  }

  /** Of the client, behind a balancer too; as the newest database knew it at the first request that says it. */
  get place(): Place | null {
    if (this.#place === undefined) this.#place = this.#home.current().placeOf?.(this.remoteAddress) ?? null;
    return this.#place;
  }

  get keepAliveTimeoutMs(): number {
    const { traffic } = this.proxy;
    return traffic.kind === 'http' ? traffic.keepAliveTimeoutMs : Number.POSITIVE_INFINITY;
  }

  /** address:port of our side, brackets around IPv6: the authority of an HTTP/1.0 request without Host (RFC 9112 section 3.3). */
  get localAuthority(): string {
    return hostPort(this.localAddress, this.localPort);
  }

  /** A trusted balancer says for whom it speaks, and what that client connected to; before anything is reported. */
  convey({ sourceAddress, sourcePort, destinationAddress, destinationPort }: ConveyedAddresses): void {
    this.remoteAddress = sourceAddress;
    this.remotePort = sourcePort;
    this.localAddress = destinationAddress;
    this.localPort = destinationPort;
  }

  /** The handshake is over; `client` null: it was not asked for a certificate. */
  authenticated(facts: HandshakeFacts, client: JudgedClient | null): void {
    this.tls = facts;
    if (client !== null) this.validUntilMs = client.validUntilMs;
  }

  /** Hands an exchange to whoever forwards it. A throw there is a defect, but one of a single exchange. */
  deliver(exchange: Exchange): void {
    const newest = this.#home.current();
    if (clientAuthenticationOf(newest) !== this.judgedBy) this.onUnjudged?.(this);
    if (this.isExpelled) {
      exchange.abort(new ProxyError('client_cert_validation_failed', { phase: 'head', detail: EXPELLED }));
      return;
    }
    const { traffic } = newest.name === this.proxy.name && newest.traffic.kind === 'http' ? newest : this.proxy;
    try {
      if (traffic.kind === 'http') traffic.onExchange(exchange);
    } catch (thrown) {
      const error = asProxyError(thrown, 'internal_error', { phase: 'head' });
      exchange.abort(error);
      this.events.onBadRequest(this, error);
    }
  }
}

/** null also where there is no TLS to ask in. */
export function clientAuthenticationOf({ tls }: FrontendProxy): ClientAuthentication | null {
  return tls === null ? null : tls.clientAuthentication;
}

/** ::ffff:192.0.2.1 is how a dual-stack socket shows an IPv4 peer. */
function plainAddress(address: string): string {
  return address.startsWith('::ffff:') && address.includes('.') ? address.slice('::ffff:'.length) : address;
}

const EXPELLED = 'the connection ends: its client is not authenticated as the configuration now wants';

let connectionCount = 0;

/** Ids of two processes, or of two starts of one, do not meet in a log. */
const PROCESS_ID = randomBytes(4).toString('hex');
