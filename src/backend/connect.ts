import { connect as connectTcp, isIP, type Socket, type TcpNetConnectOpts } from 'node:net';
import { connect as connectTls, type SecureContext, type TLSSocket } from 'node:tls';
import type { Clock } from '../base/clock.ts';
import { type Deadline, startDeadline } from '../base/deadline.ts';
import { ProxyError } from '../base/errors.ts';
import { hostPort } from '../base/host-port.ts';
import type { BackendTlsRecord } from '../http/exchange-record.ts';
import type { Revocation } from '../pki/revocation.ts';
import type { Refused, Trusted, Verdict } from '../pki/verdict.ts';
import { peerChain } from '../tls/peer-chain.ts';
import type { BackendConnectionFacts, Endpoint } from './contract.ts';
import type { BackendEvents } from './events.ts';
import { type Admission, readmit } from './readmit.ts';
import { type AcceptedSession, type SessionStore, sessionKey } from './session-store.ts';
import { alpnError, type ConnectPhase, connectError, connectTimeout, refusedError } from './translate-error.ts';

/** Who the proxy is towards a backend and whom it accepts there. */
export interface BackendIdentity {
  /** Over trust, names and client certificate; not over CRLs. */
  readonly digest: string;
  /** SNI; null sends none. */
  readonly servername: string | null;
  readonly secureContext: SecureContext;
  /** REPORT_ONLY: what `judge` refuses is reported and used all the same. */
  readonly reportOnly: boolean;
  /** The chain as sent, DER, leaf first; empty when the backend sent none. */
  judge(chain: readonly Uint8Array[]): Verdict;
  /** Equal texts: `judge` consults the same CRLs. '': none. */
  readonly crls: string;
  /** CRLs for all verdicts from now on; false: they are what it has. */
  useRevocation(revocation: Revocation | null): boolean;
}

/** What all connections of one backend service have in common. */
export interface ConnectTerms {
  readonly service: string;
  /** null: plain TCP. */
  readonly identity: BackendIdentity | null;
  /** null: no ALPN. */
  readonly alpn: 'h2' | 'http/1.1' | null;
  readonly timeoutMs: number;
  readonly clock: Clock;
  /** null: none is offered and none is kept. Set to null when the identity retires. */
  sessions: SessionStore | null;
  readonly events: BackendEvents;
}

/** A connection whose certificate was accepted, or plain TCP; no byte of HTTP has been sent on it. */
export interface AcceptedConnection extends Admission {
  readonly socket: Socket;
  /** Of a stream over TLS the TCP socket below it; otherwise `socket`. */
  readonly rawSocket: Socket;
  /** `facts` of the first exchange and of all later ones. */
  readonly fresh: BackendConnectionFacts;
  readonly reused: BackendConnectionFacts;
  /** The first error of the socket: the only place where a late TLS alert shows (undici reports a bare close). */
  failure: Error | null;
}

/** Called once: with either an error or a connection. */
export type ConnectCallback = (error: ProxyError | null, connection: AcceptedConnection | null) => void;

/**
 * TCP, TLS and the verdict on the certificate within one deadline. The verdict falls before any byte of HTTP; our client
 * certificate has been shown by then (Node cannot verify earlier). `endpoint.address` is an IP literal: what was checked is dialled.
 */
export function connect(terms: ConnectTerms, endpoint: Endpoint, callback: ConnectCallback): void {
  new Attempt(terms, endpoint, null, callback).start();
}

/**
 * The same for a connection that carries a stream: half-open, so that either direction can end by itself. `preamble` (a PROXY header)
 * is the first that the backend gets, in front of TLS; null: none.
 */
export function connectStream(
  terms: ConnectTerms,
  endpoint: Endpoint,
  preamble: Buffer | null,
  callback: ConnectCallback,
): void {
  new Attempt(terms, endpoint, { preamble }, callback).start();
}

class Attempt {
  readonly #terms: ConnectTerms;
  readonly #endpoint: Endpoint;
  /** null: it carries HTTP. */
  readonly #stream: { readonly preamble: Buffer | null } | null;
  readonly #callback: ConnectCallback;
  readonly #startedMs: number;
  readonly #deadline: Deadline;
  readonly #dialled: string;
  #phase: ConnectPhase = 'tcp';
  #socket: Socket | null = null;
  /** Of a stream: the TCP socket, under TLS or without. */
  #rawSocket: Socket | null = null;
  #sessionKey = '';
  #offered: AcceptedSession | null = null;
  #accepted: AcceptedConnection | null = null;
  #sessionNotAfterMs = 0;
  #settled = false;

