import { isIP } from 'node:net';

/** An address cut to what says where to look for its owner and not who it is: `203.0.113.0/24`, `2001:db8:1::/48`. '' for what is no address. */
export function networkOf(address: string): string {
  const version = isIP(address);
  if (version === 4) return `${address.slice(0, address.lastIndexOf('.'))}.0/24`;
  if (version !== 6) return '';
  if (MAPPED.test(address)) return networkOf(address.slice('::ffff:'.length));
  const zone = address.indexOf('%'); // fe80::1%eth0
  return `${firstGroups(zone === -1 ? address : address.slice(0, zone))}::/48`;
}

/** An IPv4 address counts by itself, an IPv6 one by its /64: that is what one customer of a network gets. */
export function addressKey(address: string): string {
  if (!address.includes(':')) return address;
  const [head = '', tail] = address.split('::', 2);
  const groups = head === '' ? [] : head.split(':');
  if (tail !== undefined) {
    const rest = tail === '' ? 0 : tail.split(':').length;
    for (let missing = 8 - groups.length - rest; missing > 0 && groups.length < 4; missing--) groups.push('0');
    if (groups.length < 4 && tail !== '') groups.push(...tail.split(':'));
  }
  return `${groups.slice(0, 4).join(':')}::/64`;
}

/** The first three groups, written as RFC 5952 does: no leading zeros, none at the end. */
function firstGroups(address: string): string {
  const [head = '', tail] = address.toLowerCase().split('::', 2);
  const groups = head === '' ? [] : head.split(':');
  if (tail !== undefined) {
    const after = tail === '' ? [] : tail.split(':');
    // a dotted IPv4 address at the end stands for two groups
    const missing = 8 - groups.length - after.length - (tail.includes('.') ? 1 : 0);
    for (let i = 0; i < missing; i++) groups.push('0');
    groups.push(...after);
  }
  const kept = groups.slice(0, 3).map((group) => Number.parseInt(group, 16));
  while (kept.length > 0 && kept.at(-1) === 0) kept.pop();
  return kept.map((group) => group.toString(16)).join(':');
}

const MAPPED = /^::ffff:\d+\.\d+\.\d+\.\d+$/i; // an IPv4 address in IPv6 clothes (RFC 4291 §2.5.5.2)
