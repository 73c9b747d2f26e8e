import { ProxyError } from '../base/errors.ts';
import type {
  LinkedCorsPolicy,
  LinkedHeaderAction,
  LinkedRedirect,
  LinkedRouteAction,
  LinkedUrlMap,
  LinkedUrlRewrite,
} from '../config/linked-url-map.ts';
import { HeaderEdits } from '../http/header-edits.ts';
import { type PathTemplate, parsePathTemplateRewrite } from '../http/path-template.ts';
import { parseRegularExpression } from '../http/regular-expression.ts';
import { CorsPolicy } from './cors-policy.ts';
import type { MatchedPart, PathSplice } from './path-splice.ts';
import type { HeaderActions, RouteAction } from './route.ts';
import { UrlRedirect } from './url-redirect.ts';
import { UrlRewrite } from './url-rewrite.ts';

/** Which part of a path a rule matched, and with which template. */
export interface PathPart {
  readonly matched: MatchedPart;
  readonly template: PathTemplate | null;
}

/** What is done to the requests of a rule: the actions of one URL map, against the running services. */
export class ActionCompiler<Service> {
  readonly #map: LinkedUrlMap;
  readonly #services: ReadonlyMap<string, Service>;
  /** A rule is compiled for each host that leads to it, its policy once. */
  readonly #cors = new Map<LinkedCorsPolicy, CorsPolicy>();

  constructor(map: LinkedUrlMap, services: ReadonlyMap<string, Service>) {
    this.#map = map;
    this.#services = services;
  }

  service(name: string): Service {
    const service = this.#services.get(name);
    if (service === undefined) throw this.#defect(`no backend service ${name}, expected a linked configuration`);
    return service;
  }

  /** `levels`: the headerActions that apply, in this order. Null where nothing is asked for. */
  action(
    action: LinkedRouteAction | null,
    part: PathPart,
    levels: readonly (LinkedHeaderAction | null)[],
  ): RouteAction<Service> | null {
    const headers = headerActions(levels);
    if (action === null) return headers === null ? null : { ...NO_ACTION, headers };
    const { timeoutMs, maxStreamDurationMs, retryPolicy, fault, urlRewrite, cors, mirror } = action;
    return {
      rewrite: urlRewrite && this.#rewrite(urlRewrite, part),
      headers,
      cors: cors && this.#corsPolicy(cors),
      timeoutMs,
      maxStreamDurationMs,
      retryPolicy,
      mirror: mirror && { ...mirror, service: this.service(mirror.service) },
      fault,
    };
  }

  redirect({ status, host, path, prefix, https, stripQuery }: LinkedRedirect, { matched }: PathPart): UrlRedirect {
    const splice: PathSplice | null = prefix === null ? null : { kind: 'prefix', matched, replacement: prefix };
    return new UrlRedirect({ status, host, https, stripQuery, path: path ?? splice });
  }

  #rewrite({ host, pathPrefix, pathTemplate }: LinkedUrlRewrite, { matched, template }: PathPart): UrlRewrite {
    if (pathPrefix !== null) return new UrlRewrite(host, { kind: 'prefix', matched, replacement: pathPrefix });
    if (pathTemplate === null) return new UrlRewrite(host, null);
    if (template === null) throw this.#defect('pathTemplateRewrite without pathTemplateMatch');
    const rewrite = parsePathTemplateRewrite(pathTemplate, template.variables);
    if (typeof rewrite === 'string') throw this.#defect(`pathTemplateRewrite ${pathTemplate}, ${rewrite}`);
    return new UrlRewrite(host, { kind: 'template', template, rewrite });
  }

  #corsPolicy(linked: LinkedCorsPolicy): CorsPolicy {
    const known = this.#cors.get(linked);
    if (known !== undefined) return known;
    const allowOriginPatterns = linked.allowOriginRegexes.map((text) => {
      const pattern = parseRegularExpression(text);
      if (typeof pattern === 'string') throw this.#defect(`allowOriginRegexes ${text}, ${pattern}`);
      return pattern;
    });
    const policy = new CorsPolicy({ ...linked, allowOriginPatterns });
    this.#cors.set(linked, policy);
    return policy;
  }

  #defect(what: string): ProxyError {
    return new ProxyError('internal_error', { detail: `Cannot compile URL map ${this.#map.name}: ${what}` });
  }
}

function headerActions(levels: readonly (LinkedHeaderAction | null)[]): HeaderActions | null {
  const actions = levels.filter((level) => level !== null);
  if (actions.length === 0) return null;
  const requests = actions
    .map((action) => ({ remove: action.requestHeadersToRemove, add: action.requestHeadersToAdd }))
    .filter(({ remove, add }) => remove.length + add.length > 0);
  const responses = actions
    .map((action) => ({ remove: action.responseHeadersToRemove, add: action.responseHeadersToAdd }))
    .filter(({ remove, add }) => remove.length + add.length > 0);
  return {
    request: requests.length === 0 ? null : new HeaderEdits(requests),
    response: responses.length === 0 ? null : new HeaderEdits(responses),
  };
}

const NO_ACTION = {
  rewrite: null,
  cors: null,
  timeoutMs: null,
  maxStreamDurationMs: null,
  retryPolicy: null,
  mirror: null,
  fault: null,
} as const;
