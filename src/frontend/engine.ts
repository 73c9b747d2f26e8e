import type { Socket } from 'node:net';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import type { CertificateEntry } from '../tls/certificate-entry.ts';
import type { FrontendProxy } from './contract.ts';

/** Who waits for a handshake. */
export interface EngineClient {
  onSecure(socket: TLSSocket): void;
  /** The TLS socket is destroyed by the engine. */
  onTlsError(error: Error & { code?: string }): void;
}

/**
 * TLS engines: `tls.Server`s that never listen, because a policy takes effect only in a server's base context (SNICallback
 * applies certificate, key and chain, and ignores the rest in silence). One per proxy, certificate and ALPN list, made when
 * first needed: 40 kB and 0.4 ms each.
 */
export class EngineSet {
  readonly #engines = new WeakMap<FrontendProxy, Map<string, Server>>();
  readonly #waiting = new WeakMap<Socket, EngineClient>();

  /**
   * Hands a socket, whose first bytes were put back, to the engine. `http2`: may be offered (RFC 9113 section 9.2; the
   * hello tells before the handshake which version and suite it will be).
   */
  start(
    proxy: FrontendProxy,
    certificate: CertificateEntry,
    http2: 'h2' | 'no-h2',
    socket: Socket,
    client: EngineClient,
  ): void {
    this.#waiting.set(socket, client);
    this.#engineFor(proxy, certificate, http2).emit('connection', socket);
  }

  #engineFor(proxy: FrontendProxy, certificate: CertificateEntry, http2: 'h2' | 'no-h2'): Server {
    let engines = this.#engines.get(proxy);
    if (engines === undefined) {
      engines = new Map();
      this.#engines.set(proxy, engines);
    }
    const key = `${http2} ${certificate.name}`;
    let engine = engines.get(key);
    if (engine === undefined) {
      engine = this.#createEngine(proxy, certificate, http2);
      engines.set(key, engine);
    }
    return engine;
  }

  #createEngine(proxy: FrontendProxy, certificate: CertificateEntry, http2: 'h2' | 'no-h2'): Server {
    // disjoint lists end in a fatal no_application_protocol (RFC 7301 section 3.2)
    const engine = createServer({
      ...proxy.engineOptions(certificate),
      ALPNProtocols: http2 === 'h2' ? ['h2', 'http/1.1'] : ['http/1.1'],
    });
    engine.on('secureConnection', (socket) => {
      const client = this.#take(socket);
      if (client === undefined) socket.destroy();
      else client.onSecure(socket);
    });
    engine.on('tlsClientError', (error, socket) => {
      this.#take(socket)?.onTlsError(error);
      socket.destroy(); // a tls.Server leaves that to us
    });
    return engine;
  }

  /** node:tls gives no public way from a TLS socket to the socket that it was made of. */
  #take(socket: TLSSocket): EngineClient | undefined {
    const raw = (socket as { _parent?: Socket })._parent;
    if (raw === undefined) return undefined;
    const client = this.#waiting.get(raw);
    this.#waiting.delete(raw);
    return client;
  }
}
