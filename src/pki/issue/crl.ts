import { createHash, KeyObject, sign } from 'node:crypto';
import { Certificate } from 'pkijs';
import type { Issued } from './contract.ts';

/** One certificate on a list. */
export interface RevokedEntry {
  readonly serialHex: string;
  readonly date?: Date;
  /** RFC 5280 section 5.3.1. */
  readonly reasonCode?: number;
  readonly extensions?: readonly CrlExtension[];
}

export interface CrlExtension {
  readonly oid: string;
  readonly critical: boolean;
  readonly valueDer: Uint8Array;
}

/** What to put on a list. Defaults make a usual v2 CRL with an authorityKeyIdentifier and a cRLNumber. */
export interface CrlRequest {
  readonly issuer: Issued;
  readonly revoked?: readonly RevokedEntry[];
  /** null: no cRLNumber. */
  readonly number?: number | null;
  readonly thisUpdate?: Date;
  /** null: no nextUpdate. */
  readonly nextUpdate?: Date | null;
  readonly keyIdentifier?: boolean;
  readonly version?: 1 | 2;
  readonly extensions?: readonly CrlExtension[];
}

/** Makes a CRL, signed with ECDSA and SHA-256 or with RSA and SHA-256, in DER. What is asked for is written, right or wrong. */
export function issueCrl(request: CrlRequest): Buffer {
  const { issuer } = request;
  const key = KeyObject.from(issuer.keys.privateKey);
  const algorithm =
    key.asymmetricKeyType === 'rsa'
      ? der(0x30, oid('1.2.840.113549.1.1.11'), der(0x05))
      : der(0x30, oid('1.2.840.10045.4.3.2'));
  const thisUpdate = request.thisUpdate ?? new Date(Date.now() - 3_600_000);
  const nextUpdate = request.nextUpdate === undefined ? new Date(thisUpdate.getTime() + WEEK_MS) : request.nextUpdate;
  const entries = (request.revoked ?? []).map((entry) => entryDer(entry, thisUpdate));
  const extensions = crlExtensions(request).map(extensionDer);
  const signed = der(
    0x30,
    ...(request.version === 1 ? [] : [der(0x02, Buffer.of(1))]),
    algorithm,
    subjectDer(issuer),
    time(thisUpdate),
    ...(nextUpdate === null ? [] : [time(nextUpdate)]),
    ...(entries.length === 0 ? [] : [der(0x30, Buffer.concat(entries))]),
    ...(extensions.length === 0 || request.version === 1 ? [] : [der(0xa0, der(0x30, ...extensions))]),
  );
  return der(0x30, signed, algorithm, der(0x03, Buffer.of(0), sign('sha256', signed, key)));
}

/** RFC 7468 text of one CRL. */
export function crlPem(crl: Uint8Array): string {
  const lines = Buffer.from(crl)
    .toString('base64')
    .replace(/(.{64})(?=.)/g, '$1\n');
  return `-----BEGIN X509 CRL-----\n${lines}\n-----END X509 CRL-----\n`;
}

function crlExtensions(request: CrlRequest): readonly CrlExtension[] {
  const number = request.number === undefined ? 1 : request.number;
  const { subjectPublicKeyInfo } = certificateOf(request.issuer);
  const keyId = createHash('sha1').update(subjectPublicKeyInfo.subjectPublicKey.valueBlock.valueHexView).digest();
  return [
    ...(request.keyIdentifier === false
      ? []
      : [{ oid: '2.5.29.35', critical: false, valueDer: der(0x30, der(0x80, keyId)) }]),
    ...(number === null ? [] : [{ oid: '2.5.29.20', critical: false, valueDer: integer(number) }]),
    ...(request.extensions ?? []),
  ];
}

function entryDer(entry: RevokedEntry, thisUpdate: Date): Buffer {
  const bytes = Buffer.from(entry.serialHex, 'hex');
  const serial = der(0x02, (bytes[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.of(0), bytes]) : bytes);
  const extensions = [
    ...(entry.reasonCode === undefined
      ? []
      : [{ oid: '2.5.29.21', critical: false, valueDer: der(0x0a, Buffer.of(entry.reasonCode)) }]),
    ...(entry.extensions ?? []),
  ].map(extensionDer);
  const list = extensions.length === 0 ? [] : [der(0x30, ...extensions)];
  return der(0x30, serial, time(entry.date ?? thisUpdate), ...list);
}

function extensionDer({ oid: id, critical, valueDer }: CrlExtension): Buffer {
  return der(0x30, oid(id), ...(critical ? [der(0x01, Buffer.of(0xff))] : []), der(0x04, valueDer));
}

function subjectDer(issuer: Issued): Buffer {
  return Buffer.from(certificateOf(issuer).subject.toSchema().toBER());
}

function certificateOf({ der: bytes }: Issued): Certificate {
  return Certificate.fromBER(Uint8Array.from(bytes).buffer);
}

function integer(value: number): Buffer {
  const hex = value.toString(16);
  const bytes = Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex');
  return der(0x02, bytes[0]! >= 0x80 ? Buffer.concat([Buffer.of(0), bytes]) : bytes);
}

/** UTCTime through 2049, GeneralizedTime from 2050 (RFC 5280 section 5.1.2.4). */
function time(date: Date): Buffer {
  const digits = date.toISOString().slice(0, 19).replace(/[-:T]/g, '');
  return date.getUTCFullYear() < 2050
    ? der(0x17, Buffer.from(`${digits.slice(2)}Z`))
    : der(0x18, Buffer.from(`${digits}Z`));
}

function oid(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  const arcs = [first * 40 + second, ...rest].map((arc) => {
    const bytes = [arc & 0x7f];
    for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128)) bytes.unshift((left & 0x7f) | 0x80);
    return Buffer.from(bytes);
  });
  return der(0x06, ...arcs);
}

function der(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const header = length < 0x80 ? [length] : lengthBytes(length);
  return Buffer.concat([Buffer.of(tag, ...header), ...parts]);
}

function lengthBytes(length: number): number[] {
  const bytes: number[] = [];
  for (let left = length; left > 0; left = Math.floor(left / 256)) bytes.unshift(left & 0xff);
  return [0x80 | bytes.length, ...bytes];
}

const WEEK_MS = 7 * 24 * 3_600_000;
