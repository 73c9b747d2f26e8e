// hot path: one call per exchange.

import type { BackendService } from '../backend/contract.ts';
import { type Clock, systemClock } from '../base/clock.ts';
import { DeadlineQueues } from '../base/deadline-queue.ts';
import type { Exchange } from '../http/exchange.ts';
import type { ExchangeRecorder } from '../http/exchange-record.ts';
import type { SpanSampling } from '../http/span-context.ts';
import type { RandomSource } from '../routing/destination.ts';
import type { UrlMatcher } from '../routing/match.ts';
import { ExchangeForward } from './exchange-forward.ts';
import { ServiceFieldRules } from './field-rules.ts';
import { type BodyRateLimits, RateFloor } from './rate-floor.ts';
import type { RequestGate } from './request-admission.ts';

export interface ForwarderOptions {
  readonly urlMap: UrlMatcher<BackendService>;
  readonly recorder: ExchangeRecorder;
  readonly clock?: Clock;
  /** Which request fields are removed, and the custom headers; absent: no service has any. */
  readonly fields?: ServiceFieldRules;
  /** Absent: bodies may take as long as the deadline allows. */
  readonly bodyRate?: BodyRateLimits;
  /** Null or absent: clients may ask as often as they like. */
  readonly gate?: RequestGate | null;
  /** Absent: no spans; trace context is passed on as it came, or begun. */
  readonly tracing?: SpanSampling | null;
  /** For percentages; tests inject theirs. */
  readonly random?: RandomSource;
}

/** What every exchange of one forwarder shares. */
export interface ForwarderContext {
  readonly urlMap: UrlMatcher<BackendService>;
  readonly recorder: ExchangeRecorder;
  readonly clock: Clock;
  readonly deadlines: DeadlineQueues;
  readonly fields: ServiceFieldRules;
  readonly rateFloor: RateFloor | null;
  readonly tracing: SpanSampling | null;
  readonly random: RandomSource;
  readonly gate: RequestGate | null;
}

/**
 * Carries exchanges to the backend services of one URL map and back; what it returns is a target proxy's `onExchange`.
 * It never throws: every failure ends as an answer or an abort, and as a record.
 */
export function createForwarder(options: ForwarderOptions): (exchange: Exchange) => void {
  const clock = options.clock ?? systemClock;
  const context: ForwarderContext = {
    urlMap: options.urlMap,
    recorder: options.recorder,
    clock,
    deadlines: new DeadlineQueues(clock),
    fields: options.fields ?? new ServiceFieldRules([]),
    rateFloor: options.bodyRate === undefined ? null : new RateFloor(options.bodyRate, clock),
    tracing: options.tracing ?? null,
    random: options.random ?? Math.random,
    gate: options.gate ?? null,
  };
  return (exchange) => new ExchangeForward(context, exchange).begin();
}
