import type { DescribedClient } from './client-presets.ts';

/** A ClientHello (one TLS record) that offers what the description says. Its random is zero; its key shares are base points, which are valid. */
export function buildHello(client: DescribedClient): Buffer {
  const [version = '', suites = '', extensions = '', groups = '', formats = ''] = client.ja3.split(',');
  const bodies = { client, groups: decimals(groups), formats: decimals(formats) };
  const written = decimals(extensions).map((type) => Buffer.concat([u16(type), sized16(extensionBody(type, bodies))]));
  const body = Buffer.concat([
    u16(Number(version)),
    Buffer.alloc(RANDOM_BYTES),
    Buffer.of(0), // no session id
    sized16(codes(decimals(suites))),
    Buffer.of(1, 0), // null compression
    ...(written.length === 0 ? [] : [sized16(Buffer.concat(written))]),
  ]);
  const message = Buffer.concat([Buffer.of(CLIENT_HELLO, 0), sized16(body)]);
  return Buffer.concat([Buffer.of(HANDSHAKE, 3, 1), sized16(message)]);
}

interface Bodies {
  readonly client: DescribedClient;
  readonly groups: readonly number[];
  readonly formats: readonly number[];
}

/** Extensions that negotiation does not read are written in their shortest valid form. */
function extensionBody(type: number, { client, groups, formats }: Bodies): Buffer {
  switch (type) {
    case 0: // server_name
      return sized16(Buffer.concat([Buffer.of(0), sized16(Buffer.from(SERVER_NAME, 'latin1'))]));
    case 5: // status_request: OCSP, no responders, no extensions
      return Buffer.of(1, 0, 0, 0, 0);
    case 10:
      return sized16(codes(groups));
    case 11:
      return sized8(Buffer.from(formats));
    case 13:
      return sized16(codes(hexCodes(client.signatureAlgorithms)));
    case 16:
      return sized16(Buffer.concat((client.alpn ?? []).map((protocol) => sized8(Buffer.from(protocol, 'latin1')))));
    case 17: // status_request_v2
      return sized16(Buffer.concat([Buffer.of(2), sized16(Buffer.of(0, 0, 0, 0))]));
    case 27: // compress_certificate: zlib
      return sized8(codes([1]));
    case 28: // record_size_limit
      return u16(0x4001);
    case 34: // delegated_credential
      return sized16(codes([0x0403, 0x0503, 0x0603, 0x0203]));
    case 43:
      return sized8(codes(hexCodes(client.supportedVersions)));
    case 45: // psk_key_exchange_modes: psk_dhe_ke
      return sized8(Buffer.of(1));
    case 50:
      return sized16(codes(hexCodes(client.signatureAlgorithmsCert)));
    case 51:
      return sized16(Buffer.concat(hexCodes(client.keyShares).map((group) => keyShare(group, client.name))));
    case 17_513: // application_settings
      return sized16(sized8(Buffer.from('h2')));
    case 65_281: // renegotiation_info
      return Buffer.of(0);
    default:
      return Buffer.alloc(0);
  }
}

function keyShare(group: number, client: string): Buffer {
  const point = BASE_POINTS.get(group);
  if (point === undefined) throw new RangeError(`Cannot build ${client}: no base point of group ${group} is known`);
  return Buffer.concat([u16(group), sized16(point)]);
}

function decimals(list: string): readonly number[] {
  return list === '' ? [] : list.split('-').map(Number);
}

function hexCodes(list = ''): readonly number[] {
  return list === '' ? [] : list.split(',').map((code) => Number.parseInt(code, 16));
}

function codes(values: readonly number[]): Buffer {
  return Buffer.concat(values.map(u16));
}

function u16(value: number): Buffer {
  return Buffer.of(value >> 8, value & 0xff);
}

function sized16(data: Buffer): Buffer {
  return Buffer.concat([u16(data.length), data]);
}

function sized8(data: Buffer): Buffer {
  return Buffer.concat([Buffer.of(data.length), data]);
}

const HANDSHAKE = 22; // RFC 8446 §5.1
const CLIENT_HELLO = 1; // RFC 8446 §4
const RANDOM_BYTES = 32;
const SERVER_NAME = 'preset.example';
const BASE_POINTS: ReadonlyMap<number, Buffer> = new Map([
  // SEC 2 §2.4.2, uncompressed
  [
    0x0017,
    Buffer.from(
      '046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296' +
        '4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5',
      'hex',
    ),
  ],
  [0x001d, Buffer.concat([Buffer.of(9), Buffer.alloc(31)])], // RFC 7748 §4.1
]);
