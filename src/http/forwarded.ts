// hot path: once per request, where it is configured.
import type { ConnectionFacts } from './exchange.ts';
import { isToken } from './field-value.ts';

/**
 * The Forwarded field of a request (RFC 7239): one element, ours. What the client sent is never in front of it: an unbalanced
 * quote there would hide ours from whoever reads the last element. Nodes go without ports, as in X-Forwarded-For.
 */
export function forwardedElement(connection: ConnectionFacts, authority: string): string {
  const proto = connection.tls === null ? 'http' : 'https';
  const nodes = `for=${node(connection.remoteAddress)};by=${node(connection.localAddress)}`;
  return authority === '' ? `${nodes};proto=${proto}` : `${nodes};host=${tokenOrQuoted(authority)};proto=${proto}`;
}

/** Section 6: IPv6 in brackets, and so in quotes. */
function node(address: string): string {
  return address.includes(':') ? `"[${address}]"` : address === '' ? 'unknown' : address;
}

/** An authority has neither quotes nor backslashes (request-head.ts), so that quoting it is putting quotes around it. */
function tokenOrQuoted(authority: string): string {
  return isToken(authority) ? authority : `"${authority}"`;
}
