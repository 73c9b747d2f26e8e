import { isIP } from 'node:net';
import { normalAddress } from './address.ts';

export interface CidrBlock {
  readonly address: string;
  readonly prefixLength: number;
  readonly family: 'ipv4' | 'ipv6';
}

/** '192.0.2.0/24', '2001:db8::/32', or one address; null for anything else. Bits beyond the prefix are no error: they do not count. */
export function cidrBlock(text: string): CidrBlock | null {
  const match = /^([0-9a-f.:]+)(?:\/(\d{1,3}))?$/i.exec(text);
  const address = match === null ? null : normalAddress(match[1] ?? '');
  if (match === null || address === null) return null;
  const family = isIP(address) === 4 ? 'ipv4' : 'ipv6';
  const most = family === 'ipv4' ? 32 : 128;
  // ::ffff:192.0.2.0/120 is written by nobody, and would be a block of another size
  if (family === 'ipv4' && match[2] !== undefined && text.includes(':')) return null;
  const prefixLength = match[2] === undefined ? most : Number(match[2]);
  return prefixLength <= most ? { address, prefixLength, family } : null;
}
