// hot path: the peek runs for every connection, before anything is known of the client.
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { Clock } from '../base/clock.ts';
import { type Deadline, startDeadline } from '../base/deadline.ts';
import { http2Allowed } from '../tls/alpn.ts';
import type { CertificateEntry } from '../tls/certificate-entry.ts';
import { chooseCertificate } from '../tls/choose-certificate.ts';
import { HelloReader } from '../tls/client-hello.ts';
import { alertRecord, type HandshakeFailureCause, handshakeFailureReason } from '../tls/handshake-failure-reason.ts';
import { type Negotiation, negotiate } from '../tls/negotiate.ts';
import type { ClientConnection } from './client-connection.ts';
import type { EngineClient, EngineSet } from './engine.ts';
import { HandshakeFacts } from './handshake-facts.ts';
import { reportHandshakeFailure } from './handshake-failure.ts';
import type { FrontendTimeouts } from './timeouts.ts';

/** What a handshake needs of the listener. */
export interface HandshakeOwner {
  readonly engines: EngineSet;
  readonly timeouts: FrontendTimeouts;
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
export class Handshake implements EngineClient {
  readonly connection: ClientConnection;
  readonly #owner: HandshakeOwner;
  readonly #socket: Socket;
  readonly #reader: HelloReader;
  readonly #startedAtMs: number;
  readonly #deadline: Deadline;
  readonly #onReadable: () => void;
  readonly #onEnd: () => void;
  #certificate: CertificateEntry | null;
  #negotiation: Negotiation | null;
  #isPeeking: boolean;
  #isOver: boolean;

  constructor(owner: HandshakeOwner, connection: ClientConnection) {
    this.connection = connection;
    this.#owner = owner;
    this.#socket = connection.rawSocket;
    this.#reader = new HelloReader();
    this.#startedAtMs = owner.clock.monotonicMs();
    this.#deadline = startDeadline(owner.timeouts.handshakeMs, () => this.#onDeadline());
    this.#certificate = null;
    this.#negotiation = null;
    this.#isPeeking = true;
    this.#isOver = false;
    this.#onReadable = () => this.#read();
    this.#onEnd = () => this.#fail({ how: 'closed' }, 'destroy');
    this.#socket.on('readable', this.#onReadable);
    this.#socket.on('end', this.#onEnd);
    this.#socket.on('error', ignore); // 'close' follows
    this.#socket.on('close', () => this.#onClosed());
  }

  onSecure(socket: TLSSocket): void {
    if (this.#isOver) {
      socket.destroy();
      return;
    }
    const hello = this.#reader.hello!;
    if (!isSniAsPeeked(socket, hello.serverNameAsSent)) {
      this.#refuse('malformed_hello', 'the SNI changed during the handshake', 'destroy');
      return;
    }
    const { proxy } = this.connection;
    const facts = new HandshakeFacts(socket, hello, this.#negotiation!, this.#certificate!, proxy.sslPolicyName);
    if (facts.alpn === 'h2' && !this.#isHttp2Allowed(facts)) {
      this.#refuse('internal', `h2 was negotiated with ${facts.protocol} ${facts.cipher}`, 'destroy');
      return;
    }
    this.connection.tls = facts;
    this.#finish();
    const durationMs = this.#owner.clock.monotonicMs() - this.#startedAtMs;
    this.connection.events.onHandshake(this.connection, facts, durationMs);
    this.#owner.onSecured(socket, this.connection);
  }

  onTlsError(error: Error & { code?: string }): void {
    this.#fail({ how: 'error', code: error.code ?? '' }, 'leave');
  }

  #read(): void {
    let chunk: Buffer | null;
    // biome-ignore lint/suspicious/noAssignInExpressions: the form that node:stream documents
    while ((chunk = this.#socket.read() as Buffer | null) !== null) {
      if (this.#reader.push(chunk) !== 'need-more') {
        this.#onPeeked();
        return;
      }
    }
  }

  #onPeeked(): void {
    this.#stopPeeking();
    const reader = this.#reader;
    if (reader.status === 'hello') {
      this.#chooseAndStart();
      return;
    }
    const cause: HandshakeFailureCause = { how: 'hello', status: reader.status, detail: reader.detail };
    this.#fail(cause, reader.status === 'plain-http' ? 'plain-http' : 'alert');
  }

  #chooseAndStart(): void {
    const { proxy } = this.connection;
    const hello = this.#reader.hello!;
    const choice = chooseCertificate(hello, proxy.policy, proxy.certificates, this.#owner.clock.wallMs());
    if (choice.entry === null) {
      this.#refuse(choice.reason, choice.detail, 'alert');
      return;
    }
    const negotiation = negotiate(hello, proxy.policy, choice.entry);
    this.#certificate = choice.entry;
    this.#negotiation = negotiation;
    const http2 = negotiation.ok && !http2Allowed(negotiation.version, negotiation.suite) ? 'no-h2' : 'h2';
    this.#socket.unshift(this.#reader.bytes);
    this.#owner.engines.start(proxy, choice.entry, http2, this.#socket, this);
  }

  /** A second look after the fact: a resumed session brings its own suite. */
  #isHttp2Allowed(facts: HandshakeFacts): boolean {
    if (facts.protocol === 'TLSv1.3') return true;
    const suite = this.connection.proxy.policy.suites.find(({ name }) => name === facts.cipher);
    return suite !== undefined && facts.protocol === 'TLSv1.2' && http2Allowed('TLSv1.2', suite);
  }

  #onDeadline(): void {
    this.#fail({ how: 'timeout' }, 'destroy');
  }

  #onClosed(): void {
    this.#fail({ how: 'closed' }, 'destroy');
  }

  #refuse(reason: Parameters<typeof alertRecord>[0], detail: string, farewell: Farewell): void {
    this.#fail({ how: 'refused', reason, detail }, farewell);
  }

  #fail(cause: HandshakeFailureCause, farewell: Farewell): void {
    if (this.#isOver) return;
    this.#finish();
    const { hello } = this.#reader;
    const verdict = handshakeFailureReason(hello, this.connection.proxy.policy, this.#certificate, cause);
    reportHandshakeFailure(this.connection, hello, verdict, this.#owner.clock.monotonicMs() - this.#startedAtMs);
    if (farewell === 'leave') return;
    const lastWords =
      farewell === 'plain-http' ? PLAIN_HTTP_ANSWER : farewell === 'alert' ? alertRecord(verdict.reason) : null;
    if (lastWords === null) this.#socket.destroy();
    else sayGoodbye(this.#socket, lastWords, this.#owner.timeouts.discardMs);
  }

  #finish(): void {
    this.#isOver = true;
    this.#deadline.cancel();
    this.#stopPeeking();
    this.#owner.onHandshakeOver(this);
  }

  #stopPeeking(): void {
    if (!this.#isPeeking) return;
    this.#isPeeking = false;
    this.#socket.removeListener('readable', this.#onReadable);
    this.#socket.removeListener('end', this.#onEnd);
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

type Farewell = 'plain-http' | 'alert' | 'destroy' | 'leave';

function ignore(): void {}

const PLAIN_HTTP_TEXT = 'This is a TLS port: use https.\n';
const PLAIN_HTTP_ANSWER = Buffer.from(
  `HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\ncontent-length: ${PLAIN_HTTP_TEXT.length}\r\nconnection: close\r\n\r\n${PLAIN_HTTP_TEXT}`,
  'latin1',
);
