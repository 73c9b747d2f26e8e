// hot path: the peek runs for every connection, before anything is known of the client.
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { Clock } from '../base/clock.ts';
import { startDeadline } from '../base/deadline.ts';
import { type DeadlineQueue, Expiring } from '../base/deadline-queue.ts';
import type { Turn, TurnTaker } from '../base/turn.ts';
import { http2Allowed } from '../tls/alpn.ts';
import type { CertificateEntry } from '../tls/certificate-entry.ts';
import { type ClientHello, HelloReader } from '../tls/client-hello.ts';
import {
  alertRecord,
  type HandshakeFailureCause,
  type HandshakeFailureReason,
  handshakeFailureReason,
} from '../tls/handshake-failure-reason.ts';
import { type Negotiation, negotiate, negotiatedVersion } from '../tls/negotiate.ts';
import { peerChain } from '../tls/peer-chain.ts';
import { chooseServedCertificate } from '../tls/served-certificates.ts';
import { clientCertificateError, type JudgedClient } from './client-auth.ts';
import type { ClientConnection } from './client-connection.ts';
import type { TlsTermination } from './contract.ts';
import { type CostlyClients, threadCpuMs } from './costly-clients.ts';
import type { EngineClient, EngineSet } from './engine.ts';
import { HandshakeFacts } from './handshake-facts.ts';
import { reportHandshakeFailure } from './handshake-failure.ts';
import { observeFailed, observeSecured } from './hello-observer.ts';
import { servedNames } from './served-names.ts';
import type { FrontendTimeouts } from './timeouts.ts';

/** What a handshake needs of the listener. */
export interface HandshakeOwner {
  readonly engines: EngineSet;
  readonly costlyClients: CostlyClients;
  readonly timeouts: FrontendTimeouts;
  /** Of `timeouts.handshakeMs`. */
  readonly deadlines: DeadlineQueue;
  /** Of hellos. */
  readonly turn: Turn;
  readonly clock: Clock;
  /** It ended, one way or the other. */
  onHandshakeOver(handshake: Handshake): void;
  onSecured(socket: TLSSocket, connection: ClientConnection): void;
}

/**
 * From accept to the end of the TLS handshake, under one deadline:
 * read a ClientHello, put its bytes back, choose the certificate, let an engine do the handshake, check that it was the
 * handshake that was asked for. Every other end has one reason.
 */
export class Handshake extends Expiring implements EngineClient, TurnTaker {
  readonly connection: ClientConnection;
  readonly #tls: TlsTermination;
  readonly #owner: HandshakeOwner;
  readonly #socket: PeekedSocket;
  readonly #startedAtMs: number;
  /** Until there is a hello, or something else. */
  #reader: HelloReader | null;
  #hello: ClientHello | null;
  #certificate: CertificateEntry | null;
  #negotiation: Negotiation | null;
  /** CPU time of the thread when an engine that authenticates took over. */
  #cpuMs: number;
  #isOver: boolean;

  constructor(
    owner: HandshakeOwner,
    connection: ClientConnection,
    tls: TlsTermination,
    acceptedAtMs: number,
    nowMs: number,
  ) {
    super();
    this.connection = connection;
    this.#tls = tls;
    this.#owner = owner;
    this.#socket = connection.rawSocket;
    this.#startedAtMs = acceptedAtMs;
    this.#reader = new HelloReader();
    this.#hello = null;
    this.#certificate = null;
    this.#negotiation = null;
    this.#cpuMs = 0;
    this.#isOver = false;
    this.#socket[PEEKING] = this;
    this.#socket.on('data', onSocketData);
    this.#socket.on('error', ignore); // 'close' follows, as it does when the client ends its side
    connection.handshake = this;
    owner.deadlines.add(this, nowMs, acceptedAtMs);
  }

