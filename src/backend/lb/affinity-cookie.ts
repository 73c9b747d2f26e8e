// hot path where affinity goes by a cookie.
import type { LinkedAffinity } from '../../config/linked.ts';
import { cookieValue } from '../../http/cookie-value.ts';
import type { Exchange, HeaderList } from '../../http/exchange.ts';
import type { AffinityCookies, Endpoint } from '../contract.ts';
import { type AffinityTokens, TOKEN_LENGTH } from './affinity-tokens.ts';
import { hashOf, NO_HASH } from './hash.ts';

export type CookieAffinitySettings = Extract<LinkedAffinity, { readonly cookie: object }>;

/**
 * Affinity by a cookie. GENERATED_COOKIE and STRONG_COOKIE_AFFINITY: ours, and again whenever another endpoint has answered. HTTP_COOKIE: the
 * application's, whose value is hashed; ours where the client has none.
 *
 * A value of ours is one token or several with dots between them: services that share a host share a cookie of one name, and each
 * keeps what the others have put there.
 */
export class CookieAffinity<C extends Endpoint> implements AffinityCookies {
  readonly #name: string;
  readonly #isHashed: boolean;
  readonly #attributes: string;
  readonly #tokens: AffinityTokens<C>;

  constructor({ by, cookie: { name, path, ttlSec } }: CookieAffinitySettings, tokens: AffinityTokens<C>) {
    this.#name = name;
    this.#isHashed = by === 'HTTP_COOKIE';
    const age = ttlSec === 0 ? '' : `; Max-Age=${ttlSec}`;
    this.#attributes = `; Path=${path}${age}; HttpOnly; SameSite=Lax`;
    this.#tokens = tokens;
  }

  /** The endpoint that a token of ours names; null: no cookie, no token, or none of a current endpoint. */
  boundTo(headers: HeaderList): C | null {
    const value = cookieValue(headers, this.#name);
    return value === null ? null : this.#endpointIn(value);
  }

  hashOf(headers: HeaderList): number {
    if (!this.#isHashed) return NO_HASH;
    const value = cookieValue(headers, this.#name);
    return value === null || value === '' ? NO_HASH : hashOf(value);
  }

  setCookieFor(endpoint: Endpoint, { headers, scheme }: Pick<Exchange, 'headers' | 'scheme'>): string | null {
    const sent = cookieValue(headers, this.#name) ?? '';
    if (this.#isHashed) {
      if (sent !== '') return null;
    } else if (this.#endpointIn(sent)?.name === endpoint.name) {
      return null;
    }
    const others = this.#isHashed ? '' : this.#tokensOfOthers(sent);
    // A Secure cookie would never come back over plain HTTP.
    const secure = scheme === 'https' ? '; Secure' : '';
    return `${this.#name}=${this.#tokens.tokenOf(endpoint)}${others}${this.#attributes}${secure}`;
  }

  #endpointIn(value: string): C | null {
    if (value.length > LONGEST_VALUE) return null;
    for (let at = 0; at + TOKEN_LENGTH <= value.length; at += TOKEN_LENGTH + 1) {
      const endpoint = this.#tokens.endpointOf(value.slice(at, at + TOKEN_LENGTH));
      if (endpoint !== null) return endpoint;
    }
    return null;
  }

  /** What looks like tokens and is none of this service, newest first, each after a dot. */
  #tokensOfOthers(value: string): string {
    let kept = '';
    if (value.length > LONGEST_VALUE) return kept;
    for (let at = 0; at + TOKEN_LENGTH <= value.length; at += TOKEN_LENGTH + 1) {
      if (kept.length >= (MOST_TOKENS - 1) * (TOKEN_LENGTH + 1)) return kept;
      const token = value.slice(at, at + TOKEN_LENGTH);
      if (isToken(token) && this.#tokens.endpointOf(token) === null) kept += `.${token}`;
    }
    return kept;
  }
}

/** base64url alone: it goes back into a header. */
function isToken(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    const isLetter = (unit >= 0x41 && unit <= 0x5a) || (unit >= 0x61 && unit <= 0x7a);
    const isDigit = unit >= 0x30 && unit <= 0x39;
    if (!isLetter && !isDigit && unit !== HYPHEN && unit !== UNDERSCORE) return false;
  }
  return text.length === TOKEN_LENGTH;
}

const HYPHEN = 0x2d;
const UNDERSCORE = 0x5f;
const MOST_TOKENS = 8; // of services that share a host and a cookie's name, those that were used last
const LONGEST_VALUE = MOST_TOKENS * (TOKEN_LENGTH + 1) - 1;
