import { isIP } from 'node:net';

/** Letters, digits and hyphens in labels of at most 63 (RFC 1123 section 2.1), 253 in all; not an IP literal. */
export function isHostName(text: string): boolean {
  if (text.length === 0 || text.length > 253 || isIP(text) !== 0) return false;
  return text.split('.').every((label) => LABEL.test(label));
}

/** What is wrong with a name that TLS is to send or to compare (security rule 27), or null. */
export function serverNameProblem(text: string): string | null {
  if (isIP(text) !== 0 || (text.startsWith('[') && text.endsWith(']'))) return 'which is an IP literal';
  if (text.includes('*')) return 'which has a wildcard';
  if (text.endsWith('.')) return 'which has a trailing dot';
  return isHostName(text) ? null : 'which no certificate can have';
}

const LABEL = /^[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?$/;
