// hot path: location() runs once per redirected request.
import { newTarget, type PathSplice } from './path-splice.ts';

/** A urlRedirect of one route. */
export class UrlRedirect {
  readonly status: 301 | 302 | 303 | 307 | 308;
  readonly #host: string | null;
  readonly #https: boolean;
  readonly #stripQuery: boolean;
  /** The whole new path, a splice of the old one, or null: it stays. */
  readonly #path: string | PathSplice | null;

  constructor(shape: RedirectShape) {
    this.status = shape.status;
    this.#host = shape.host;
    this.#https = shape.https;
    this.#stripQuery = shape.stripQuery;
    this.#path = shape.path;
  }

  /**
   * An absolute URL, so that a path of `//host` can never be read as another authority. Null where neither the request nor the
   * redirect names a host (HTTP/1.0). `authority` has been validated, and so has the host of the configuration (security rule 33).
   */
  location(scheme: 'http' | 'https', authority: string, target: string): string | null {
    const host = this.#host ?? authority;
    if (host === '') return null;
    const newScheme = this.#https ? 'https' : scheme;
    return `${newScheme}://${newScheme === scheme ? host : withoutPort80(host)}${this.#newTarget(target)}`;
  }

  #newTarget(target: string): string {
    const path = this.#path;
    const queryAt = target.indexOf('?');
    const old = this.#stripQuery && queryAt !== -1 ? target.slice(0, queryAt) : target;
    if (path === null) return old;
    if (typeof path !== 'string') return newTarget(path, old);
    // a path that brings a query of its own replaces the old one
    return this.#stripQuery || queryAt === -1 || path.indexOf('?') !== -1 ? path : path + target.slice(queryAt);
  }
}

export interface RedirectShape {
  readonly status: 301 | 302 | 303 | 307 | 308;
  /** host[:port]; null: the one of the request. */
  readonly host: string | null;
  readonly https: boolean;
  readonly stripQuery: boolean;
  readonly path: string | PathSplice | null;
}

/** http://example.com:80/ is https://example.com/: the port was that of the other scheme. */
function withoutPort80(host: string): string {
  return host.endsWith(':80') && !host.endsWith('::80') ? host.slice(0, -3) : host;
}
