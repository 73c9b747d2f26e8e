import { isIP, SocketAddress } from 'node:net';
import { networkInterfaces } from 'node:os';

/** Which addresses a DNS name may lead to (security rule 36). */
export interface DestinationTerms {
  /** Names that may lead anywhere but to our own doors. */
  readonly allowedNames: readonly string[];
  /** Where this proxy itself listens, the admin server included. */
  readonly ownDoors: readonly Door[];
}

export interface Door {
  /** An IP literal; `0.0.0.0` and `::` are every address of the machine. */
  readonly address: string;
  readonly port: number;
}

/**
 * Why a name must not lead to this address and port, or null. Whoever controls a name's records could otherwise make the proxy talk to
 * what only this machine or this link should reach. Private networks (RFC 1918, RFC 4193, RFC 6598) are where backends live and are not
 * refused.
 */
export function prohibition(name: string, address: string, port: number, terms: DestinationTerms): string | null {
  const bytes = addressBytes(address);
  if (bytes === null) return 'no address';
  const door = terms.ownDoors.find((own) => own.port === port && isAt(own, bytes));
  if (door !== undefined) return 'an address of this proxy';
  if (terms.allowedNames.includes(name)) return null;
  return rangeOf(bytes);
}

/** What kind of special address it is, through every form in which IPv6 carries an IPv4 address; null: none that is refused. */
export function rangeOf(bytes: Uint8Array): string | null {
  if (bytes.length === 4) return METADATA.has(hex(bytes)) ? 'a cloud metadata service' : rangeOf4(bytes);
  if (METADATA.has(hex(bytes))) return 'a cloud metadata service';
  if (startsWith(bytes, UNSPECIFIED_96)) {
    const last = hex(bytes.subarray(12));
    if (last === '00000000') return 'unspecified';
    if (last === '00000001') return 'loopback';
  }
  if (bytes[0] === 0xff) return 'multicast';
  if (bytes[0] === 0xfe && (bytes[1]! & 0xc0) === 0x80) return 'link-local';
  if (startsWith(bytes, LOCAL_NAT64)) return 'a translation prefix of this network'; // where the IPv4 address is, only that network knows
  const inner = embeddedIpv4(bytes);
  return inner === null ? null : rangeOf(inner);
}

/** 4 or 16 bytes; IPv4-mapped IPv6 is IPv4. null for what is no address; zones (`fe80::1%eth0`) do not count. */
export function addressBytes(text: string): Uint8Array | null {
  const address = text.split('%')[0]!;
  const family = isIP(address);
  if (family === 4) return Uint8Array.from(address.split('.'), Number);
  if (family !== 6) return null;
  const normal = new SocketAddress({ address, family: 'ipv6' }).address;
  const bytes = new Uint8Array(16);
  const dotted = normal.lastIndexOf('.') === -1 ? null : normal.slice(normal.lastIndexOf(':') + 1);
  const colons =
    dotted === null
      ? normal
      : normal.slice(0, normal.length - dotted.length) + hexGroups(Uint8Array.from(dotted.split('.'), Number));
  const [head = '', tail] = colons.split('::');
  const front = head === '' ? [] : head.split(':');
  const back = tail === undefined || tail === '' ? [] : tail.split(':');
  const groups = [...front, ...Array<string>(8 - front.length - back.length).fill('0'), ...back];
  for (const [index, group] of groups.entries()) {
    const value = Number.parseInt(group, 16);
    bytes[index * 2] = value >> 8;
    bytes[index * 2 + 1] = value & 0xff;
  }
  return startsWith(bytes, MAPPED_96) ? bytes.subarray(12) : bytes;
}

function rangeOf4(bytes: Uint8Array): string | null {
  const [a, b] = [bytes[0]!, bytes[1]!];
  if (a === 0) return 'unspecified';
  if (a === 127) return 'loopback';
  if (a === 169 && b === 254) return 'link-local';
  if (a >= 224 && a < 240) return 'multicast';
  return a >= 240 ? 'reserved or broadcast' : null;
}

/** IPv4-compatible, NAT64 (RFC 6052), 6to4 (RFC 3056), Teredo (RFC 4380). */
function embeddedIpv4(bytes: Uint8Array): Uint8Array | null {
  if (startsWith(bytes, UNSPECIFIED_96) || startsWith(bytes, NAT64_96)) return bytes.subarray(12);
  if (bytes[0] === 0x20 && bytes[1] === 0x02) return bytes.subarray(2, 6);
  if (startsWith(bytes, TEREDO_32)) return bytes.subarray(12).map((byte) => byte ^ 0xff);
  return null;
}

function isAt(door: Door, bytes: Uint8Array): boolean {
  const own = addressBytes(door.address);
  if (own === null) return false;
  const inner = bytes.length === 16 ? embeddedIpv4(bytes) : null;
  if (own.some((byte) => byte !== 0)) return equal(own, bytes) || (inner !== null && equal(own, inner));
  const range = rangeOf(bytes);
  if (range === 'loopback' || range === 'unspecified') return true;
  const addresses = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  return addresses.some(({ address }) => {
    const local = addressBytes(address);
    return local !== null && (equal(local, bytes) || (inner !== null && equal(local, inner)));
  });
}

function startsWith(bytes: Uint8Array, prefix: Uint8Array): boolean {
  return prefix.every((byte, index) => bytes[index] === byte);
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && startsWith(a, b);
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

function hexGroups(bytes: Uint8Array): string {
  const text = hex(bytes);
  return `${text.slice(0, 4)}:${text.slice(4)}`;
}

const UNSPECIFIED_96 = new Uint8Array(12);
const MAPPED_96 = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff);
const NAT64_96 = Uint8Array.of(0x00, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0);
const LOCAL_NAT64 = Uint8Array.of(0x00, 0x64, 0xff, 0x9b, 0x00, 0x01); // RFC 8215
const TEREDO_32 = Uint8Array.of(0x20, 0x01, 0, 0);

/** Those that clouds put outside link-local: Alibaba's, Oracle's two, AWS's and Google's over IPv6. */
const METADATA: ReadonlySet<string> = new Set([
  '646464c8', // 100.100.100.200
  'c00000c0', // 192.0.0.192
  'fd0000c10000000000000000a9fea9fe', // fd00:c1::a9fe:a9fe
  'fd000ec2000000000000000000000254', // fd00:ec2::254
  'fd2000ce000000000000000000000254', // fd20:ce::254
]);
