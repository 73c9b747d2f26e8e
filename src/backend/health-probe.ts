import { request as httpRequest } from 'node:http';
import { type ClientHttp2Session, connect as connectHttp2, type IncomingHttpHeaders } from 'node:http2';
import type { Socket } from 'node:net';
import type { Clock } from '../base/clock.ts';
import { type Deadline, startDeadline } from '../base/deadline.ts';
import type { LinkedHealthCheck } from '../config/linked.ts';
import { type BackendIdentity, connect } from './connect.ts';
import type { Endpoint } from './contract.ts';
import { noBackendEvents } from './events.ts';
import { grpcHealthFailure, grpcHealthRequest } from './grpc-health.ts';

export interface ProbeTarget {
  readonly check: LinkedHealthCheck;
  /** Where the probe goes. */
  readonly endpoint: Endpoint;
  /** null: plain TCP. */
  readonly identity: BackendIdentity | null;
  readonly clock: Clock;
}

/**
 * One probe. `onOutcome` is called once, with null or with what was wrong, within `timeoutSec`; not at all after the returned function,
 * which ends the probe, was called. Every probe connects anew and resumes no session: it sees what the next connection would see.
 */
export function startProbe(target: ProbeTarget, onOutcome: (failure: string | null) => void): () => void {
  const probe = new Probe(target, onOutcome);
  probe.start();
  return () => probe.cancel();
}

class Probe {
  readonly #target: ProbeTarget;
  readonly #onOutcome: (failure: string | null) => void;
  #socket: Socket | null = null;
  #deadline: Deadline | null = null;
  #isOver = false;

  constructor(target: ProbeTarget, onOutcome: (failure: string | null) => void) {
    this.#target = target;
    this.#onOutcome = onOutcome;
  }

