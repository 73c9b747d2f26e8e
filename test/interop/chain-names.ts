// Names that generated certificates bear, and constraints that catch some of them.
import type { ExtendedKeyUsage, KeyUsage } from '#src/pki/issue/contract.ts';

export function tlv(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(parts);
  const { length } = content;
  if (length < 0x80) return Buffer.concat([Buffer.of(tag, length), content]);
  return length < 0x100
    ? Buffer.concat([Buffer.of(tag, 0x81, length), content])
    : Buffer.concat([Buffer.of(tag, 0x82, length >> 8, length & 0xff), content]);
}

function text(tag: number, value: string): Buffer {
  return tlv(tag, Buffer.from(value, 'latin1'));
}

function directory(...attributes: readonly (readonly [oid: string, value: string, tag?: number])[]): Buffer {
  const rdns = attributes.map(([oid, value, tag = 0x0c]) =>
    tlv(0x31, tlv(0x30, tlv(0x06, Buffer.from(oid, 'hex')), text(tag, value))),
  );
  return tlv(0xa4, tlv(0x30, ...rdns));
}

const COUNTRY = '550406';
const ORGANISATION = '55040a';

const dns = (value: string) => text(0x82, value);
const email = (value: string) => text(0x81, value);
const uri = (value: string) => text(0x86, value);
const ip = (...bytes: readonly number[]) => tlv(0x87, Uint8Array.from(bytes));

export const PERMITTED = {
  dns: [dns('example.com'), dns('test'), dns('a.example.com'), dns('.example.com'), dns('EXAMPLE.com'), dns('')],
  ip: [ip(10, 0, 0, 0, 255, 0, 0, 0), ip(192, 0, 2, 0, 255, 255, 255, 0), ip(...Array<number>(32).fill(0))],
  email: [email('example.com'), email('.example.com'), email('ops@example.com'), email('ops@EXAMPLE.com')],
  uri: [uri('example.com'), uri('.example.com'), uri('spiffe.test')],
  directory: [
    directory([COUNTRY, 'DE', 0x13]),
    directory([COUNTRY, 'de', 0x0c], [ORGANISATION, 'Example']),
    directory([COUNTRY, 'DE', 0x13], [ORGANISATION, '  EXAMPLE ']),
  ],
} as const;

export const EXCLUDED = {
  dns: [dns('bad.example.com'), dns('test'), dns('.a.example.com'), dns('x.example.com')],
  ip: [ip(10, 1, 0, 0, 255, 255, 0, 0), ip(192, 0, 2, 128, 255, 255, 255, 128)],
  email: [email('bad.example.com'), email('ops@example.com'), email('.example.com')],
  uri: [uri('bad.example.com'), uri('.example.com')],
  directory: [directory([COUNTRY, 'FR', 0x13]), directory([COUNTRY, 'DE', 0x13], [ORGANISATION, 'Bad'])],
} as const;

export const HOST_NAMES = [
  'a.example.com',
  'x.example.com',
  'host.test',
  'deep.a.example.com',
  'A.Example.COM',
  'foo.example.com',
] as const;
export const DNS_SANS = [
  'a.example.com',
  'A.EXAMPLE.COM',
  'x.example.com',
  'bad.example.com',
  '*.example.com',
  '*.a.example.com',
  'host.test',
  'deep.a.example.com',
  'f*.example.com',
  '*.test',
] as const;
export const ADDRESSES = ['10.0.0.1', '10.1.0.1', '192.0.2.1', '192.0.2.200', '2001:db8::1'] as const;
export const MAILBOXES = [
  'ops@example.com',
  'Ops@example.com',
  'ops@EXAMPLE.com',
  'a@sub.example.com',
  'x@bad.example.com',
] as const;
export const URIS = [
  'spiffe://spiffe.test/a',
  'https://example.com/',
  'https://www.example.com:8443/x',
  'urn:uuid:1',
] as const;
export const LEAF_SUBJECTS = [
  'CN=leaf',
  'CN=leaf,O=Example,C=DE',
  'CN=leaf,O=EXAMPLE,C=DE',
  'CN=leaf,O=Bad,C=DE',
  'CN=a.example.com',
  'CN=x.example.com,C=FR',
  'EMAILADDRESS=ops@example.com,CN=leaf,C=DE',
] as const;
export const CA_KEY_USAGES: readonly (readonly KeyUsage[] | null)[] = [
  null,
  null,
  ['keyCertSign'],
  ['keyCertSign', 'digitalSignature'],
  ['cRLSign'],
];
export const LEAF_KEY_USAGES: readonly (readonly KeyUsage[] | null)[] = [
  null,
  null,
  ['digitalSignature', 'nonRepudiation'],
  ['digitalSignature', 'keyAgreement'],
  ['keyEncipherment'],
  ['cRLSign'],
];
export const CA_PURPOSES: readonly (readonly ExtendedKeyUsage[])[] = [
  ['serverAuth'],
  ['serverAuth', 'clientAuth'],
  ['clientAuth'],
  ['any'],
  ['codeSigning'],
];
export const LEAF_PURPOSES: readonly (readonly ExtendedKeyUsage[] | null)[] = [
  null,
  ['any'],
  ['clientAuth'],
  ['serverAuth'],
  ['serverAuth', 'clientAuth', 'codeSigning'],
  ['codeSigning'],
];
