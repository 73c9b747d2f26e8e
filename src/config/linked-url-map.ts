import type { Digest } from '../base/digest.ts';
import type { CustomHeader } from '../http/header-template.ts';

/** A URL map after validation (spec 3.4). Services are names of backend services; every pattern has been compiled once, as a trial. */
export interface LinkedUrlMap {
  readonly name: string;
  readonly digest: Digest;
  /** Where a request goes that no host rule matches. */
  readonly fallback: LinkedDestination;
  /** Applied to everything that this map routes, after those of rule and path matcher. */
  readonly headerAction: LinkedHeaderAction | null;
  readonly hostRules: readonly { readonly hosts: readonly string[]; readonly pathMatcher: string }[];
  readonly pathMatchers: readonly LinkedPathMatcher[];
  readonly tests: readonly LinkedUrlMapTest[];
}

/** Has path rules or route rules, never both. */
export interface LinkedPathMatcher {
  readonly name: string;
  readonly fallback: LinkedDestination;
  readonly headerAction: LinkedHeaderAction | null;
  readonly pathRules: readonly { readonly paths: readonly string[]; readonly destination: LinkedDestination }[];
  /** By priority, the first to be looked at first. */
  readonly routeRules: readonly LinkedRouteRule[];
}

export interface LinkedRouteRule {
  readonly priority: number;
  /** At least one; any of them will do. */
  readonly matchRules: readonly LinkedMatchRule[];
  readonly destination: LinkedDestination;
  readonly headerAction: LinkedHeaderAction | null;
}

/** All of it must hold. */
export interface LinkedMatchRule {
  readonly path: LinkedPathMatch;
  readonly headers: readonly LinkedHeaderMatch[];
  readonly queryParameters: readonly LinkedQueryParameterMatch[];
}

export type LinkedPathMatch =
  | { readonly kind: 'prefix' | 'full'; readonly value: string; readonly ignoreCase: boolean }
  | { readonly kind: 'regex' | 'template'; readonly value: string };

export interface LinkedHeaderMatch {
  /** Lower case, or ':method' or ':authority'. */
  readonly name: string;
  readonly test:
    | { readonly kind: 'exact' | 'prefix' | 'suffix' | 'regex'; readonly value: string }
    | { readonly kind: 'present'; readonly value: boolean }
    /** From start to below end. */
    | { readonly kind: 'range'; readonly start: number; readonly end: number };
  readonly invert: boolean;
}

export interface LinkedQueryParameterMatch {
  readonly name: string;
  readonly test:
    | { readonly kind: 'exact' | 'regex'; readonly value: string }
    | { readonly kind: 'present'; readonly value: boolean };
}

export type LinkedDestination = LinkedForward | LinkedRedirect;

export interface LinkedForward {
  readonly kind: 'forward';
  /** One, or several that share by weight, of which one at least weighs something. */
  readonly services: readonly LinkedWeightedService[];
  /** null: nothing is asked for but the service. */
  readonly action: LinkedRouteAction | null;
}

export interface LinkedWeightedService {
  readonly service: string;
  /** 0 to 1000. */
  readonly weight: number;
  readonly headerAction: LinkedHeaderAction | null;
}

export interface LinkedRedirect {
  readonly kind: 'redirect';
  readonly status: 301 | 302 | 303 | 307 | 308;
  /** host[:port]. */
  readonly host: string | null;
  /** At most one of the two; without both the path stays. */
  readonly path: string | null;
  readonly prefix: string | null;
  readonly https: boolean;
  readonly stripQuery: boolean;
}

/** Null: not asked for. */
export interface LinkedRouteAction {
  readonly urlRewrite: LinkedUrlRewrite | null;
  /** From the end of the request to the end of the response, retries included; null: timeoutSec of the service. */
  readonly timeoutMs: number | null;
  readonly maxStreamDurationMs: number | null;
  readonly retryPolicy: LinkedRetryPolicy | null;
  readonly mirror: LinkedMirror | null;
  readonly cors: LinkedCorsPolicy | null;
  readonly fault: LinkedFault | null;
}

/** `dangerKeepCredentials`: of the client, in copies too (security rule 37). */
export interface LinkedMirror {
  readonly service: string;
  /** 0 to 100 of requests. */
  readonly percent: number;
  readonly dangerKeepCredentials: boolean;
}

export interface LinkedUrlRewrite {
  /** At most one of the two. */
  readonly pathPrefix: string | null;
  readonly pathTemplate: string | null;
  /** host[:port]. */
  readonly host: string | null;
}

export type RetryCondition =
  | '5xx'
  | 'gateway-error'
  | 'connect-failure'
  | 'retriable-4xx'
  | 'refused-stream'
  | 'cancelled'
  | 'deadline-exceeded'
  | 'internal'
  | 'resource-exhausted'
  | 'unavailable'
  | 'reset';

export interface LinkedRetryPolicy {
  /** 0 to 25. */
  readonly numRetries: number;
  readonly perTryTimeoutMs: number | null;
  /** As written; empty: the defaults of spec 4.5. */
  readonly retryConditions: readonly RetryCondition[];
}

/** `percentage`: 0 to 100 of requests. */
export interface LinkedFault {
  readonly delay: { readonly delayMs: number; readonly percentage: number } | null;
  readonly abort: { readonly httpStatus: number; readonly percentage: number } | null;
}

/** One that is disabled is not linked. */
export interface LinkedCorsPolicy {
  readonly allowOrigins: readonly string[];
  readonly allowOriginRegexes: readonly string[];
  readonly allowMethods: readonly string[];
  readonly allowHeaders: readonly string[];
  readonly exposeHeaders: readonly string[];
  readonly maxAgeSec: number | null;
  readonly allowCredentials: boolean;
}

/** Names in lower case. Of one level: what is removed goes before what is added. */
export interface LinkedHeaderAction {
  readonly requestHeadersToAdd: readonly LinkedHeaderToAdd[];
  readonly requestHeadersToRemove: readonly string[];
  readonly responseHeadersToAdd: readonly LinkedHeaderToAdd[];
  readonly responseHeadersToRemove: readonly string[];
}

export interface LinkedHeaderToAdd {
  readonly header: CustomHeader;
  /** Values that are there go. */
  readonly replace: boolean;
}

/** What a request must come to; null: not tested. */
export interface LinkedUrlMapTest {
  readonly host: string;
  /** Path and query. */
  readonly path: string;
  /** Flat, names in lower case. */
  readonly headers: readonly string[];
  readonly service: string | null;
  readonly expectedOutputUrl: string | null;
  readonly expectedRedirectResponseCode: number | null;
}
