// hot path: one object per exchange, its callbacks per chunk.
/**
 * Owns one exchange from its head to its record, and with that every teardown. Events × states; "—": cannot come, by contract.
 *
 *   event \ state       HEAD     WAITING             SENDING                RELAYING                   FINISHING        TUNNEL
 *   ──────────────────  ───────  ──────────────────  ─────────────────────  ─────────────────────────  ───────────────  ──────────────
 *   client aborts       record   cancel call         cancel call            cancel call                record           close both
 *   client body         —        held for next try   to backend             to backend, unless the     dropped by the   —
 *                                                                           answer was an error        exchange
 *   backend connects    —        → SENDING, answer   —                      —                          —                —
 *                                100-continue
 *   interim response    —        —                   passed on, 16 at most  —                          —                —
 *   final head          —        —                   next try if the        —                          —                —
 *                                                    policy asks for one,
 *                                                    else → RELAYING
 *   backend ends        —        —                   502                    → FINISHING if complete,   —                ends that half
 *                                                                           else abort
 *   backend ends, body  —        —                   —                      → FINISHING, then the      —                —
 *   still coming                                                            rest is discarded
 *   backend fails       —        next try or 502     next try or 502        abort                      —                close both
 *   backend upgrades    —        —                   → TUNNEL               —                          —                —
 *   deadline            —        504                 504                    abort both                 abort client     idle: close both
 *   maxStreamDuration   504      504                 504                    abort both                 abort client     close both
 *   perTryTimeout       —        next try or 504     next try or 504        —                          —                —
 *   body under the      —        —                   408 or 504, by who     abort both                 abort client     —
 *   rate floor                                       holds it up
 *   drain, retirement   none of them ends an exchange: the frontend closes the connection after it, the service after its call
 *   response sent       —        —                   —                      —                          record           —
 *
 * HEAD: not yet sent anywhere, delayed by a fault perhaps. WAITING: an attempt has no connection yet. SENDING: it has, no final response head yet.
 * RELAYING: the client has the head. FINISHING: the whole response was handed to the exchange. DONE: recorded; nothing counts any more.
 */
import type { Duplex } from 'node:stream';
import type {
  BackendCall,
  BackendConnectionFacts,
  BackendHandler,
  BackendRequest,
  BackendService,
  Endpoint,
} from '../backend/contract.ts';
import { Expiring } from '../base/deadline-queue.ts';
import { asProxyError, type ErrorCode, ProxyError } from '../base/errors.ts';
import type { Exchange, ExchangeHandler, HeaderList } from '../http/exchange.ts';
import { clientResponseHeaders, responseContentLength } from '../http/forwarding-headers.ts';
import { forwardableTrailers } from '../http/hop-by-hop.ts';
import { removeDotSegments } from '../http/normalize-path.ts';
import { beginSpan, cloudContextOf, type RequestSpan } from '../http/span-context.ts';
import { cloudTraceContext, traceIdOf } from '../http/trace-context.ts';
import { type CorsPolicy, isPreflight } from '../routing/cors-policy.ts';
import type { RouteAction, ServiceRoute, WinningRule } from '../routing/route.ts';
import { UrlRedirect } from '../routing/url-redirect.ts';
import { AttemptedEndpoints } from './attempted-endpoints.ts';
import { backendRequest } from './backend-request.ts';
import { Download } from './download.ts';
import { type FieldRules, NO_FIELD_RULES } from './field-rules.ts';
import type { ForwarderContext } from './forwarder.ts';
import { judgeHead } from './judge-head.ts';
import { interimFault, responseFault } from './judge-response.ts';
import { afterResponseBytes, backendTlsRecord, clientError, proxyStatusOf, tunnelError } from './outcome.ts';
import type { Debtor } from './rate-floor.ts';
import { respondEmpty, respondError, respondRedirect, respondStatus } from './respond-error.ts';
import { ResponseBody } from './response-body.ts';
import { CONNECT_RETRY_WINDOW_MS, decideRetry } from './retry.ts';
import { type EndedAttempt, grpcStatusOf } from './retry-policy.ts';
import { hasTraffic, RouteTraffic, type TrafficOwner } from './route-traffic.ts';
import { Tunnel, type TunnelEnd } from './tunnel.ts';
import { Upload } from './upload.ts';

