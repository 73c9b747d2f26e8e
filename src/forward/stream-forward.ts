/**
 * Owns one stream from its first byte to its record, and with that every teardown. Events × states; "—": cannot come.
 *
 *   event \ state       CONNECTING                         OPEN
 *   ──────────────────  ─────────────────────────────────  ───────────────────────────────────────────────
 *   client bytes        stay in its socket                 to the backend, at the backend's pace
 *   client ends         is noticed when OPEN               the backend's other direction goes on
 *   client breaks off   end the attempt, record            reset the backend, record
 *   backend connects    → OPEN                             —
 *   backend fails       next endpoint, or reset the        reset the client, record
 *                       client and record
 *   backend bytes       —                                  to the client, at the client's pace
 *   backend ends        —                                  the client's other direction goes on
 *   both ended          —                                  close both, record
 *   deadline            reset the client, record           idle: reset both, record
 *   drain is over       end the attempt, record            reset both, record
 *   CRL revokes         fails its attempt                  reset both, record
 *   service retires     none of them ends a stream; a new stream gets the new service
 *
 * A side that breaks off is answered by a TCP reset of the other, under TLS as well: neither may take a part for the whole. DONE: recorded.
 */
import type {
  BackendService,
  BackendStream,
  BackendStreamAttempt,
  BackendStreamHandler,
  Endpoint,
  Requester,
} from '../backend/contract.ts';
import type { Clock } from '../base/clock.ts';
import { type Deadline, startDeadline } from '../base/deadline.ts';
import { asProxyError, ProxyError } from '../base/errors.ts';
import type { ClientStream, ClientStreamHandler } from '../http/client-stream.ts';
import { type ProxyHeaderVersion, proxyHeader } from '../http/proxy-protocol-encode.ts';
import type { StreamCounters, StreamRecorder } from '../http/stream-record.ts';
import { backendTlsRecord, clientError, proxyStatusOf, tunnelError } from './outcome.ts';
import { CONNECT_RETRY_WINDOW_MS } from './retry.ts';
import { Tunnel, type TunnelEnd } from './tunnel.ts';

export interface StreamForwarderOptions {
  /** Protocol TCP or SSL. */
  readonly service: BackendService;
  readonly proxyHeader: 'NONE' | ProxyHeaderVersion;
  readonly recorder: StreamRecorder;
  readonly clock: Clock;
}

/** Carries streams to the endpoints of one service and back. What it returns is a target proxy's `onStream`; it never throws. */
export function createStreamForwarder(options: StreamForwarderOptions): (stream: ClientStream) => void {
  return (stream) => new StreamForward(options, stream).begin();
}

class StreamForward implements ClientStreamHandler, BackendStreamHandler {
  readonly #options: StreamForwarderOptions;
  readonly #stream: ClientStream;
  readonly #requester: Requester;
  readonly #counters: StreamCounters;
  readonly #preamble: Buffer | null;
  readonly #connectDeadline: Deadline;
  readonly #onClientClose = () => this.#onClientLeft();
  readonly #tried: Endpoint[] = [];
  #attempt: BackendStreamAttempt | null = null;
  #backend: BackendStream | null = null;
  #tunnel: Tunnel | null = null;
  #error: ProxyError | null = null;
  #isDone = false;

  constructor(options: StreamForwarderOptions, stream: ClientStream) {
    const { connection } = stream;
    this.#options = options;
    this.#stream = stream;
    this.#requester = { connection, headers: [] };
    this.#counters = options.recorder.started(stream, options.service.name);
    this.#preamble = options.proxyHeader === 'NONE' ? null : preambleOf(options.proxyHeader, stream);
    this.#connectDeadline = startDeadline(CONNECT_RETRY_WINDOW_MS, () => {
      this.#fail(new ProxyError('backend_connect_timeout', { phase: 'connect', detail: 'no attempt came to an end' }));
    });
  }

  begin(): void {
    this.#stream.attach(this);
    this.#stream.socket.on('close', this.#onClientClose);
    try {
      this.#connect(null);
    } catch (thrown) {
      this.#fail(asProxyError(thrown, 'internal_error', { phase: 'connect' }));
    }
  }

  onOpen(backend: BackendStream): void {
    this.#attempt = null;
    this.#connectDeadline.cancel();
    this.#stream.socket.removeListener('close', this.#onClientClose);
    this.#backend = backend;
    const { service, clock } = this.#options;
    this.#tunnel = new Tunnel(
      this.#stream.socket,
      backend.socket,
      service.timeoutMs,
      clock,
      (end) => this.#onTunnelClosed(end),
      { ...this.#counters, cutClient: () => this.#stream.reset(), cutBackend: () => backend.reset() },
    );
  }

  onError(error: ProxyError): void {
    this.#attempt = null;
    this.#connect(error);
  }

  onAbort(error: ProxyError): void {
    if (this.#tunnel === null) {
      this.#fail(error);
      return;
    }
    this.#error ??= error;
    this.#tunnel.abort();
  }

  /** Endpoints that cannot be reached, or do not verify, are left for the next; each one is tried once. */
  #connect(lastFailure: ProxyError | null): void {
    const { service } = this.#options;
    const endpoint = service.pick(this.#tried, this.#requester);
    if (endpoint === null) {
      this.#fail(lastFailure ?? new ProxyError('failed_to_pick_backend', { phase: 'pick', detail: service.name }));
      return;
    }
    this.#tried.push(endpoint);
    this.#attempt = service.openStream(endpoint, this.#preamble, this);
  }

  #onClientLeft(): void {
    this.#fail(new ProxyError('client_disconnected_before_any_response', { phase: 'connect' }));
  }

  /** Before there was anything to carry. */
  #fail(error: ProxyError): void {
    if (this.#isDone) return;
    this.#error = error;
    this.#attempt?.abort();
    this.#stream.socket.removeListener('close', this.#onClientClose);
    this.#stream.reset();
    this.#finish();
  }

  #onTunnelClosed(end: TunnelEnd): void {
    this.#error ??= this.#tunnelError(end);
    this.#finish();
  }

  #tunnelError(end: TunnelEnd): ProxyError | null {
    const responded = this.#tunnel !== null && this.#tunnel.backendBytes > 0;
    if (end === 'backend-broke') return this.#backend!.failure(responded);
    const error = tunnelError(end);
    return error === null ? null : clientError(error, responded);
  }

  #finish(): void {
    this.#isDone = true;
    this.#connectDeadline.cancel();
    const { recorder, service, clock } = this.#options;
    const error = this.#error;
    const facts = this.#backend?.facts ?? null;
    recorder.finished({
      stream: this.#stream,
      statusDetails: error === null ? 'connection_closed' : error.spec.statusDetails,
      proxyStatus: proxyStatusOf(error),
      error,
      backendService: service.name,
      backend: facts?.endpoint ?? this.#tried.at(-1)?.name ?? null,
      attempts: this.#tried.length,
      backendTls: backendTlsRecord(facts?.tls ?? null, error),
      bytesReceived: this.#tunnel?.clientBytes ?? 0,
      bytesSent: this.#tunnel?.backendBytes ?? 0,
      durationMs: clock.monotonicMs() - this.#stream.startedAtMs,
    });
  }
}

function preambleOf(version: ProxyHeaderVersion, { connection }: ClientStream): Buffer {
  const { remoteAddress, remotePort, localAddress, localPort, tls } = connection;
  return proxyHeader(version, {
    sourceAddress: remoteAddress,
    sourcePort: remotePort,
    destinationAddress: localAddress,
    destinationPort: localPort,
    tls: tls === null ? null : { protocol: tls.protocol, sni: tls.sni },
  });
}
