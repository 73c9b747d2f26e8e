import { createECDH, generateKeyPairSync, randomBytes } from 'node:crypto';

/** A ClientHello to be written byte by byte: what no TLS library would send can be sent too. */
export interface RawHello {
  readonly legacyVersion?: number;
  /** null: no extension. */
  readonly versions?: readonly number[] | null;
  readonly suites: readonly number[];
  readonly groups?: readonly number[] | null;
  /** Groups to make real key shares for. */
  readonly keyShares?: readonly number[] | null;
  readonly schemes?: readonly number[] | null;
  readonly schemesCert?: readonly number[] | null;
  readonly pointFormats?: readonly number[] | null;
  readonly alpn?: readonly string[] | null;
  readonly serverName?: string | null;
  /** Appended as they are. */
  readonly extensions?: readonly (readonly [type: number, data: Buffer])[];
}

/** The ClientHello handshake message, header included. */
export function helloMessage(hello: RawHello): Buffer {
  const extensions: Buffer[] = [];
  const add = (type: number, data: Buffer) => extensions.push(u16(type), sized16(data));
  if (hello.serverName !== undefined && hello.serverName !== null) {
    add(0, sized16(Buffer.concat([Buffer.of(0), sized16(Buffer.from(hello.serverName, 'latin1'))])));
  }
  if (hello.groups) add(10, sized16(codes(hello.groups)));
  if (hello.pointFormats) add(11, sized8(Buffer.from(hello.pointFormats)));
  if (hello.schemes) add(13, sized16(codes(hello.schemes)));
  if (hello.schemesCert) add(50, sized16(codes(hello.schemesCert)));
  if (hello.alpn) add(16, sized16(Buffer.concat(hello.alpn.map((name) => sized8(Buffer.from(name, 'latin1'))))));
  if (hello.versions) add(43, sized8(codes(hello.versions)));
  if (hello.keyShares) {
    add(51, sized16(Buffer.concat(hello.keyShares.flatMap((group) => [u16(group), sized16(keyShare(group))]))));
  }
  for (const [type, data] of hello.extensions ?? []) add(type, data);
  const body = Buffer.concat([
    u16(hello.legacyVersion ?? 0x0303),
    randomBytes(32),
    Buffer.of(0),
    sized16(codes(hello.suites)),
    Buffer.of(1, 0),
    ...(extensions.length === 0 ? [] : [sized16(Buffer.concat(extensions))]),
  ]);
  return message(1, body);
}

/** As it goes over the wire in one record. */
export function helloBytes(hello: RawHello): Buffer {
  return record(helloMessage(hello));
}

export function message(type: number, body: Buffer): Buffer {
  return Buffer.concat([Buffer.of(type, body.length >> 16, (body.length >> 8) & 0xff, body.length & 0xff), body]);
}

export function record(payload: Buffer, type = 22, version = 0x0301): Buffer {
  return Buffer.concat([Buffer.of(type), u16(version), sized16(payload)]);
}

/** The message cut into records of at most `size` bytes. */
export function records(payload: Buffer, size: number): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at < payload.length; at += size) parts.push(record(payload.subarray(at, at + size)));
  return Buffer.concat(parts);
}

export function u16(value: number): Buffer {
  return Buffer.of(value >> 8, value & 0xff);
}

export function sized16(data: Buffer): Buffer {
  return Buffer.concat([u16(data.length), data]);
}

export function sized8(data: Buffer): Buffer {
  return Buffer.concat([Buffer.of(data.length), data]);
}

export function codes(values: readonly number[]): Buffer {
  return Buffer.concat(values.map(u16));
}

/** A share that a server will accept: OpenSSL checks points and ML-KEM keys. Made once a group. */
function keyShare(group: number): Buffer {
  const made = shares.get(group) ?? newShare(group);
  shares.set(group, made);
  return made;
}

function newShare(group: number): Buffer {
  switch (group) {
    case 0x0017:
      return ecPoint('prime256v1');
    case 0x0018:
      return ecPoint('secp384r1');
    case 0x0019:
      return ecPoint('secp521r1');
    case 0x001d:
      return spkiTail('x25519', 32);
    case 0x001e:
      return spkiTail('x448', 56);
    case 0x11ec:
      return Buffer.concat([spkiTail('ml-kem-768', 1184), spkiTail('x25519', 32)]);
    default:
      return randomBytes(32); // a group nobody takes
  }
}

function ecPoint(curve: string): Buffer {
  const ecdh = createECDH(curve);
  return ecdh.generateKeys();
}

function spkiTail(type: 'x25519' | 'x448' | 'ml-kem-768', bytes: number): Buffer {
  const { publicKey } = generateKeyPairSync(type as 'x25519');
  return publicKey.export({ type: 'spki', format: 'der' }).subarray(-bytes);
}

const shares = new Map<number, Buffer>();