export class ExchangeForward extends Expiring implements ExchangeHandler, BackendHandler, TrafficOwner {
  private readonly context: ForwarderContext;
  private readonly exchange: Exchange;
  private state: State = HEAD;

  /** Null until a request is routed; that of a redirect too. */
  private rule: WinningRule | null = null;
  private route: ServiceRoute<BackendService> | null = null;
  /** Of the route; null where nothing is asked for but its service. */
  private action: RouteAction<BackendService> | null = null;
  /** The origin that the route's corsPolicy allows. */
  private corsOrigin: string | null = null;
  private request: BackendRequest | null = null;
  private fields: FieldRules = NO_FIELD_RULES;
  private trace: string | null = null;
  private span: RequestSpan | null = null;
  private timeoutMs = 0;
  /** Null where neither route nor service asks for anything that it does. */
  private traffic: RouteTraffic | null = null;

  private readonly endpoints = new AttemptedEndpoints();
  private firstAttemptAtMs = 0;
  private resetRetried = false;
  /** Null inside send() and between attempts. */
  private call: BackendCall | null = null;
  private connection: BackendConnectionFacts | null = null;
  /** What the backend said before send() had returned its call. */
  private failedInSend: ProxyError | null = null;
  private wantedInSend = false;

  /** Null when the request has no body, or is not routed yet. */
  private upload: Upload | null = null;
  /** Null until the client does not keep up. */
  private download: Download | null = null;

  private interims = 0;
  private status = 0;
  private statusDetails = 'response_sent_by_backend';
  /** Null until the client has the head. */
  private body: ResponseBody | null = null;
  /** Why the exchange failed; null while it has not, whatever its attempts did. */
  private error: ProxyError | null = null;
  private tunnel: Tunnel | null = null;
  /** Counted by the gate. */
  private isAdmitted = false;

  private sentAtMs = 0;
  private answeredAtMs = 0;

  constructor(context: ForwarderContext, exchange: Exchange) {
    super();
    this.context = context;
    this.exchange = exchange;
  }

  /** The phases: head → route → pick → send; relay and finish follow from the callbacks. */
  begin(): void {
    this.context.recorder.started(this.exchange);
    try {
      this.exchange.attach(this);
      const limited = this.overLimit();
      const verdict = limited ?? judgeHead(this.exchange);
      if (verdict === 'redirect') {
        this.redirect();
      } else if (verdict !== null) {
        this.fail(verdict);
      } else {
        this.routeRequest();
      }
    } catch (thrown) {
      this.failOnDefect(thrown);
    }
  }

  // ── head, route, pick, send ──

  private overLimit(): ProxyError | null {
    const { gate } = this.context;
    if (gate === null) return null;
    const code = gate.admission.enter(this.exchange.connection.remoteAddress, gate.limits);
    if (code !== null) return new ProxyError(code, { phase: 'head' });
    this.isAdmitted = true;
    return null;
  }

  private redirect(): void {
    this.redirectTo(TO_NORMALISED, removeDotSegments(this.exchange.target));
  }

  private redirectTo(redirect: UrlRedirect, target: string): void {
    const { exchange } = this;
    const location = redirect.location(exchange.connection.tls === null ? 'http' : 'https', exchange.authority, target);
    if (location === null) {
      this.fail(
        new ProxyError('invalid_request_headers', { phase: 'route', detail: 'no Host, which a redirect needs' }),
      );
      return;
    }
    this.state = FINISHING;
    this.status = redirect.status;
    this.statusDetails = 'direct_response';
    respondRedirect(exchange, redirect.status, location);
    this.discardRest();
  }

  private routeRequest(): void {
    const { exchange } = this;
    const route = this.context.urlMap.match(exchange);
    this.rule = route;
    if (route.redirect !== null) {
      this.redirectTo(route.redirect, exchange.target);
      return;
    }
    this.route = route;
    this.action = route.action;
    if (route.action?.cors && this.answersPreflight(route.action.cors)) return;
    const { service } = route;
    const { tracing } = this.context;
    if (tracing !== null) this.span = beginSpan(exchange.headers, tracing);
    const traceContext = this.span === null ? cloudTraceContext(exchange.headers) : cloudContextOf(this.span);
    this.trace = traceIdOf(traceContext);
    this.fields = this.context.fields.of(service.name);
    this.request = backendRequest(exchange, service, traceContext, this.fields, this.span, route.action);
    if (exchange.contentLength !== 0) {
      this.upload = new Upload(this, exchange, service.httpVersion, this.fields.removed);
      this.context.rateFloor?.watch(this.upload);
    }
    this.timeoutMs = route.action?.timeoutMs ?? service.timeoutMs;
    if (!hasTraffic(route)) {
      this.attempt(null);
      return;
    }
    this.traffic = new RouteTraffic(this.context, exchange, route, this);
    if (this.traffic.mayRetry) this.upload?.keepForRetry(MAX_REPLAYED_BYTES);
    this.traffic.begin(this.request, traceContext);
  }

