import { BlockList, isIPv4 } from 'node:net';

/** What a record may hold: whole numbers are written as uint32, others as doubles. */
export type MmdbValue = string | number | readonly MmdbValue[] | { readonly [key: string]: MmdbValue };

/** A MaxMind database (format 2.0, records of 24 bits) with one record for each network, none of them inside another. */
export function mmdb(networks: Readonly<Record<string, MmdbValue>>, ipVersion: 4 | 6 = 6): Buffer {
  const nodes: [Leaf, Leaf][] = [[null, null]];
  const data: Buffer[] = [];
  let dataBytes = 0;
  for (const [network, value] of Object.entries(networks)) {
    insert(nodes, bitsOf(network, ipVersion), { offset: dataBytes });
    const encoded = encode(value);
    data.push(encoded);
    dataBytes += encoded.length;
  }
  const tree = Buffer.alloc(nodes.length * 6);
  for (const [index, sides] of nodes.entries()) {
    for (const [side, leaf] of sides.entries()) {
      const record =
        leaf === null ? nodes.length : typeof leaf === 'number' ? leaf : nodes.length + SEPARATOR.length + leaf.offset;
      tree.writeUIntBE(record, index * 6 + side * 3, 3);
    }
  }
  const metadata = {
    binary_format_major_version: 2,
    binary_format_minor_version: 0,
    build_epoch: 1_700_000_000,
    database_type: 'Test-City',
    ip_version: ipVersion,
    node_count: nodes.length,
    record_size: 24,
  };
  return Buffer.concat([tree, SEPARATOR, ...data, MARKER, encode(metadata)]);
}

/** A number: that node. */
type Leaf = number | { readonly offset: number } | null;

function insert(nodes: [Leaf, Leaf][], bits: readonly number[], leaf: Leaf): void {
  let at = 0;
  for (const [index, bit] of bits.entries()) {
    const sides = nodes[at]!;
    if (index === bits.length - 1) {
      sides[bit] = leaf;
      return;
    }
    let next = sides[bit]!;
    if (typeof next !== 'number') {
      next = nodes.push([null, null]) - 1;
      sides[bit] = next;
    }
    at = next;
  }
}

function bitsOf(network: string, ipVersion: 4 | 6): readonly number[] {
  const [address, length] = network.split('/') as [string, string];
  const isV4 = isIPv4(address);
  const bytes = isV4 ? address.split('.').map(Number) : bytesOfIpv6(address);
  const bits = bytes.flatMap((byte) => Array.from({ length: 8 }, (_, i) => (byte >> (7 - i)) & 1));
  const own = bits.slice(0, Number(length));
  return isV4 && ipVersion === 6 ? [...Array<number>(96).fill(0), ...own] : own;
}

function bytesOfIpv6(address: string): readonly number[] {
  new BlockList().addAddress(address, 'ipv6'); // throws for what is none
  const [head = '', tail = ''] = address.split('::');
  const groups = (text: string) => (text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16)));
  const [first, last] = [groups(head), groups(tail)];
  const all = [...first, ...Array<number>(8 - first.length - last.length).fill(0), ...last];
  return all.flatMap((group) => [group >> 8, group & 0xff]);
}

function encode(value: MmdbValue): Buffer {
  if (typeof value === 'string') {
    const bytes = Buffer.from(value);
    return Buffer.concat([control(2, bytes.length), bytes]);
  }
  if (typeof value === 'number') {
    if (Number.isInteger(value) && value >= 0) {
      const bytes = Buffer.alloc(4);
      bytes.writeUInt32BE(value);
      return Buffer.concat([control(6, 4), bytes]);
    }
    const bytes = Buffer.alloc(8);
    bytes.writeDoubleBE(value);
    return Buffer.concat([control(3, 8), bytes]);
  }
  if (Array.isArray(value)) return Buffer.concat([control(11, value.length), ...value.map(encode)]);
  const entries = Object.entries(value as Readonly<Record<string, MmdbValue>>);
  return Buffer.concat([
    control(7, entries.length),
    ...entries.flatMap(([key, member]) => [encode(key), encode(member)]),
  ]);
}

/** Types above 7 are written in a second byte, sizes from 29 on in one more. */
function control(type: number, size: number): Buffer {
  const short = Math.min(size, 29);
  const bytes = type <= 7 ? [(type << 5) | short] : [short, type - 7];
  if (size >= 29) bytes.push(size - 29);
  return Buffer.from(bytes);
}

const SEPARATOR = Buffer.alloc(16);
const MARKER = Buffer.from('abcdef4d61784d696e642e636f6d', 'hex');
