// hot path: onExchange runs once per request.
import type { BackendService } from '../backend/contract.ts';
import type { LinkedUrlMap } from '../config/linked-url-map.ts';
import type { ServiceFieldRules } from '../forward/field-rules.ts';
import { createForwarder } from '../forward/forwarder.ts';
import type { BodyRateLimits } from '../forward/rate-floor.ts';
import { type RequestLimits, requestGate } from '../forward/request-admission.ts';
import type { Exchange } from '../http/exchange.ts';
import type { SpanSampling } from '../http/span-context.ts';
import { compileUrlMap } from '../routing/compile-url-map.ts';
import type { RunningService } from './snapshot.ts';
import type { SnapshotParts } from './snapshot-parts.ts';

/** What a listener's exchanges are routed by. */
export interface Routes {
  readonly urlMap: LinkedUrlMap;
  /** All of the configuration, by name. */
  readonly services: ReadonlyMap<string, RunningService>;
  readonly fields: ServiceFieldRules;
  readonly limits: BodyRateLimits & RequestLimits;
  readonly tracing: SpanSampling | null;
}

/**
 * The one indirection between a listener's connections and the newest routes. A listener that a reload removes keeps its last
 * routes, so that what still runs on its connections can finish.
 */
export class RouteSlot {
  #forward: (exchange: Exchange) => void;

  constructor(routes: Routes, parts: SnapshotParts) {
    this.#forward = forwarderOf(routes, parts);
  }

  readonly onExchange = (exchange: Exchange): void => {
    this.#forward(exchange);
  };

  route(routes: Routes, parts: SnapshotParts): void {
    this.#forward = forwarderOf(routes, parts);
  }
}

function forwarderOf(
  { urlMap, services: running, fields, limits, tracing }: Routes,
  parts: SnapshotParts,
): (exchange: Exchange) => void {
  const services = new Map<string, BackendService>();
  for (const [name, { service }] of running) services.set(name, service);
  const { clock, recorder, requests } = parts;
  const gate = requestGate(requests, limits);
  const matcher = compileUrlMap(urlMap, services);
  return createForwarder({ urlMap: matcher, recorder, clock, fields, bodyRate: limits, gate, tracing });
}