  onAdmitted(): void {
    try {
      this.attempt(null);
    } catch (thrown) {
      this.failOnDefect(thrown); // after a delay nobody else would catch it
    }
  }

  onFaultAbort(status: number): void {
    this.state = FINISHING;
    this.status = status;
    this.statusDetails = 'fault_filter_abort';
    respondStatus(this.exchange, status);
    this.discardRest();
  }

  /** True when the request was a preflight of an allowed origin: the policy is the answer, no backend is asked. */
  private answersPreflight(cors: CorsPolicy): boolean {
    const { exchange } = this;
    const origin = cors.allowedOrigin(exchange.headers);
    this.corsOrigin = origin;
    if (origin === null || !isPreflight(exchange.method, exchange.headers)) return false;
    this.state = FINISHING;
    this.status = 200;
    this.statusDetails = 'direct_response';
    respondEmpty(exchange, 200, cors.preflightFields(origin));
    this.discardRest();
    return true;
  }

  private attempt(lastFailure: ProxyError | null): void {
    const service = this.route!.service;
    const endpoint = this.endpoints.next(service, this.exchange);
    if (endpoint !== null) this.sendTo(service, endpoint);
    else if (lastFailure !== null) this.repeatOrFail(lastFailure, false);
    else this.fail(new ProxyError('failed_to_pick_backend', { phase: 'pick', detail: service.name }));
  }

  private sendTo(service: BackendService, endpoint: Endpoint): void {
    this.state = WAITING;
    this.endpoints.begin(endpoint);
    this.connection = null;
    this.failedInSend = null;
    this.wantedInSend = false;
    if (this.sentAtMs === 0) {
      const waitMs = Math.max(this.timeoutMs, CONNECT_RETRY_WINDOW_MS);
      this.context.deadlines.of(waitMs).add(this);
      if (this.endpoints.count === 1) this.firstAttemptAtMs = this.expiresAtMs - waitMs; // the queue has just read the clock
    }
    this.traffic?.onAttempt();
    const call = service.send(endpoint, this.request!, this);
    if (this.failedInSend !== null) {
      this.retryOrFail(this.failedInSend, call.sent);
    } else if (this.state >= FINISHING) {
      call.abort(this.error ?? new ProxyError('internal_error', { phase: 'send', detail: 'ended inside send()' }));
    } else {
      this.call = call;
      if (this.wantedInSend) this.upload?.onWanted(call);
    }
  }

  private retryOrFail(error: ProxyError, sent: boolean): void {
    const decision = decideRetry({
      error,
      method: this.exchange.method,
      reused: this.connection?.reused ?? false,
      sent,
      bodyTaken: this.upload?.canRestart === false,
      answered: this.interims > 0,
      resetRetried: this.resetRetried,
      elapsedMs: this.context.clock.monotonicMs() - this.firstAttemptAtMs,
    });
    if (decision === 'no') {
      this.repeatOrFail(error, sent);
    } else if (decision === 'next-endpoint') {
      this.leaveEndpoint();
      this.attempt(error);
    } else {
      this.resetRetried = true;
      this.repeat();
    }
  }

  private repeatOrFail(error: ProxyError, sent: boolean): void {
    if (this.traffic?.takesRetry(this.endedAttempt(error, 0, -1, sent)) === true) this.repeat();
    else this.fail(error);
  }

  private endedAttempt(error: ProxyError | null, status: number, grpcStatus: number, sent: boolean): EndedAttempt {
    return {
      error,
      status,
      grpcStatus,
      sent,
      canRestart: this.upload?.canRestart !== false,
      answered: this.interims > 0,
    };
  }