  constructor(
    terms: ConnectTerms,
    endpoint: Endpoint,
    stream: { readonly preamble: Buffer | null } | null,
    callback: ConnectCallback,
  ) {
    this.#terms = terms;
    this.#endpoint = endpoint;
    this.#stream = stream;
    this.#callback = callback;
    const { address, port } = endpoint;
    this.#dialled = hostPort(address, port);
    this.#startedMs = terms.clock.monotonicMs();
    this.#deadline = startDeadline(terms.timeoutMs, () => {
      this.#fail(connectTimeout(this.#dialled, this.#phase, this.#terms.timeoutMs));
    });
  }

  start(): void {
    const { address, port } = this.#endpoint;
    if (isIP(address) === 0) {
      const detail = `${address} is a name, and nobody has looked where it leads`; // the system would, unchecked (security rule 36)
      this.#fail(new ProxyError('internal_error', { phase: 'connect', detail }));
      return;
    }
    const { identity } = this.#terms;
    const tcp = {
      host: address,
      port,
      autoSelectFamily: false, // one address: there is nothing to select, and its timer and extra sockets stay away
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: KEEP_ALIVE_PROBE_MS,
      allowHalfOpen: this.#stream !== null,
    };
    if (identity === null) {
      const socket = this.#dialTcp(tcp);
      socket.once('connect', () => this.#accept(socket, null, PLAIN, 0));
      return;
    }
    if (this.#stream !== null) {
      // TLS over a socket of its own: a preamble goes in front, and only a TCP socket can be reset.
      const socket = this.#dialTcp(tcp);
      socket.once('connect', () => this.#startTls(identity, { socket }));
      return;
    }
    this.#startTls(identity, tcp).once('connect', () => {
      this.#phase = 'tls';
    });
  }

  #dialTcp(tcp: TcpNetConnectOpts): Socket {
    const socket = connectTcp(tcp);
    this.#rawSocket = socket;
    this.#watch(socket);
    socket.once('connect', () => {
      const preamble = this.#stream?.preamble ?? null;
      if (preamble !== null) socket.write(preamble);
    });
    return socket;
  }

  #startTls(identity: BackendIdentity, over: TcpNetConnectOpts | { readonly socket: Socket }): TLSSocket {
    const { alpn } = this.#terms;
    if ('socket' in over) this.#phase = 'tls';
    this.#sessionKey = sessionKey(this.#dialled, identity.servername, alpn ?? '', identity.digest);
    this.#offered = this.#takeSession(identity);
    const socket = connectTls({
      ...over,
      secureContext: identity.secureContext,
      rejectUnauthorized: false, // our verifier decides, before the first byte of HTTP
      ...(alpn === null ? {} : { ALPNProtocols: [alpn] }),
      ...(identity.servername === null ? {} : { servername: identity.servername }),
      ...(this.#offered === null ? {} : { session: this.#offered.session }),
    });
    this.#watch(socket);
    socket.once('secureConnect', () => this.#onSecure(socket, identity));
    socket.on('session', (session) => this.#onSession(session));
    return socket;
  }

  #watch(socket: Socket): void {
    this.#socket = socket;
    // Stays for the life of the socket: errors that come when nobody else listens must not end the process.
    socket.on('error', (error) => {
      if (this.#accepted !== null) {
        this.#accepted.failure ??= error;
        socket.destroy(); // a TLS alert leaves it open, and an HTTP/2 session on it would never learn of its end
        return;
      }
      if (socket === this.#socket) this.#onFailure(error);
    });
  }

  #onFailure(error: Error): void {
    if (this.#settled) return;
    if (this.#offered !== null) this.#sessions?.drop(this.#sessionKey);
    this.#fail(connectError(error, this.#phase, this.#dialled));
  }

  #onSecure(socket: TLSSocket, identity: BackendIdentity): void {
    if (this.#settled) return;
    const { alpn } = this.#terms;
    if (alpn === 'h2' && socket.alpnProtocol !== 'h2') {
      this.#fail(alpnError(socket.alpnProtocol, this.#dialled));
      return;
    }
    const resumed = socket.isSessionReused();
    if (resumed && this.#offered !== null) {
      const revoked = readmit(identity, this.#offered); // since it was offered
      if (revoked !== null) this.#fail(refusedError(revoked, this.#dialled));
      else this.#accept(socket, tlsFacts(socket, 'resumed'), this.#offered, this.#offered.notAfterMs);
      return;
    }
    // The backend did not take the session, so its certificate is judged anew; the old verdict must not outlive it.
    this.#sessions?.drop(this.#sessionKey);
    const chain = peerChain(socket);
    const { crls } = identity;
    const verdict = identity.judge(chain);
    if (!verdict.ok) {
      if (identity.reportOnly)
        this.#acceptRefused(socket, verdict, { chain, crls, notAfterMs: Number.POSITIVE_INFINITY });
      else this.#fail(refusedError(verdict, this.#dialled));
      return;
    }
    // Neither an allowlisted nor an unauthenticated certificate is asked for its dates (spec 10.12, 10.14).
    const dated = verdict.by === 'anchor' || verdict.by === 'publicRoots';
    const notAfterMs = dated ? verdict.notAfterMs : Number.POSITIVE_INFINITY;
    const word = identity.reportOnly ? 'would-accept' : VERDICT_WORDS[verdict.by];
    this.#accept(socket, tlsFacts(socket, word), { chain, crls, notAfterMs }, verdict.notAfterMs);
  }

  /** REPORT_ONLY: says what enforcing would have done, and does not do it. */
  #acceptRefused(socket: TLSSocket, verdict: Refused, admission: Admission): void {
    this.#terms.events.onReportOnlyFailure(this.#terms.service, this.#dialled, verdict);
    this.#accept(socket, tlsFacts(socket, 'would-refuse', verdict), admission, 0);
  }

  /** None under REPORT_ONLY: every connection is judged by its own certificate, and nothing is left that enforcing could resume. */
  get #sessions(): SessionStore | null {
    return this.#terms.identity?.reportOnly === true ? null : this.#terms.sessions;
  }

  #onSession(session: Buffer): void {
    // Node holds sessions back until after secureConnect, so no verdict yet means: refused.
    if (this.#accepted === null) return;
    const { chain, crls } = this.#accepted;
    this.#sessions?.put(this.#sessionKey, { session, chain, crls, notAfterMs: this.#sessionNotAfterMs });
  }

  /** The session to offer, unless CRLs have revoked since what it was made under. */
  #takeSession(identity: BackendIdentity): AcceptedSession | null {
    const entry = this.#sessions?.take(this.#sessionKey) ?? null;
    if (entry === null || readmit(identity, entry) === null) return entry;
    this.#sessions?.drop(this.#sessionKey);
    return null;
  }

  #accept(socket: Socket, tls: BackendTlsRecord | null, admission: Admission, sessionNotAfterMs: number): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#sessionNotAfterMs = sessionNotAfterMs;
    this.#deadline.cancel();
    const endpoint = this.#dialled;
    const fresh: BackendConnectionFacts = { endpoint, reused: false, tls };
    const { chain, crls, notAfterMs } = admission;
    const reused: BackendConnectionFacts = { endpoint, reused: true, tls };
    this.#accepted = {
      socket,
      rawSocket: this.#rawSocket ?? socket,
      fresh,
      reused,
      chain,
      crls,
      notAfterMs,
      failure: null,
    };
    this.#terms.events.onConnect(this.#terms.service, fresh, this.#elapsedMs());
    this.#callback(null, this.#accepted);
  }

  #fail(error: ProxyError): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#deadline.cancel();
    this.#socket?.destroy();
    this.#terms.events.onConnectFailure(this.#terms.service, this.#dialled, error, this.#elapsedMs());
    this.#callback(error, null);
  }

  #elapsedMs(): number {
    return this.#terms.clock.monotonicMs() - this.#startedMs;
  }
}

function tlsFacts(socket: TLSSocket, verdict: string, refused: Refused | null = null): BackendTlsRecord {
  return {
    protocol: socket.getProtocol() ?? '',
    cipher: socket.getCipher().standardName,
    resumed: socket.isSessionReused(),
    verdict,
    rule: refused?.rule ?? null,
    depth: refused?.depth ?? -1,
    reason: refused?.reason ?? null,
  };
}

const VERDICT_WORDS: Readonly<Record<Trusted['by'], string>> = {
  anchor: 'verified',
  publicRoots: 'public',
  allowlist: 'allowlisted',
  unauthenticated: 'unauthenticated',
};

const PLAIN: Admission = { chain: [], crls: '', notAfterMs: Number.POSITIVE_INFINITY };

/** Spec 10.23: TCP and TLS to a backend. */
export const CONNECT_TIMEOUT_MS = 5000;
const KEEP_ALIVE_PROBE_MS = 60_000; // a silent peer is noticed well before the 600 s that an idle connection may live