  start(): void {
    const { check, endpoint, identity, clock } = this.#target;
    const timeoutMs = check.timeoutSec * 1000;
    const startedMs = clock.monotonicMs();
    const terms = {
      service: check.name,
      identity,
      alpn: ALPN[check.type],
      timeoutMs,
      clock,
      sessions: null,
      events: noBackendEvents,
    };
    connect(terms, endpoint, (error, accepted) => {
      if (accepted === null) {
        this.#finish(`${error?.code ?? 'failed_to_connect_to_backend'}: ${error?.detail ?? ''}`);
        return;
      }
      this.#socket = accepted.socket;
      if (this.#isOver) {
        accepted.socket.destroy();
        return;
      }
      const leftMs = Math.max(1, timeoutMs - (clock.monotonicMs() - startedMs));
      this.#deadline = startDeadline(leftMs, () => this.#finish(`no complete answer within ${check.timeoutSec} s`));
      accepted.socket.once('close', () => {
        this.#finish(
          `the endpoint closed the connection${accepted.failure === null ? '' : `: ${accepted.failure.message}`}`,
        );
      });
      this.#converse(accepted.socket);
    });
  }

  cancel(): void {
    this.#isOver = true;
    this.#end();
  }

  #finish(failure: string | null): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#end();
    this.#onOutcome(failure);
  }

  #end(): void {
    this.#deadline?.cancel();
    this.#socket?.destroy();
  }

  #converse(socket: Socket): void {
    switch (this.#target.check.type) {
      case 'TCP':
      case 'SSL':
        this.#exchangeBytes(socket);
        break;
      case 'HTTP':
      case 'HTTPS':
        this.#askHttp1(socket);
        break;
      case 'HTTP2':
        this.#askHttp2(socket);
        break;
      default:
        this.#askGrpc(socket);
    }
  }

  #exchangeBytes(socket: Socket): void {
    const { request, response } = this.#target.check;
    if (request !== '') socket.write(request, 'latin1');
    if (response === '') {
      this.#finish(null);
      return;
    }
    let received = '';
    socket.on('data', (chunk: Buffer) => {
      received += chunk.toString('latin1', 0, response.length - received.length);
      if (!response.startsWith(received)) this.#finish('the answer does not begin with the expected response');
      else if (received === response) this.#finish(null);
    });
  }

  #askHttp1(socket: Socket): void {
    const { requestPath } = this.#target.check;
    const request = httpRequest({
      createConnection: () => socket,
      method: 'GET',
      path: requestPath,
      headers: { host: this.#host(), 'user-agent': USER_AGENT, connection: 'close' },
    });
    request.once('error', (error) => this.#finish(error.message));
    request.once('response', (response) => {
      const body = this.#bodyJudge(response.statusCode ?? 0);
      response.on('data', (chunk: Buffer) => body.take(chunk));
      response.once('end', () => body.end());
      response.once('error', (error: Error) => this.#finish(error.message));
    });
    request.end();
  }

  #askHttp2(socket: Socket): void {
    const session = this.#http2Session(socket);
    const stream = session.request({
      ':method': 'GET',
      ':scheme': this.#target.identity === null ? 'http' : 'https',
      ':authority': this.#host(),
      ':path': this.#target.check.requestPath,
      'user-agent': USER_AGENT,
    });
    stream.once('error', (error: Error) => this.#finish(error.message));
    stream.once('response', (headers: IncomingHttpHeaders & { readonly ':status'?: number }) => {
      const body = this.#bodyJudge(headers[':status'] ?? 0);
      stream.on('data', (chunk: Buffer) => body.take(chunk));
      stream.once('end', () => body.end());
    });
    stream.end();
  }

  #askGrpc(socket: Socket): void {
    const { check, identity } = this.#target;
    const session = this.#http2Session(socket);
    const stream = session.request({
      ':method': 'POST',
      ':scheme': identity === null ? 'http' : 'https',
      ':authority': this.#host(),
      ':path': '/grpc.health.v1.Health/Check',
      'content-type': 'application/grpc',
      te: 'trailers',
      'user-agent': USER_AGENT,
    });
    let head: IncomingHttpHeaders & { readonly ':status'?: number } = {};
    let trailers: IncomingHttpHeaders = {};
    const chunks: Buffer[] = [];
    let size = 0;
    stream.once('error', (error: Error) => this.#finish(error.message));
    stream.once('response', (headers: IncomingHttpHeaders) => {
      head = headers;
    });
    stream.once('trailers', (headers: IncomingHttpHeaders) => {
      trailers = headers;
    });
    stream.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > MAX_BODY_BYTES) this.#finish('the answer is no HealthCheckResponse: it is too long');
      else chunks.push(chunk);
    });
    stream.once('end', () => {
      const grpcStatus = String(trailers['grpc-status'] ?? head['grpc-status'] ?? '');
      this.#finish(grpcHealthFailure(head[':status'] ?? 0, grpcStatus, Buffer.concat(chunks)));
    });
    stream.end(grpcHealthRequest(check.grpcServiceName));
  }

  #http2Session(socket: Socket): ClientHttp2Session {
    const session = connectHttp2('http://probe.invalid', {
      createConnection: () => socket,
      settings: { enablePush: false },
    });
    session.once('error', (error: Error) => this.#finish(error.message));
    session.once('goaway', () => this.#finish('the endpoint sent GOAWAY before an answer'));
    return session;
  }

  /** Only 200 is well (spec 3.7), and the expected text must stand in the first bytes of the body. */
  #bodyJudge(status: number): { take(chunk: Buffer): void; end(): void } {
    const { response } = this.#target.check;
    if (status !== 200) this.#finish(`status ${status}, expected 200`);
    else if (response === '') this.#finish(null);
    let received = '';
    return {
      take: (chunk) => {
        received += chunk.toString('latin1', 0, MAX_BODY_BYTES - received.length);
        if (received.includes(response)) this.#finish(null);
        else if (received.length >= MAX_BODY_BYTES) this.#finish(MISSING_TEXT);
      },
      end: () => this.#finish(MISSING_TEXT),
    };
  }

  #host(): string {
    const { check, endpoint } = this.#target;
    if (check.host !== '') return check.host;
    return endpoint.host === undefined ? endpoint.name : `${endpoint.host}:${endpoint.port}`;
  }
}

const ALPN = {
  TCP: null,
  SSL: null,
  HTTP: null,
  HTTPS: 'http/1.1',
  HTTP2: 'h2',
  GRPC: null,
  GRPC_WITH_TLS: 'h2',
} as const;

/** Google's words: "anywhere in the first 1,024 bytes of the response body". */
const MAX_BODY_BYTES = 1024;
const MISSING_TEXT = 'the expected response is not in the first 1024 bytes of the body';
const USER_AGENT = 'Sallyport-HealthCheck';