  private repeat(): void {
    this.leaveEndpoint();
    const { service } = this.route!;
    this.sendTo(service, this.endpoints.again(service, this.exchange));
  }

  private leaveEndpoint(): void {
    this.endpoints.leave();
    this.upload?.pause();
  }

  // ── the backend's side ──

  onConnection(facts: BackendConnectionFacts): void {
    if (this.state !== WAITING) return;
    this.state = SENDING;
    this.connection = facts;
    if (this.sentAtMs === 0) {
      this.context.deadlines.of(this.timeoutMs).add(this); // of all attempts from here on (spec 10.23)
      this.sentAtMs = this.expiresAtMs - this.timeoutMs;
    }
    if (this.exchange.expectsContinue) this.exchange.sendContinue();
  }

  onBodyWanted(): void {
    if (this.call === null) this.wantedInSend = true;
    else this.upload?.onWanted(this.call);
  }

  onInterim(status: number, headers: HeaderList): void {
    if (this.state !== SENDING) return;
    this.interims++;
    const fault = interimFault(status, this.interims);
    if (fault !== null) {
      this.breakOff(fault.code, fault.detail);
      return;
    }
    const forwarded = clientResponseHeaders(headers, status);
    if (forwarded === null) this.breakOff('backend_response_corrupted', `a field of the ${status}`);
    else this.exchange.interim(status, forwarded);
  }

  onResponse(status: number, headers: HeaderList, isAll = false): void {
    if (this.state !== SENDING) return;
    const length = responseContentLength(headers);
    const forwarded = clientResponseHeaders(headers, status);
    const fault = responseFault(this.exchange, status, length, forwarded !== null);
    if (fault !== null) {
      this.breakOff(fault.code, fault.detail);
    } else if (this.traffic === null || !this.repeatsAnswered(status, headers)) {
      const { connection, route, exchange } = this;
      const endsByClose = connection?.tls != null && route!.service.httpVersion !== 'http2';
      this.startResponse(status, forwarded!, new ResponseBody(exchange, status, length, headers, isAll, endsByClose));
    }
  }

  /** True: the retryPolicy asks for another attempt, and nobody will see this response. */
  private repeatsAnswered(status: number, headers: HeaderList): boolean {
    const { call } = this;
    const ended = this.endedAttempt(null, status, grpcStatusOf(headers), true);
    if (call === null || !this.traffic!.takesRetry(ended)) return false;
    this.call = null;
    call.abort(new ProxyError('backend_connection_closed_before_data_sent_to_client', { detail: 'retried' }));
    this.repeat();
    return true;
  }

  private startResponse(status: number, headers: string[], body: ResponseBody): void {
    const { exchange, upload } = this;
    this.editResponse(headers);
    this.addAffinityCookie(headers);
    this.traffic?.onResponse();
    upload?.dropCopy();
    this.state = RELAYING;
    this.status = status;
    this.body = body;
    if (exchange.isWebSocket) this.statusDetails = 'websocket_handshake_failed';
    if (upload !== null && !upload.ended && status >= 300) {
      upload.stop(); // spec 10.22: an early 2xx lets the upload go on
      this.statusDetails = 'aborted_request_due_to_backend_early_response';
    }
    try {
      exchange.respond(status, headers, body.truncatable ? 'until-close' : body.exists);
    } catch (thrown) {
      this.failOnDefect(thrown);
    }
  }

  private addAffinityCookie(headers: string[]): void {
    const { affinityCookies } = this.route!.service;
    if (affinityCookies === null) return;
    const cookie = affinityCookies.setCookieFor(this.endpoints.current!, this.exchange);
    if (cookie !== null) headers.push('set-cookie', cookie);
  }

  private editResponse(headers: string[]): void {
    const { action, exchange } = this;
    this.fields.response?.overwrite(headers, exchange);
    if (action === null) return;
    action.headers?.response?.apply(headers, exchange);
    action.cors?.edit(headers, this.corsOrigin);
  }

  onData(chunk: Buffer): void {
    if (this.state !== RELAYING) return;
    if (!this.body!.takes(chunk.length)) {
      this.breakOff('backend_response_corrupted', 'more body bytes than the response head allows');
    } else if (!this.exchange.write(chunk)) {
      this.call?.pause();
      if (this.download === null) this.meterDownload();
    }
  }

  private meterDownload(): void {
    this.download = new Download(this, this.exchange);
    this.context.rateFloor?.watch(this.download);
  }

