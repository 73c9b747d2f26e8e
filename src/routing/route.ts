// hot path: types only.
import type { LinkedFault, LinkedRetryPolicy } from '../config/linked-url-map.ts';
import type { HeaderEdits } from '../http/header-edits.ts';
import type { CorsPolicy } from './cors-policy.ts';
import type { UrlRedirect } from './url-redirect.ts';
import type { UrlRewrite } from './url-rewrite.ts';

/**
 * Where a request goes and what is done to it on the way: made when the map is compiled, one for each rule, way to match it and
 * weighted service, so that matching allocates nothing. `redirect` tells the two apart.
 */
export type Route<Service> = ServiceRoute<Service> | RedirectRoute;

export interface ServiceRoute<Service> extends WinningRule {
  readonly redirect: null;
  /** Chosen by weight where a rule has several. */
  readonly service: Service;
  /** null: nothing is asked for but the service. */
  readonly action: RouteAction<Service> | null;
}

export interface RedirectRoute extends WinningRule {
  readonly redirect: UrlRedirect;
  readonly service: null;
  readonly action: null;
}

/** What won, as written; null where a default did. */
export interface WinningRule {
  readonly hostRule: string | null;
  readonly pathMatcher: string | null;
  /** The path of a path rule, or the path predicate of a route rule. */
  readonly pathRule: string | null;
  /** Of the route rule; null where there are path rules. */
  readonly priority: number | null;
}

/** A routeAction, and the headerActions of all levels. Null, each: not asked for. */
export interface RouteAction<Service> {
  /** What is forwarded instead of the authority and target that were matched. */
  readonly rewrite: UrlRewrite | null;
  /** Request edits come before the service's customRequestHeaders, response edits after its customResponseHeaders. */
  readonly headers: HeaderActions | null;
  readonly cors: CorsPolicy | null;
  /** From the end of the request to the end of the response, retries included; null: the service's own timeoutMs. */
  readonly timeoutMs: number | null;
  readonly maxStreamDurationMs: number | null;
  readonly retryPolicy: LinkedRetryPolicy | null;
  readonly mirror: Mirror<Service> | null;
  readonly fault: LinkedFault | null;
}

export interface Mirror<Service> {
  readonly service: Service;
  /** 0 to 100 of requests. */
  readonly percent: number;
  readonly dangerKeepCredentials: boolean;
}

/** Null: no level says anything. */
export interface HeaderActions {
  readonly request: HeaderEdits | null;
  readonly response: HeaderEdits | null;
}