  onSecure(socket: TLSSocket): void {
    if (this.#isOver) {
      socket.destroy();
      return;
    }
    const hello = this.#hello!;
    const negotiation = this.#negotiation!;
    if (!isSniAsPeeked(socket, hello.serverNameAsSent)) {
      this.#refuse('malformed_hello', 'the SNI changed during the handshake', 'destroy');
      return;
    }
    const facts = new HandshakeFacts(socket, hello, negotiation, this.#certificate!, this.#tls.sslPolicyName);
    const client = this.#authenticate(socket);
    if (client === 'refused') return;
    if (facts.alpn === 'h2' && !this.#isHttp2Allowed(facts)) {
      this.#refuse('internal', `h2 was negotiated with ${facts.protocol} ${facts.cipher}`, 'destroy');
      return;
    }
    if (client !== null) facts.authenticated(client.facts, servedNames(this.#certificate!));
    this.connection.authenticated(facts, client);
    this.#finish();
    const durationMs = this.#owner.clock.monotonicMs() - this.#startedAtMs;
    this.connection.events.onHandshake(this.connection, facts, durationMs);
    observeSecured(this.connection, this.#tls, hello, negotiation, facts, this.#owner.clock.wallMs());
    this.#owner.onSecured(socket, this.connection);
  }

  onTlsError(error: Error & { code?: string }): void {
    const code = error.code ?? '';
    const reason = this.#tls.clientAuthentication === null ? null : clientCertificateError(code);
    if (reason !== null) this.#blame(null);
    if (reason === null) this.#fail({ how: 'error', code }, 'leave');
    else this.#fail({ how: 'refused', reason: reason as HandshakeFailureReason, detail: code }, 'leave');
  }

  /** The verdict on the client, before any exchange; null: it was not asked. */
  #authenticate(socket: TLSSocket): JudgedClient | 'refused' | null {
    const { clientAuthentication } = this.#tls;
    if (clientAuthentication === null) return null;
    if (socket.isSessionReused()) {
      // such engines issue no tickets; a resumed session shows no chain that could be verified
      this.#refuse('internal', 'a session was resumed on an engine that authenticates clients', 'destroy');
      return 'refused';
    }
    const chain = peerChain(socket);
    const cpuMs = threadCpuMs();
    const client = clientAuthentication.judge(chain, this.#owner.clock.wallMs());
    const { error, reason } = client.facts;
    if (error !== null) this.#blame(chain, cpuMs);
    if (error === null || !clientAuthentication.rejectsInvalid) return client;
    this.#refuse(error as HandshakeFailureReason, reason, 'destroy');
    return 'refused';
  }

  /** A client that does not verify pays for what OpenSSL's own pass over its chain cost. */
  #blame(chain: readonly Uint8Array[] | null, cpuMs = threadCpuMs()): void {
    const { costlyClients, clock } = this.#owner;
    costlyClients.refused(this.connection.remoteAddress, chain, cpuMs - this.#cpuMs, clock.monotonicMs());
  }

  override onExpired(): void {
    this.#fail({ how: 'timeout' }, 'destroy');
  }

  /** Its socket is gone. */
  onClosed(): void {
    this.#fail({ how: 'closed' }, 'destroy');
  }

  onData(chunk: Buffer): void {
    const reader = this.#reader;
    if (reader !== null && reader.push(chunk) !== 'need-more') this.#onPeeked(reader);
  }

  #onPeeked(reader: HelloReader): void {
    this.#stopPeeking();
    if (reader.hello !== null) {
      this.#hello = reader.hello;
      this.#socket.unshift(reader.bytes);
      this.#owner.turn.add(this);
      return;
    }
    const cause: HandshakeFailureCause = { how: 'hello', status: reader.status, detail: reader.detail };
    this.#fail(cause, reader.status === 'plain-http' ? 'plain-http' : 'alert');
  }

  /** Its hello is here; null: it ended before its turn. */
  onTurn(): void {
    if (this.#hello === null || this.#socket.destroyed) return; // 'close' follows
    this.#chooseAndStart(this.#hello);
  }

  #chooseAndStart(hello: ClientHello): void {
    const tls = this.#tls;
    if (tls.clientAuthentication !== null) {
      if (this.#owner.costlyClients.isPenalised(this.connection.remoteAddress, this.#owner.clock.monotonicMs())) {
        this.#refuse('client_cert_validation_unavailable', PENALISED, 'destroy');
        return;
      }
      this.#cpuMs = threadCpuMs();
    }
    const choice = chooseServedCertificate(hello, tls.policy, tls.certificates, this.#owner.clock.wallMs());
    if (choice.entry === null) {
      const lacksSni = choice.reason === 'sni_unknown' && hello.serverName === null;
      const isTls13 = lacksSni && negotiatedVersion(hello, tls.policy) === 'TLSv1.3';
      this.#refuse(choice.reason, choice.detail, isTls13 ? 'missing-extension' : 'alert');
      return;
    }
    const negotiation = negotiate(hello, tls.policy, choice.entry);
    this.#certificate = choice.entry;
    this.#negotiation = negotiation;
    const isHttp2 = !negotiation.ok || http2Allowed(negotiation.version, negotiation.suite);
    const alpn = this.connection.proxy.traffic.kind === 'stream' ? null : isHttp2 ? 'h2' : 'http/1.1';
    const version = negotiation.ok ? negotiation.version : null;
    const tickets = tls.ticketGeneration(choice.entry, version, hello.ticketKeyName);
    this.#owner.engines.start(tls, { certificate: choice.entry, alpn, tickets }, this.#socket, this);
  }

  /** A second look after the fact: a resumed session brings its own suite. */
  #isHttp2Allowed(facts: HandshakeFacts): boolean {
    if (facts.protocol === 'TLSv1.3') return true;
    const suite = this.#tls.policy.suites.find(({ name }) => name === facts.cipher);
    return suite !== undefined && facts.protocol === 'TLSv1.2' && http2Allowed('TLSv1.2', suite);
  }

  #refuse(reason: HandshakeFailureReason, detail: string, farewell: Farewell): void {
    this.#fail({ how: 'refused', reason, detail }, farewell);
  }

  #fail(cause: HandshakeFailureCause, farewell: Farewell): void {
    if (this.#isOver) return;
    const hello = this.#hello;
    const negotiation = this.#negotiation;
    this.#finish();
    const verdict = handshakeFailureReason(hello, this.#tls.policy, this.#certificate, cause);
    reportHandshakeFailure(this.connection, hello, verdict, this.#owner.clock.monotonicMs() - this.#startedAtMs);
    if (hello !== null) {
      observeFailed(this.connection, this.#tls, hello, negotiation, cause, verdict.reason, this.#owner.clock.wallMs());
    }
    if (farewell === 'leave') return;
    const lastWords = lastWordsOf(farewell, verdict.reason);
    if (lastWords === null) this.#socket.destroy();
    else sayGoodbye(this.#socket, lastWords, this.#owner.timeouts.discardMs);
  }

  /** What is only for the handshake is let go: a TLS socket lives on in V8's old space, long after it was closed. */
  #finish(): void {
    this.#isOver = true;
    this.cancelDeadline();
    this.#stopPeeking();
    this.#hello = null;
    this.#negotiation = null;
    this.connection.handshake = null;
    this.#owner.onHandshakeOver(this);
  }

  #stopPeeking(): void {
    if (this.#reader === null) return;
    this.#reader = null;
    this.#socket[PEEKING] = null;
    this.#socket.removeListener('data', onSocketData);
    this.#socket.pause(); // what comes now waits for the engine
  }
}

/**
 * After a HelloRetryRequest the second hello may carry another SNI, and OpenSSL believes that one (security rule 5). A resumed
 * TLS 1.2 session shows none at all, whatever the hello said (measured on 26.10: node:tls never acknowledges the name, so
 * OpenSSL stores none in the session); there is no second hello there, and the engine's session identity names the certificate.
 */
function isSniAsPeeked(socket: TLSSocket, peeked: string | null): boolean {
  const servername: unknown = socket.servername; // false, null or a string
  const shown = typeof servername === 'string' && servername !== '' ? servername : null;
  return shown === peeked || (shown === null && socket.isSessionReused() && socket.getProtocol() !== 'TLSv1.3');
}

/** Reads on for a moment, because a reset for unread bytes would overtake what is said. */
function sayGoodbye(socket: Socket, bytes: Buffer, lingerMs: number): void {
  const deadline = startDeadline(lingerMs, () => socket.destroy());
  socket.on('close', () => deadline.cancel());
  socket.resume();
  socket.end(bytes);
}

function lastWordsOf(farewell: Farewell, reason: HandshakeFailureReason): Buffer | null {
  if (farewell === 'plain-http') return PLAIN_HTTP_ANSWER;
  if (farewell === 'missing-extension') return MISSING_EXTENSION;
  return farewell === 'alert' ? alertRecord(reason) : null;
}

/** The socket carries its handshake: a closure for each would be kept, and keep all this, until V8's next full collection. */
interface PeekedSocket extends Socket {
  [PEEKING]?: Handshake | null;
}

type Farewell = 'plain-http' | 'alert' | 'missing-extension' | 'destroy' | 'leave';

function onSocketData(this: PeekedSocket, chunk: Buffer): void {
  this[PEEKING]?.onData(chunk);
}

function ignore(): void {}

const PEEKING = Symbol('peeking');
const PENALISED = 'certificates from this address cost too much a moment ago: none is looked at for ten seconds';

/** RFC 8446 §9.2: what TLS 1.3 says to a client without SNI where one is needed. */
const MISSING_EXTENSION = Buffer.from([21, 3, 1, 0, 2, 2, 109]);
const PLAIN_HTTP_TEXT = 'This is a TLS port: use https.\n';
const PLAIN_HTTP_ANSWER = Buffer.from(
  `HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\ncontent-length: ${PLAIN_HTTP_TEXT.length}\r\nconnection: close\r\n\r\n${PLAIN_HTTP_TEXT}`,
  'latin1',
);