  onEnd(trailers: HeaderList): void {
    if (this.state !== RELAYING && this.state !== SENDING) return;
    this.call = null;
    this.answeredAtMs = this.context.clock.monotonicMs();
    if (this.state === SENDING) {
      this.fail(new ProxyError('backend_connection_closed_before_data_sent_to_client', { phase: 'send' }));
      return;
    }
    const detail = this.body!.missing();
    if (detail !== null) {
      this.fail(new ProxyError('backend_connection_closed_after_partial_response_sent', { phase: 'relay', detail }));
    } else {
      this.state = FINISHING;
      this.exchange.end(this.body!.exists ? forwardableTrailers(trailers) : null);
      this.discardRest();
    }
  }

  onUpgrade(_status: number, headers: HeaderList, socket: Duplex): void {
    const forwarded = clientResponseHeaders(headers, 101);
    if (this.state !== SENDING || forwarded === null) {
      socket.destroy();
      if (this.state === SENDING) this.breakOff('websocket_handshake_failed', 'a field of the 101');
      return;
    }
    this.editResponse(forwarded);
    this.addAffinityCookie(forwarded);
    this.call = null;
    this.cancelDeadline();
    this.status = 101;
    this.statusDetails = 'websocket_closed';
    this.traffic?.onResponse();
    this.state = TUNNEL;
    try {
      const client = this.exchange.switchProtocols(forwarded);
      this.tunnel = new Tunnel(client, socket, this.timeoutMs, this.context.clock, (end) => this.onTunnelClosed(end), {
        carries: 'websocket',
      });
    } catch (thrown) {
      socket.destroy();
      this.failOnDefect(thrown);
    }
  }

  onError(error: ProxyError): void {
    if (this.state >= FINISHING) return;
    const { call } = this;
    this.call = null;
    if (this.state === RELAYING) this.fail(error);
    else if (call === null) this.failedInSend = error;
    else this.retryOrFail(error, call.sent);
  }

  // ── the client's side ──

  onBodyData(chunk: Buffer): void {
    this.traffic?.onBodyData(chunk);
    this.upload?.onData(this.call, chunk);
  }

  onBodyEnd(trailers: HeaderList): void {
    this.traffic?.onBodyEnd(trailers);
    this.upload?.onEnd(this.call, trailers);
  }

  onDrain(): void {
    this.call?.resume();
  }

  onAbort(error: ProxyError): void {
    if (this.state === DONE) return;
    this.error = clientError(error, this.exchange.responded);
    this.call?.abort(this.error);
    this.call = null;
    if (this.tunnel === null) this.finish();
    else this.tunnel.abort();
  }

  onFinish(): void {
    if (this.tunnel === null) this.finish();
  }

  onGoingAway(): void {
    this.tunnel?.goAway();
  }

  tunnelBytes(): number {
    return this.tunnel === null ? 0 : this.tunnel.clientBytes + this.tunnel.backendBytes;
  }

  // ── deadline, failure, finish ──

  override onExpired(): void {
    if (this.state === FINISHING) {
      this.fail(
        new ProxyError('client_timed_out', { phase: 'finish', detail: 'the client does not take the response' }),
      );
    } else {
      this.breakOff('backend_timeout', this.state === WAITING ? 'no connection became free' : 'timeoutSec');
    }
  }

  onStreamTooLong(): void {
    if (this.tunnel === null) {
      this.breakOff('backend_timeout', 'maxStreamDuration');
      return;
    }
    this.error = new ProxyError('backend_timeout', { phase: 'relay', detail: 'maxStreamDuration' });
    this.tunnel.abort();
  }

  onTryTooLong(): void {
    if (this.state !== WAITING && this.state !== SENDING) return;
    const error = new ProxyError('backend_timeout', { phase: 'send', detail: 'perTryTimeout' });
    const sent = this.call?.sent ?? false;
    this.call?.abort(error);
    this.call = null;
    this.retryOrFail(error, sent);
  }

  /** A body is held up longer than the rate floor allows (security rule 32). */
  onTooSlow(debtor: Debtor, detail: string): void {
    if (this.state < DONE) this.breakOff(debtor === 'client' ? 'client_timed_out' : 'backend_timeout', detail);
  }

  private onTunnelClosed(end: TunnelEnd): void {
    this.error ??= tunnelError(end);
    this.finish();
  }

