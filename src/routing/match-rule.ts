// hot path: once per request for each match rule that is looked at.
import type { HeaderList } from '../http/exchange.ts';
import type { PathTemplate } from '../http/path-template.ts';
import type { RegularExpression } from '../http/regular-expression.ts';

/** What of a request is matched: its head. An exchange is one. */
export interface RoutableRequest {
  readonly method: string;
  /** Validated host[:port]. */
  readonly authority: string;
  /** Origin form. */
  readonly target: string;
  readonly headers: HeaderList;
}

/** A request and what matching takes from it once. */
export interface MatchedRequest {
  readonly request: RoutableRequest;
  readonly path: string;
  /** Without the '?'; '' where there is none. */
  readonly query: string;
}

/** One compiled matchRule: all of it must hold. */
export class MatchRule {
  readonly path: PathPredicate;
  readonly headers: readonly HeaderPredicate[];
  readonly queryParameters: readonly QueryParameterPredicate[];

  constructor(
    path: PathPredicate,
    headers: readonly HeaderPredicate[],
    queryParameters: readonly QueryParameterPredicate[],
  ) {
    this.path = path;
    this.headers = headers;
    this.queryParameters = queryParameters;
  }

  matches(matched: MatchedRequest): boolean {
    if (!pathMatches(this.path, matched.path)) return false;
    for (let i = 0; i < this.headers.length; i++) {
      if (!headerMatches(this.headers[i]!, matched.request)) return false;
    }
    for (let i = 0; i < this.queryParameters.length; i++) {
      if (!queryParameterMatches(this.queryParameters[i]!, matched.query)) return false;
    }
    return true;
  }
}

/** `value` in lower case where case is ignored. */
export type PathPredicate =
  | { readonly kind: 'prefix' | 'full'; readonly value: string; readonly ignoreCase: boolean }
  | { readonly kind: 'regex'; readonly pattern: RegularExpression }
  | { readonly kind: 'template'; readonly template: PathTemplate };

export type TextTest =
  | { readonly kind: 'exact' | 'prefix' | 'suffix'; readonly value: string }
  | { readonly kind: 'regex'; readonly pattern: RegularExpression }
  | { readonly kind: 'present'; readonly value: boolean }
  | { readonly kind: 'range'; readonly start: number; readonly end: number };

export interface HeaderPredicate {
  /** Lower case, ':method' or ':authority'. */
  readonly name: string;
  readonly test: TextTest;
  readonly invert: boolean;
}

export interface QueryParameterPredicate {
  readonly name: string;
  readonly test: TextTest;
}

export function pathMatches(predicate: PathPredicate, path: string): boolean {
  switch (predicate.kind) {
    case 'prefix':
      if (!predicate.ignoreCase) return path.startsWith(predicate.value);
      return path.slice(0, predicate.value.length).toLowerCase() === predicate.value;
    case 'full':
      if (!predicate.ignoreCase) return path === predicate.value;
      return path.length === predicate.value.length && path.toLowerCase() === predicate.value;
    case 'regex':
      return predicate.pattern.matches(path);
    case 'template':
      return predicate.template.matches(path);
  }
}

/** Fields of one name count as one, joined with a comma (RFC 9110 section 5.3). One that is not there meets nothing, so that its inversion holds. */
export function headerMatches({ name, test, invert }: HeaderPredicate, request: RoutableRequest): boolean {
  return textMatches(test, headerValue(name, request)) !== invert;
}

/** The first parameter of the name counts; names and values are compared as they were sent, without decoding (security rule 33). */
export function queryParameterMatches({ name, test }: QueryParameterPredicate, query: string): boolean {
  return textMatches(test, queryParameter(name, query));
}

function headerValue(name: string, { method, authority, headers }: RoutableRequest): string | null {
  if (name === ':method') return method;
  if (name === ':authority' || name === 'host') return authority;
  let value: string | null = null;
  for (let i = 0; i < headers.length; i += 2) {
    if (headers[i] === name) value = value === null ? headers[i + 1]! : `${value},${headers[i + 1]!}`;
  }
  return value;
}

function queryParameter(name: string, query: string): string | null {
  let at = 0;
  while (at < query.length) {
    const next = query.indexOf('&', at);
    const end = next === -1 ? query.length : next;
    if (query.startsWith(name, at)) {
      const after = at + name.length;
      if (after === end) return '';
      if (after < end && query.charCodeAt(after) === EQUALS) return query.slice(after + 1, end);
    }
    at = end + 1;
  }
  return null;
}

function textMatches(test: TextTest, value: string | null): boolean {
  if (test.kind === 'present') return (value !== null) === test.value;
  if (value === null) return false;
  switch (test.kind) {
    case 'exact':
      return value === test.value;
    case 'prefix':
      return value.startsWith(test.value);
    case 'suffix':
      return value.endsWith(test.value);
    case 'regex':
      return test.pattern.matches(value);
    case 'range':
      return isInRange(value, test.start, test.end);
  }
}

/** Decimal digits with a minus or without, nothing else; beyond 15 digits a Number is not exact, and no range has that many. */
function isInRange(value: string, start: number, end: number): boolean {
  const first = value.charCodeAt(0) === MINUS ? 1 : 0;
  const digits = value.length - first;
  if (digits < 1 || digits > 15) return false;
  let number = 0;
  for (let i = first; i < value.length; i++) {
    const digit = value.charCodeAt(i) - ZERO;
    if (digit < 0 || digit > 9) return false;
    number = number * 10 + digit;
  }
  if (first === 1) number = -number;
  return number >= start && number < end;
}

const MINUS = 0x2d;
const ZERO = 0x30;
const EQUALS = 0x3d;
