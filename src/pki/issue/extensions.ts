import { createHash } from 'node:crypto';
import { isIP, isIPv6 } from 'node:net';
import {
  BitString,
  Constructed,
  Boolean as DerBoolean,
  Integer,
  ObjectIdentifier,
  OctetString,
  Primitive,
  Sequence,
} from 'asn1js';
import { Extension } from 'pkijs';
import type { ExtendedKeyUsage, IssueRequest, KeyUsage, SubtreeNames } from './contract.ts';

/** RFC 5280 §4.2.1.2, method 1: SHA-1 over the public key's bits. An identifier, not a security decision. */
export function keyIdentifier(subjectPublicKeyBits: Uint8Array): Uint8Array {
  return createHash('sha1').update(subjectPublicKeyBits).digest();
}

/** The extensions of one certificate, in the order in which most authorities write them. */
export function makeExtensions(
  request: IssueRequest,
  keyType: { readonly isRsa: boolean },
  subjectKeyId: Uint8Array,
  authorityKeyId: Uint8Array | null,
): Extension[] {
  const ca = request.ca ?? false;
  const extensions: Extension[] = [];
  if (request.basicConstraints ?? true) {
    extensions.push(make(OID.basicConstraints, true, basicConstraints(ca, request.pathLength)));
  }
  const keyUsage = request.keyUsage === undefined ? defaultKeyUsage(ca, keyType.isRsa) : request.keyUsage;
  if (keyUsage !== null) extensions.push(make(OID.keyUsage, true, keyUsageBits(keyUsage)));
  const purposes = request.extendedKeyUsage === undefined ? defaultPurposes(ca) : request.extendedKeyUsage;
  if (purposes !== null) extensions.push(make(OID.extendedKeyUsage, false, purposeList(purposes)));
  if (request.keyIdentifiers ?? true) {
    extensions.push(make(OID.subjectKeyIdentifier, false, new OctetString({ valueHex: bytes(subjectKeyId) })));
    if (authorityKeyId !== null) {
      extensions.push(make(OID.authorityKeyIdentifier, false, new Sequence({ value: [tagged(0, authorityKeyId)] })));
    }
  }
  const names = alternativeNames(request);
  // RFC 5280 §4.2.1.6: critical where the subject is empty.
  if (names.length > 0)
    extensions.push(make(OID.subjectAltName, request.subject === '', new Sequence({ value: names })));
  const constraints = nameConstraints(request.permitted, request.excluded);
  if (constraints !== null) extensions.push(make(OID.nameConstraints, true, constraints));
  for (const { oid, critical, valueDer } of request.extensions ?? []) {
    extensions.push(new Extension({ extnID: oid, critical, extnValue: bytes(valueDer) }));
  }
  return extensions;
}

function basicConstraints(ca: boolean, pathLength: number | undefined): Sequence {
  const value: (DerBoolean | Integer)[] = [];
  if (ca) value.push(new DerBoolean({ value: true })); // DEFAULT FALSE is not written in DER (X.690 §11.5)
  if (pathLength !== undefined) value.push(new Integer({ value: pathLength }));
  return new Sequence({ value });
}

function defaultKeyUsage(ca: boolean, isRsa: boolean): readonly KeyUsage[] {
  if (ca) return ['keyCertSign', 'cRLSign'];
  return isRsa ? ['digitalSignature', 'keyEncipherment'] : ['digitalSignature'];
}

function defaultPurposes(ca: boolean): readonly ExtendedKeyUsage[] | null {
  return ca ? null : ['serverAuth', 'clientAuth'];
}

/** A named bit list: trailing zero bits are not written (X.690 §11.2.2). */
function keyUsageBits(usages: readonly KeyUsage[]): BitString {
  let bits = 0;
  let last = -1;
  for (const usage of usages) {
    const bit = KEY_USAGE_BITS[usage];
    bits |= 0x80 >> bit;
    last = Math.max(last, bit);
  }
  if (last < 0) return new BitString({ unusedBits: 0, valueHex: new ArrayBuffer(0) });
  return new BitString({ unusedBits: 7 - last, valueHex: bytes(Uint8Array.of(bits)) });
}

function purposeList(purposes: readonly ExtendedKeyUsage[]): Sequence {
  return new Sequence({ value: purposes.map((purpose) => new ObjectIdentifier({ value: PURPOSE_OIDS[purpose] })) });
}

function alternativeNames(request: IssueRequest): Primitive[] {
  return [
    ...(request.dnsNames ?? []).map((name) => tagged(NAME_TAG.dns, ascii(name))),
    ...(request.ipAddresses ?? []).map((address) => tagged(NAME_TAG.ip, addressBytes(address))),
    ...(request.uris ?? []).map((uri) => tagged(NAME_TAG.uri, ascii(uri))),
    ...(request.emails ?? []).map((email) => tagged(NAME_TAG.email, ascii(email))),
  ];
}