  /** Cancels the attempt, then fails. */
  private breakOff(code: ErrorCode, detail: string): void {
    const error = new ProxyError(code, { phase: this.state === RELAYING ? 'relay' : 'send', detail });
    this.call?.abort(error);
    this.call = null;
    this.fail(error);
  }

  private failOnDefect(thrown: unknown): void {
    const error = asProxyError(thrown, 'internal_error');
    this.call?.abort(error);
    this.call = null;
    this.fail(error);
  }

  /** Answers with the error while nothing is out; otherwise cuts the client off, so that it cannot take a part for the whole. */
  private fail(error: ProxyError): void {
    if (this.state === DONE) return;
    this.call = null;
    if (this.sentAtMs > 0 && this.answeredAtMs === 0) this.answeredAtMs = this.context.clock.monotonicMs();
    if (this.exchange.responded) {
      this.abortClient(afterResponseBytes(error));
      return;
    }
    this.error = error;
    this.state = FINISHING;
    this.status = error.spec.status;
    try {
      respondError(this.exchange, error, this.errorFields());
    } catch (thrown) {
      this.abortClient(asProxyError(thrown, 'internal_error'));
      return;
    }
    if (this.exchange.responded) this.discardRest();
    else this.finish();
  }

  /** Without CORS fields a browser would not let a page read even the status. */
  private errorFields(): string[] {
    const fields: string[] = [];
    this.action?.cors?.edit(fields, this.corsOrigin);
    return fields;
  }

  private abortClient(error: ProxyError): void {
    this.error = error;
    this.exchange.abort(error);
    this.finish();
  }

  private discardRest(): void {
    if (this.state === DONE || this.exchange.contentLength === 0 || this.upload?.ended) return;
    this.upload?.stop();
    this.exchange.discardBody();
  }

  private finish(): void {
    if (this.state === DONE) return;
    this.state = DONE;
    if (this.isAdmitted) this.context.gate?.admission.leave(this.exchange.connection.remoteAddress);
    this.cancelDeadline();
    this.upload?.stop();
    this.upload?.unmeter();
    this.download?.unmeter();
    this.traffic?.finish();
    const { context, exchange, error, route, rule, connection, endpoints, tunnel, body } = this;
    const nowMs = context.clock.monotonicMs();
    context.recorder.finished({
      exchange,
      status: exchange.responded ? this.status : (error?.spec.status ?? 0),
      statusDetails: error === null ? this.statusDetails : error.spec.statusDetails,
      proxyStatus: proxyStatusOf(error),
      error,
      urlMap: context.urlMap.name,
      hostRule: rule === null ? null : rule.hostRule,
      pathRule: rule === null ? null : rule.pathRule,
      backendService: route === null ? null : route.service.name,
      backend: connection !== null ? connection.endpoint : endpoints.current !== null ? endpoints.current.name : null,
      attempts: endpoints.count,
      backendTls: backendTlsRecord(connection === null ? null : connection.tls, error),
      trace: this.trace,
      span: this.span,
      requestBytes: exchange.requestBytes + (tunnel === null ? 0 : tunnel.clientBytes),
      responseBytes: exchange.responseBytes + (tunnel === null ? 0 : tunnel.backendBytes),
      latencyMs: nowMs - exchange.startedAtMs,
      backendLatencyMs: this.sentAtMs === 0 ? null : (this.answeredAtMs || nowMs) - this.sentAtMs,
      droppedTrailers: this.upload === null ? 0 : this.upload.droppedTrailers,
      truncatable: body === null ? false : body.truncatable,
    });
  }
}

type State =
  | typeof HEAD
  | typeof WAITING
  | typeof SENDING
  | typeof RELAYING
  | typeof FINISHING
  | typeof TUNNEL
  | typeof DONE;
/** In this order: from FINISHING on, the backend has nothing more to say. */
const HEAD = 0;
const WAITING = 1;
const SENDING = 2;
const RELAYING = 3;
const FINISHING = 4;
const TUNNEL = 5;
const DONE = 6;

const TO_NORMALISED = new UrlRedirect({ status: 302, host: null, https: false, stripQuery: false, path: null }); // spec 10.24
const MAX_REPLAYED_BYTES = 64 * 1024; // of a request body, per exchange that may be retried; larger ones are sent once
