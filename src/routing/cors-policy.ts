// hot path: once per request of a route with a corsPolicy.
import type { HeaderList } from '../http/exchange.ts';
import type { RegularExpression } from '../http/regular-expression.ts';

/** A corsPolicy of one route, as the Fetch standard's CORS protocol has it: which origins may, and what they are told. */
export class CorsPolicy {
  readonly #origins: ReadonlySet<string>;
  readonly #anyOrigin: boolean;
  readonly #originPatterns: readonly RegularExpression[];
  /** Fields of an answer to a preflight, of every other response, beside the origin. */
  readonly #preflight: readonly string[];
  readonly #actual: readonly string[];

  constructor(shape: CorsShape) {
    this.#origins = new Set(shape.allowOrigins);
    this.#anyOrigin = shape.allowOrigins.includes('*');
    this.#originPatterns = shape.allowOriginPatterns;
    const credentials = shape.allowCredentials ? ['access-control-allow-credentials', 'true'] : [];
    this.#preflight = [
      ...credentials,
      ...listed('access-control-allow-methods', shape.allowMethods),
      ...listed('access-control-allow-headers', shape.allowHeaders),
      ...(shape.maxAgeSec === null ? [] : ['access-control-max-age', String(shape.maxAgeSec)]),
    ];
    this.#actual = [...credentials, ...listed('access-control-expose-headers', shape.exposeHeaders)];
  }

  /** The origin of a request that this policy allows; null for every other request, which goes on as if there were no policy. */
  allowedOrigin(headers: HeaderList): string | null {
    const origin = single(headers, 'origin');
    if (origin === null) return null;
    if (this.#anyOrigin || this.#origins.has(origin)) return origin;
    for (let i = 0; i < this.#originPatterns.length; i++) if (this.#originPatterns[i]!.matches(origin)) return origin;
    return null;
  }

  /** The fields of the answer to a preflight of an allowed origin. */
  preflightFields(origin: string): string[] {
    return ['access-control-allow-origin', origin, 'vary', 'origin', ...this.#preflight];
  }

  /** Replaces what a response says about CORS. `allowed`: what `allowedOrigin()` said; null leaves the response as it is, but for Vary. */
  edit(fields: string[], allowed: string | null): void {
    if (allowed !== null) {
      let kept = 0;
      for (let i = 0; i < fields.length; i += 2) {
        if (REPLACED.has(fields[i]!)) continue;
        fields[kept] = fields[i]!;
        fields[kept + 1] = fields[i + 1]!;
        kept += 2;
      }
      fields.length = kept;
      fields.push('access-control-allow-origin', allowed);
      for (let i = 0; i < this.#actual.length; i++) fields.push(this.#actual[i]!);
    }
    fields.push('vary', 'origin'); // the answer depends on it: a cache must not give it to another origin
  }
}

export interface CorsShape {
  readonly allowOrigins: readonly string[];
  readonly allowOriginPatterns: readonly RegularExpression[];
  readonly allowMethods: readonly string[];
  readonly allowHeaders: readonly string[];
  readonly exposeHeaders: readonly string[];
  readonly maxAgeSec: number | null;
  readonly allowCredentials: boolean;
}

/** A preflight (Fetch, section 3.3.2): OPTIONS with an origin that asks for a method. */
export function isPreflight(method: string, headers: HeaderList): boolean {
  return method === 'OPTIONS' && single(headers, 'access-control-request-method') !== null;
}

/** The value of a field that stands there once. */
function single(headers: HeaderList, name: string): string | null {
  let value: string | null = null;
  for (let i = 0; i < headers.length; i += 2) {
    if (headers[i] !== name) continue;
    if (value !== null) return null;
    value = headers[i + 1]!;
  }
  return value;
}

function listed(name: string, values: readonly string[]): readonly string[] {
  return values.length === 0 ? [] : [name, values.join(', ')];
}

const REPLACED: ReadonlySet<string> = new Set([
  'access-control-allow-origin',
  'access-control-allow-credentials',
  'access-control-expose-headers',
]);