function nameConstraints(permitted: SubtreeNames | undefined, excluded: SubtreeNames | undefined): Sequence | null {
  const value: Constructed[] = [];
  if (permitted !== undefined) value.push(subtrees(0, permitted));
  if (excluded !== undefined) value.push(subtrees(1, excluded));
  return value.length === 0 ? null : new Sequence({ value });
}

function subtrees(tag: 0 | 1, names: SubtreeNames): Constructed {
  const bases = [
    ...(names.dns ?? []).map((name) => tagged(NAME_TAG.dns, ascii(name))),
    ...(names.ip ?? []).map((range) => tagged(NAME_TAG.ip, rangeBytes(range))),
    ...(names.email ?? []).map((email) => tagged(NAME_TAG.email, ascii(email))),
    ...(names.uri ?? []).map((uri) => tagged(NAME_TAG.uri, ascii(uri))),
  ];
  return new Constructed({
    idBlock: { tagClass: CONTEXT_SPECIFIC, tagNumber: tag },
    value: bases.map((base) => new Sequence({ value: [base] })),
  });
}

/** '10.0.0.0/8' → address, then mask, as RFC 5280 §4.2.1.10 writes them. */
function rangeBytes(range: string): Uint8Array {
  const slash = range.indexOf('/');
  const address = addressBytes(slash < 0 ? range : range.slice(0, slash));
  const prefix = slash < 0 ? address.length * 8 : Number(range.slice(slash + 1));
  if (!Number.isInteger(prefix) || prefix < 0 || prefix > address.length * 8) {
    throw new Error(`Cannot read the address range '${range}': expected a prefix length of 0 to ${address.length * 8}`);
  }
  const mask = address.map((_, i) => 0xff & (0xff00 >> Math.min(8, Math.max(0, prefix - i * 8))));
  return Uint8Array.of(...address.map((byte, i) => byte & (mask[i] ?? 0)), ...mask);
}

function addressBytes(address: string): Uint8Array {
  if (isIP(address) === 0) throw new Error(`Cannot read the address '${address}': expected IPv4 or IPv6`);
  if (!isIPv6(address)) return Uint8Array.from(address.split('.'), Number);
  return ipv6Bytes(address);
}

function ipv6Bytes(address: string): Uint8Array {
  const dotted = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(address);
  const text =
    dotted === null
      ? address
      : `${dotted[1]}${((Number(dotted[2]) << 8) | Number(dotted[3])).toString(16)}:${((Number(dotted[4]) << 8) | Number(dotted[5])).toString(16)}`;
  const [head = '', tail] = text.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const groups = [...left, ...Array<string>(8 - left.length - right.length).fill('0'), ...right];
  return Uint8Array.from(
    groups.flatMap((group) => [Number.parseInt(group, 16) >> 8, Number.parseInt(group, 16) & 0xff]),
  );
}

function make(oid: string, critical: boolean, value: { toBER(): ArrayBuffer }): Extension {
  return new Extension({ extnID: oid, critical, extnValue: value.toBER() });
}

function tagged(tagNumber: number, value: Uint8Array): Primitive {
  return new Primitive({ idBlock: { tagClass: CONTEXT_SPECIFIC, tagNumber }, valueHex: bytes(value) });
}

function ascii(text: string): Uint8Array {
  return Buffer.from(text, 'latin1');
}

function bytes(view: Uint8Array): ArrayBuffer {
  return Uint8Array.from(view).buffer;
}

const CONTEXT_SPECIFIC = 3;
/** GeneralName, RFC 5280 §4.2.1.6. */
const NAME_TAG = { email: 1, dns: 2, uri: 6, ip: 7 } as const;
/** RFC 5280 §4.2.1. */
const OID = {
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  nameConstraints: '2.5.29.30',
  authorityKeyIdentifier: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
} as const;
/** RFC 5280 §4.2.1.3. */
const KEY_USAGE_BITS: Readonly<Record<KeyUsage, number>> = {
  digitalSignature: 0,
  nonRepudiation: 1,
  keyEncipherment: 2,
  dataEncipherment: 3,
  keyAgreement: 4,
  keyCertSign: 5,
  cRLSign: 6,
};
/** RFC 5280 §4.2.1.12. */
const PURPOSE_OIDS: Readonly<Record<ExtendedKeyUsage, string>> = {
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
  codeSigning: '1.3.6.1.5.5.7.3.3',
  timeStamping: '1.3.6.1.5.5.7.3.8',
  OCSPSigning: '1.3.6.1.5.5.7.3.9',
  any: '2.5.29.37.0',
};
