import { isIP, SocketAddress } from 'node:net';

/** One spelling for each IP address, IPv4-mapped IPv6 as IPv4; null for anything else (names, CIDR, brackets). */
export function normalAddress(text: string): string | null {
  const family = isIP(text);
  if (family === 4) return text;
  if (family !== 6) return null;
  const [address = '', zone] = text.split('%');
  const normal = new SocketAddress({ address, family: 'ipv6' }).address;
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/.exec(normal)?.[1];
  return mapped ?? (zone === undefined ? normal : `${normal}%${zone}`);
}

/** Whether listening on both at one port fails: the same address, or a wildcard over the other. `::` takes IPv4 too (dual stack). */
export function addressesCollide(a: string, b: string): boolean {
  if (a === b || a === '::' || b === '::') return true;
  if (a === ANY_IPV4) return isIP(b) === 4;
  return b === ANY_IPV4 && isIP(a) === 4;
}

/** Whether what connects to `dialled` reaches a listener on `listening`, at one port. Of a wildcard's addresses loopback is known without asking the machine. */
export function addressReaches(listening: string, dialled: string): boolean {
  if (listening === dialled) return true;
  if (listening !== ANY_IPV4 && listening !== '::') return false;
  return dialled === '::1' ? listening === '::' : isIP(dialled) === 4 && dialled.startsWith('127.');
}

/** '8443', '8443-8443' or 8443; null for anything else, ranges of several ports included. */
export function singlePort(portRange: string | number): number | null {
  const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(String(portRange));
  if (match === null) return null;
  const port = Number(match[1]);
  if (match[2] !== undefined && Number(match[2]) !== port) return null;
  return port <= 65_535 ? port : null;
}

const ANY_IPV4 = '0.0.0.0';
