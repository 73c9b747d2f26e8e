// hot path: made once per exchange whose route or service asks for one of these; onBodyData runs per chunk.
import type { BackendRequest, BackendService } from '../backend/contract.ts';
import type { Exchange, HeaderList } from '../http/exchange.ts';
import { forwardedElement } from '../http/forwarded.ts';
import { backendRequestHeaders } from '../http/forwarding-headers.ts';
import type { ServiceRoute } from '../routing/route.ts';
import { schemeOf } from './backend-request.ts';
import { drawFault, isHit } from './fault.ts';
import type { ForwarderContext } from './forwarder.ts';
import { Mirror, shadowAuthority } from './mirror.ts';
import { type EndedAttempt, PolicyRetries } from './retry-policy.ts';
import { SideDeadline } from './side-deadline.ts';

/** What RouteTraffic asks of its exchange. */
export interface TrafficOwner {
  /** The request may be sent. */
  onAdmitted(): void;
  /** It is answered with this status instead. */
  onFaultAbort(status: number): void;
  /** maxStreamDuration is over. */
  onStreamTooLong(): void;
  /** perTryTimeout is over, and the attempt has no response yet. */
  onTryTooLong(): void;
}

/** False: the exchange is forwarded and nothing else. */
export function hasTraffic({ action, service }: ServiceRoute<BackendService>): boolean {
  if (service.maxStreamDurationMs !== null) return true;
  if (action === null) return false;
  const { maxStreamDurationMs, retryPolicy, mirror, fault } = action;
  return maxStreamDurationMs !== null || retryPolicy !== null || mirror !== null || fault !== null;
}

/** What the routeAction of a route asks of one exchange beside forwarding: faults, retries, a mirror, the longest life of a stream. */
export class RouteTraffic {
  readonly #context: ForwarderContext;
  readonly #exchange: Exchange;
  readonly #route: ServiceRoute<BackendService>;
  readonly #owner: TrafficOwner;
  readonly #retries: PolicyRetries | null;
  #streamLimit: SideDeadline | null = null;
  #tryLimit: SideDeadline | null = null;
  #delay: SideDeadline | null = null;
  #mirror: Mirror | null = null;

  constructor(context: ForwarderContext, exchange: Exchange, route: ServiceRoute<BackendService>, owner: TrafficOwner) {
    this.#context = context;
    this.#exchange = exchange;
    this.#route = route;
    this.#owner = owner;
    const policy = route.action?.retryPolicy ?? null;
    this.#retries =
      policy === null || policy.numRetries === 0
        ? null
        : new PolicyRetries(policy, route.service.retrySlots, exchange.method);
  }

  get mayRetry(): boolean {
    return this.#retries !== null;
  }

  /** Comes to onAdmitted or onFaultAbort, at once or after a delay. `request`: what the backends of the route get. */
  begin(request: BackendRequest, traceContext: string): void {
    const { action, service } = this.#route;
    const { deadlines, random } = this.#context;
    const longestMs = action?.maxStreamDurationMs ?? service.maxStreamDurationMs;
    if (longestMs !== null) {
      this.#streamLimit = new SideDeadline(() => this.#owner.onStreamTooLong());
      deadlines.of(longestMs).add(this.#streamLimit);
    }
    const fault = action?.fault ?? null;
    const { delayMs, abortStatus } = fault === null ? NO_FAULT : drawFault(fault, random);
    if (delayMs === 0) {
      this.#admit(abortStatus, request, traceContext);
      return;
    }
    this.#delay = new SideDeadline(() => this.#admit(abortStatus, request, traceContext));
    deadlines.of(delayMs).add(this.#delay);
  }

  onAttempt(): void {
    const limitMs = this.#route.action?.retryPolicy?.perTryTimeoutMs ?? null;
    if (limitMs === null) return;
    this.#tryLimit ??= new SideDeadline(() => this.#owner.onTryTooLong());
    this.#context.deadlines.of(limitMs).add(this.#tryLimit);
  }

  /** The attempt has a response that the client gets. */
  onResponse(): void {
    this.#tryLimit?.cancelDeadline();
  }

  /** True: another attempt is to be made. */
  takesRetry(attempt: EndedAttempt): boolean {
    this.#tryLimit?.cancelDeadline();
    return this.#retries?.takes(attempt) ?? false;
  }

  onBodyData(chunk: Buffer): void {
    this.#mirror?.onBodyData(chunk);
  }

  onBodyEnd(trailers: HeaderList): void {
    this.#mirror?.onBodyEnd(trailers);
  }

  finish(): void {
    this.#streamLimit?.cancelDeadline();
    this.#tryLimit?.cancelDeadline();
    this.#delay?.cancelDeadline();
    this.#retries?.attemptEnded();
    this.#mirror?.onExchangeOver();
  }

  #admit(abortStatus: number, request: BackendRequest, traceContext: string): void {
    if (abortStatus !== 0) {
      this.#owner.onFaultAbort(abortStatus);
      return;
    }
    const mirror = this.#route.action?.mirror ?? null;
    if (mirror !== null && !this.#exchange.isWebSocket && isHit(mirror.percent, this.#context.random))
      this.#startMirror(mirror.service, mirror.dangerKeepCredentials, request, traceContext);
    this.#owner.onAdmitted();
  }

  #startMirror(
    service: BackendService,
    keepsCredentials: boolean,
    request: BackendRequest,
    traceContext: string,
  ): void {
    const exchange = this.#exchange;
    const { fields, deadlines, recorder } = this.#context;
    const rules = keepsCredentials ? fields.of(service.name) : fields.withoutCredentials(service.name);
    const headers = backendRequestHeaders(exchange, service.httpVersion, traceContext, rules.removed, rules.request);
    if (rules.writesForwarded) headers.push('forwarded', forwardedElement(exchange.connection, exchange.authority));
    this.#mirror = new Mirror({
      service,
      request: { ...request, scheme: schemeOf(service), authority: shadowAuthority(request.authority), headers },
      requester: exchange,
      removed: rules.removed,
      deadlines,
      onResult: (name, result) => recorder.mirrored(name, result),
    });
    this.#mirror.start();
  }
}

const NO_FAULT = { delayMs: 0, abortStatus: 0 } as const;
