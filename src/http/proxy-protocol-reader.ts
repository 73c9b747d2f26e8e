import { isIPv6, SocketAddress } from 'node:net';

/** Whom a balancer in front says it speaks for. */
export interface ConveyedAddresses {
  readonly sourceAddress: string;
  readonly sourcePort: number;
  /** What the client connected to. */
  readonly destinationAddress: string;
  readonly destinationPort: number;
}

/**
 * `need-more` is the only one that is not final. `conveyed`: `addresses` counts. `local`: the balancer speaks for itself, or does
 * not say for whom (LOCAL, UNKNOWN, UNSPEC, a UNIX socket): the socket's own address counts. `malformed`: nothing of it counts.
 */
export type ProxyHeaderStatus = 'need-more' | 'conveyed' | 'local' | 'malformed';

/**
 * Reads the header of the PROXY protocol, version 1 (text) or 2 (binary), that comes before everything else on a connection
 * (https://www.haproxy.org/download/2.8/doc/proxy-protocol.txt). Strict: what has two readings has none. Bounded: 107 bytes of
 * version 1, 1 KiB of version 2 (security rule 35), so the bytes so far are looked at again from their start. Never throws.
 * TLVs are skipped unread: what they say of an identity is not verified by anybody.
 */
export class ProxyHeaderReader {
  status: ProxyHeaderStatus = 'need-more';
  addresses: ConveyedAddresses | null = null;
  /** Why it is malformed: fixed words and numbers, nothing of the stranger's text. */
  detail = '';
  /** What came after the header. */
  rest: Buffer = NO_BYTES;
  #bytes: Buffer = NO_BYTES;

  push(chunk: Buffer): ProxyHeaderStatus {
    if (this.status !== 'need-more') return this.status;
    const bytes = this.#bytes.length === 0 ? chunk : Buffer.concat([this.#bytes, chunk]);
    this.#bytes = bytes;
    if (bytes.length === 0) return 'need-more';
    if (bytes[0] === V1_START[0]) this.#readText(bytes);
    else this.#readBinary(bytes);
    return this.status;
  }

  #readText(bytes: Buffer): void {
    if (!agrees(bytes, V1_START)) {
      this.#refuse(NO_HEADER);
      return;
    }
    const end = endOfLine(bytes);
    if (end === -1) {
      if (bytes.length >= MAX_V1_BYTES) this.#refuse(`no CR LF within ${MAX_V1_BYTES} bytes`);
      return;
    }
    if (bytes[end - 1] !== CR) {
      this.#refuse('a line that ends without CR');
      return;
    }
    const words = bytes.toString('latin1', 0, end - 1).split(' ');
    if (words[1] === 'UNKNOWN') {
      this.#finish('local', bytes, end + 1);
      return;
    }
    const addresses = words.length === 6 ? textAddresses(words) : null;
    if (addresses === null) this.#refuse('version 1 without two addresses and two ports of one family');
    else this.#convey(addresses, bytes, end + 1);
  }

  #readBinary(bytes: Buffer): void {
    if (!agrees(bytes, V2_SIGNATURE)) {
      this.#refuse(NO_HEADER);
      return;
    }
    if (bytes.length < V2_HEAD_BYTES) return;
    const command = bytes[12]!;
    const family = bytes[13]!;
    const end = V2_HEAD_BYTES + bytes.readUInt16BE(14);
    if (command !== V2_LOCAL && command !== V2_PROXY) this.#refuse('a version or command other than 2 LOCAL or PROXY');
    else if (end > MAX_V2_BYTES) this.#refuse(`version 2 of more than ${MAX_V2_BYTES} bytes`);
    else if (bytes.length < end) return;
    else if (command === V2_LOCAL) this.#finish('local', bytes, end);
    else this.#readBinaryAddresses(bytes, family, end);
  }

  #readBinaryAddresses(bytes: Buffer, family: number, end: number): void {
    const size = end - V2_HEAD_BYTES;
    if (family === V2_UNSPEC || family === V2_UNIX_STREAM) {
      this.#finish('local', bytes, end);
    } else if (family === V2_TCP4 && size >= 12) {
      this.#convey(binaryAddresses(bytes, 4), bytes, end);
    } else if (family === V2_TCP6 && size >= 36) {
      this.#convey(binaryAddresses(bytes, 16), bytes, end);
    } else {
      this.#refuse('version 2 with a family that is no TCP, or shorter than its addresses');
    }
  }

  #convey(addresses: ConveyedAddresses, bytes: Buffer, end: number): void {
    this.addresses = addresses;
    this.#finish('conveyed', bytes, end);
  }

  #finish(status: 'conveyed' | 'local', bytes: Buffer, end: number): void {
    this.status = status;
    this.rest = bytes.subarray(end);
    this.#bytes = NO_BYTES;
  }

  #refuse(detail: string): void {
    this.status = 'malformed';
    this.detail = detail;
    this.#bytes = NO_BYTES;
  }
}

