import type { Socket } from 'node:net';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import type { Clock } from '../base/clock.ts';
import type { AlpnProtocol } from '../tls/alpn.ts';
import type { CertificateEntry } from '../tls/certificate-entry.ts';
import type { TicketGeneration } from '../tls/ticket-keys.ts';
import type { TlsTermination } from './contract.ts';

/** Who waits for a handshake. */
export interface EngineClient {
  onSecure(socket: TLSSocket): void;
  /** The TLS socket is destroyed by the engine. */
  onTlsError(error: Error & { code?: string }): void;
}

/** What one engine is for. */
export interface EngineChoice {
  readonly certificate: CertificateEntry;
  /**
   * The best that may be offered: h2 only where RFC 9113 section 9.2 allows it (the hello tells before the handshake which version
   * and suite it will be); null: the extension is not answered.
   */
  readonly alpn: AlpnProtocol | null;
  /** null: no tickets. */
  readonly tickets: TicketGeneration | null;
}

interface Engine {
  readonly server: Server;
  /** Wall time after which nothing needs it; Infinity without tickets. */
  readonly validUntilMs: number;
}

/**
 * TLS engines: `tls.Server`s that never listen, because a policy takes effect only in a server's base context (SNICallback
 * applies certificate, key and chain, and ignores the rest in silence). One per proxy, certificate, ALPN list and generation of
 * ticket keys (a context has one set of keys), made when first needed: 40 kB and 0.4 ms each. Handshakes and connections keep
 * the one that they began with.
 */
export class EngineSet {
  readonly #clock: Clock;
  readonly #engines = new WeakMap<TlsTermination, Map<string, Engine>>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Hands a socket, whose first bytes were put back, to the engine. */
  start(tls: TlsTermination, choice: EngineChoice, socket: Socket, client: EngineClient): void {
    (socket as WaitingSocket)[WAITING] = client;
    this.#engineFor(tls, choice).emit('connection', socket);
  }

  #engineFor(tls: TlsTermination, choice: EngineChoice): Server {
    let engines = this.#engines.get(tls);
    if (engines === undefined) {
      engines = new Map();
      this.#engines.set(tls, engines);
    }
    const { certificate, alpn, tickets } = choice;
    const key = `${alpn ?? ''} ${tickets === null ? '' : tickets.id} ${certificate.name}`;
    const existing = engines.get(key);
    if (existing !== undefined) return existing.server;
    this.#makeRoom(engines);
    const server = this.#createEngine(tls, choice);
    engines.set(key, { server, validUntilMs: tickets === null ? Number.POSITIVE_INFINITY : tickets.validUntilMs });
    return server;
  }

  /** Drops what is over with its ticket keys and, beyond the cap, the oldest: its next client makes it again, and tickets still fit. */
  #makeRoom(engines: Map<string, Engine>): void {
    const nowMs = this.#clock.wallMs();
    for (const [key, engine] of engines) if (engine.validUntilMs <= nowMs) engines.delete(key);
    if (engines.size < MAX_ENGINES) return;
    for (const key of engines.keys()) {
      engines.delete(key);
      return;
    }
  }

  #createEngine(tls: TlsTermination, { certificate, alpn, tickets }: EngineChoice): Server {
    // disjoint lists end in a fatal no_application_protocol (RFC 7301 section 3.2)
    const options = tls.engineOptions(certificate, tickets);
    const engine = createServer({
      ...(tls.clientAuthentication?.engineOptions(options) ?? options),
      ...(alpn === null ? {} : { ALPNProtocols: alpn === 'h2' ? ['h2', 'http/1.1'] : ['http/1.1'] }),
      handshakeTimeout: -1, // none of node:tls's, a timer for each socket: the handshake's own deadline is shorter
    });
    engine.on('secureConnection', (socket) => {
      const client = take(socket);
      if (client === undefined) socket.destroy();
      else client.onSecure(socket);
    });
    engine.on('tlsClientError', (error, socket) => {
      take(socket)?.onTlsError(error);
      socket.destroy(); // a tls.Server leaves that to us
    });
    return engine;
  }
}

/** Whoever waits for it, once. node:tls gives no public way from a TLS socket to the socket that it was made of. */
function take(socket: TLSSocket): EngineClient | undefined {
  const raw = (socket as { _parent?: WaitingSocket })._parent;
  const client = raw?.[WAITING];
  if (raw !== undefined) raw[WAITING] = undefined;
  return client;
}

const WAITING = Symbol('waiting for a handshake');

/** On the socket itself: a WeakMap with an entry for each handshake would cost every collection. */
interface WaitingSocket extends Socket {
  [WAITING]?: EngineClient | undefined;
}

const MAX_ENGINES = 1024; // per proxy and listener: 40 MB; a certificate map may have 5000 entries
