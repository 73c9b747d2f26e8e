import { BlockList, isIP } from 'node:net';

/** True for the addresses that only this machine can reach; IPv4-mapped ones included. */
export function isLoopback(address: string): boolean {
  const version = isIP(address);
  return version !== 0 && LOOPBACK.check(address, version === 4 ? 'ipv4' : 'ipv6');
}

/**
 * Whether a Host header may name this server (security rule 17). A page of another site whose DNS name was rebound to our
 * address still sends its own name as Host; it cannot send an IP literal of ours, nor `localhost`.
 * Accepted: the bound address, loopback addresses, any IP literal where we are bound to all addresses, `localhost`, `extra`.
 */
export function isOwnHost(hostHeader: string, boundAddress: string, extra: readonly string[]): boolean {
  const host = hostOf(hostHeader);
  if (host === null) return false;
  if (isIP(host) !== 0) return isUnspecified(boundAddress) || isLoopback(host) || isSame(host, boundAddress);
  return host === 'localhost' || extra.some((name) => name.toLowerCase() === host);
}

/** Lower-cased, without port and brackets; null when it is not host[:port]. */
function hostOf(header: string): string | null {
  const match = /^(?:\[([0-9A-Fa-f:.]{2,45})\]|([A-Za-z0-9._-]{1,253}))(?::\d{1,5})?$/.exec(header);
  return match === null ? null : (match[1] ?? match[2] ?? '').toLowerCase();
}

/** By value: `::1` and `0:0:0:0:0:0:0:1` are one address. */
function isSame(a: string, b: string): boolean {
  const version = isIP(b);
  if (version === 0) return false;
  const only = new BlockList();
  only.addAddress(b, version === 4 ? 'ipv4' : 'ipv6');
  return only.check(a, isIP(a) === 4 ? 'ipv4' : 'ipv6');
}

function isUnspecified(address: string): boolean {
  return isSame('0.0.0.0', address) || isSame('::', address);
}

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4');
LOOPBACK.addAddress('::1', 'ipv6');