/** Whether the bytes begin like this, as far as they go. */
function agrees(bytes: Buffer, start: Buffer): boolean {
  const known = Math.min(bytes.length, start.length);
  return bytes.compare(start, 0, known, 0, known) === 0;
}

/** Where the LF is; -1 when it is not there yet or would be too late. */
function endOfLine(bytes: Buffer): number {
  const end = Math.min(bytes.length, MAX_V1_BYTES);
  for (let i = 0; i < end; i++) if (bytes[i] === LF) return i;
  return -1;
}

function textAddresses([
  ,
  family,
  source,
  destination,
  sourcePort,
  destinationPort,
]: readonly string[]): ConveyedAddresses | null {
  const read = family === 'TCP4' ? ipv4 : family === 'TCP6' ? ipv6 : null;
  if (read === null) return null;
  const addresses = {
    sourceAddress: read(source!),
    destinationAddress: read(destination!),
    sourcePort: port(sourcePort!),
    destinationPort: port(destinationPort!),
  };
  const { sourceAddress, destinationAddress } = addresses;
  if (sourceAddress === null || destinationAddress === null) return null;
  if (addresses.sourcePort === -1 || addresses.destinationPort === -1) return null;
  return { ...addresses, sourceAddress, destinationAddress };
}

function binaryAddresses(bytes: Buffer, length: 4 | 16): ConveyedAddresses {
  const at = V2_HEAD_BYTES;
  const text = (from: number) => (length === 4 ? bytes.subarray(from, from + 4).join('.') : ipv6OfBytes(bytes, from));
  return {
    sourceAddress: text(at),
    destinationAddress: text(at + length),
    sourcePort: bytes.readUInt16BE(at + 2 * length),
    destinationPort: bytes.readUInt16BE(at + 2 * length + 2),
  };
}

function ipv6OfBytes(bytes: Buffer, from: number): string {
  const groups: string[] = [];
  for (let i = 0; i < 16; i += 2) groups.push(bytes.readUInt16BE(from + i).toString(16));
  return normalIpv6(groups.join(':'));
}

/** Four decimal bytes without leading zeros, which others read as octal. */
function ipv4(text: string): string | null {
  const parts = text.split('.');
  if (parts.length !== 4) return null;
  for (let i = 0; i < 4; i++) if (decimal(parts[i]!, 255) === -1) return null;
  return text;
}

function ipv6(text: string): string | null {
  return text.includes('%') || !isIPv6(text) ? null : normalIpv6(text); // a zone means nothing on another host
}

/** One spelling for each address, as limits and logs go by it; an IPv4-mapped one is an IPv4 address. */
function normalIpv6(text: string): string {
  const { address } = new SocketAddress({ address: text, family: 'ipv6' });
  return address.startsWith(MAPPED) && address.includes('.') ? address.slice(MAPPED.length) : address;
}

function port(text: string): number {
  return decimal(text, 65_535);
}

/** -1 for anything but digits without a leading zero, up to `most`. */
function decimal(text: string, most: number): number {
  if (text.length === 0 || text.length > 5 || (text.length > 1 && text.charCodeAt(0) === ZERO)) return -1;
  let value = 0;
  for (let i = 0; i < text.length; i++) {
    const digit = text.charCodeAt(i) - ZERO;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  return value <= most ? value : -1;
}

const NO_BYTES: Buffer = Buffer.alloc(0);
const NO_HEADER = 'no header of the PROXY protocol';
const MAPPED = '::ffff:';
const LF = 0x0a;
const CR = 0x0d;
const ZERO = 0x30;

const MAX_V1_BYTES = 107; // the longest line that section 2.1 allows, CR LF included
const V1_START = Buffer.from('PROXY ', 'latin1');

const MAX_V2_BYTES = 1024; // security rule 35; the format could say 64 KiB
const V2_SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');
const V2_HEAD_BYTES = 16;
const V2_LOCAL = 0x20;
const V2_PROXY = 0x21;
const V2_UNSPEC = 0x00;
const V2_TCP4 = 0x11;
const V2_TCP6 = 0x21;
const V2_UNIX_STREAM = 0x31;
