import { isIP } from 'node:net';

export type ProxyHeaderVersion = 'PROXY_V1' | 'PROXY_V2';

/** What a PROXY header says of a connection from a client (proxy-protocol.txt of HAProxy, 2.8). */
export interface ConveyedConnection {
  readonly sourceAddress: string;
  readonly sourcePort: number;
  readonly destinationAddress: string;
  readonly destinationPort: number;
  /** null: the client did not come over TLS. Only version 2 can tell. */
  readonly tls: { readonly protocol: string; readonly sni: string | null } | null;
}

/**
 * The bytes that come before all others on a connection to a backend. `connection` null, or with an address that is none: the header
 * says that nothing is conveyed (UNKNOWN, LOCAL). Addresses of two families are both given as IPv6, the IPv4 one mapped (RFC 4291 §2.5.5.2).
 */
export function proxyHeader(version: ProxyHeaderVersion, connection: ConveyedConnection | null): Buffer {
  const family = connection === null ? 0 : familyOf(connection.sourceAddress, connection.destinationAddress);
  if (connection === null || family === 0) return version === 'PROXY_V1' ? UNKNOWN_V1 : LOCAL_V2;
  return version === 'PROXY_V1' ? textHeader(connection, family) : binaryHeader(connection, family);
}

/** At most 107 bytes (2.1). */
function textHeader(connection: ConveyedConnection, family: 4 | 6): Buffer {
  const source = shownAs(connection.sourceAddress, family);
  const destination = shownAs(connection.destinationAddress, family);
  const { sourcePort, destinationPort } = connection;
  return Buffer.from(`PROXY TCP${family} ${source} ${destination} ${sourcePort} ${destinationPort}\r\n`, 'latin1');
}

function binaryHeader(connection: ConveyedConnection, family: 4 | 6): Buffer {
  const ports = Buffer.alloc(4);
  ports.writeUInt16BE(connection.sourcePort, 0);
  ports.writeUInt16BE(connection.destinationPort, 2);
  const body = Buffer.concat([
    addressBytes(shownAs(connection.sourceAddress, family)),
    addressBytes(shownAs(connection.destinationAddress, family)),
    ports,
    ...(connection.tls === null ? [] : tlsVectors(connection.tls)),
  ]);
  const head = Buffer.from([...SIGNATURE, VERSION_2_PROXY, family === 4 ? TCP_OVER_IPV4 : TCP_OVER_IPV6, 0, 0]);
  head.writeUInt16BE(body.length, LENGTH_AT);
  return Buffer.concat([head, body]);
}

function tlsVectors({ protocol, sni }: NonNullable<ConveyedConnection['tls']>): readonly Buffer[] {
  // no certificate was asked for, and "verified" is not what that means (2.2.6)
  const client = Buffer.from([CLIENT_SSL, 0, 0, 0, 1]);
  const ssl = vector(TYPE_SSL, Buffer.concat([client, vector(SUBTYPE_SSL_VERSION, Buffer.from(protocol, 'latin1'))]));
  return sni === null ? [ssl] : [vector(TYPE_AUTHORITY, Buffer.from(sni, 'latin1')), ssl];
}

function vector(type: number, value: Buffer): Buffer {
  const head = Buffer.from([type, 0, 0]);
  head.writeUInt16BE(value.length, 1);
  return Buffer.concat([head, value]);
}

/** 0: one of the two is no address. */
function familyOf(source: string, destination: string): 0 | 4 | 6 {
  const [a, b] = [isIP(source), isIP(destination)];
  if (a === 0 || b === 0 || source.includes('%') || destination.includes('%')) return 0; // a zone means nothing elsewhere
  return a === 4 && b === 4 ? 4 : 6;
}

function shownAs(address: string, family: 4 | 6): string {
  return family === 6 && isIP(address) === 4 ? `::ffff:${address}` : address;
}

function addressBytes(address: string): Buffer {
  if (isIP(address) === 4) return Buffer.from(address.split('.').map(Number));
  const [head = '', tail] = address.split('::', 2);
  const before = groupsOf(head);
  const after = tail === undefined ? [] : groupsOf(tail);
  const bytes = Buffer.alloc(16);
  for (const [index, group] of before.entries()) bytes.writeUInt16BE(group, index * 2);
  for (const [index, group] of after.entries()) bytes.writeUInt16BE(group, (8 - after.length + index) * 2);
  return bytes;
}

/** Of 'a:b:c' or 'a:b:192.0.2.1'. */
function groupsOf(text: string): readonly number[] {
  if (text === '') return [];
  return text.split(':').flatMap((group) => {
    if (!group.includes('.')) return [Number.parseInt(group, 16)];
    const [a = 0, b = 0, c = 0, d = 0] = group.split('.').map(Number);
    return [a * 256 + b, c * 256 + d];
  });
}

const UNKNOWN_V1 = Buffer.from('PROXY UNKNOWN\r\n', 'latin1');
const SIGNATURE = [0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a]; // 2.2
const LENGTH_AT = 14;
const VERSION_2_LOCAL = 0x20;
const VERSION_2_PROXY = 0x21;
const TCP_OVER_IPV4 = 0x11;
const TCP_OVER_IPV6 = 0x21;
const LOCAL_V2 = Buffer.from([...SIGNATURE, VERSION_2_LOCAL, 0, 0, 0]);
const TYPE_AUTHORITY = 0x02; // 2.2.2, this and the next ones to 2.2.6
const TYPE_SSL = 0x20;
const SUBTYPE_SSL_VERSION = 0x21;
const CLIENT_SSL = 0x01;
