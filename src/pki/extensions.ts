import { contextConstructed, contextPrimitive, DerError, DerReader, smallIntegerOf, TAG } from './der.ts';
import { type GeneralName, readGeneralName, readGeneralNames } from './general-name.ts';

export interface BasicConstraints {
  readonly ca: boolean;
  /** null: no limit. */
  readonly pathLength: number | null;
}

export interface NameConstraints {
  readonly permitted: readonly GeneralName[];
  readonly excluded: readonly GeneralName[];
}

export interface PolicyMapping {
  readonly issuerPolicy: string;
  readonly subjectPolicy: string;
}

export interface PolicyConstraints {
  readonly requireExplicitPolicy: number | null;
  readonly inhibitPolicyMapping: number | null;
}

// Each reader takes the content of the extension's OCTET STRING and throws DerError unless that is one complete value.

/** RFC 5280 section 4.2.1.9. */
export function readBasicConstraints(value: Buffer): BasicConstraints {
  return whole(value, (reader) => {
    const sequence = reader.enter(TAG.sequence);
    // An explicit FALSE is not DER, but common encoders write it and it has one meaning only.
    const ca = sequence.nextTag === TAG.boolean ? sequence.boolean() : false;
    const pathLength = sequence.nextTag === TAG.integer ? sequence.smallInteger() : null;
    sequence.finish();
    if (pathLength !== null && !ca) throw new DerError('pathLenConstraint without cA');
    return { ca, pathLength };
  });
}

/** RFC 5280 section 4.2.1.3: bit 0 (digitalSignature) is 0x8000. At least one bit must be set. */
export function readKeyUsage(value: Buffer): number {
  const bits = whole(value, (reader) => reader.namedBits());
  if (bits === 0) throw new DerError('keyUsage with no bit set');
  return bits;
}

/** RFC 5280 section 4.2.1.12. */
export function readExtendedKeyUsage(value: Buffer): readonly string[] {
  return whole(value, (reader) => {
    const sequence = reader.enter(TAG.sequence);
    const usages: string[] = [];
    while (!sequence.atEnd) usages.push(sequence.oid());
    if (usages.length === 0) throw new DerError('extendedKeyUsage without a purpose');
    return usages;
  });
}

/** RFC 5280 section 4.2.1.6. */
export function readSubjectAltName(value: Buffer): readonly GeneralName[] {
  return whole(value, (reader) => readGeneralNames(reader));
}

/** RFC 5280 section 4.2.1.10. Minimum other than 0 and any maximum are refused, as the profile says. */
export function readNameConstraints(value: Buffer): NameConstraints {
  return whole(value, (reader) => {
    const sequence = reader.enter(TAG.sequence);
    const permitted = readSubtrees(sequence.enterOptional(contextConstructed(0)));
    const excluded = readSubtrees(sequence.enterOptional(contextConstructed(1)));
    sequence.finish();
    if (permitted.length + excluded.length === 0) throw new DerError('nameConstraints without a subtree');
    return { permitted, excluded };
  });
}

function readSubtrees(list: DerReader | null): readonly GeneralName[] {
  if (list === null) return [];
  const bases: GeneralName[] = [];
  while (!list.atEnd) {
    const subtree = list.enter(TAG.sequence);
    bases.push(readGeneralName(subtree, 'constraint'));
    if (!subtree.atEnd) throw new DerError('name constraint with a minimum or maximum');
  }
  if (bases.length === 0) throw new DerError('empty list of subtrees');
  return bases;
}

/** RFC 5280 section 4.2.1.4; the OIDs only, qualifiers are not shown to anybody. */
export function readCertificatePolicies(value: Buffer): readonly string[] {
  return whole(value, (reader) => {
    const sequence = reader.enter(TAG.sequence);
    const policies = new Set<string>();
    while (!sequence.atEnd) {
      const information = sequence.enter(TAG.sequence);
      const policy = information.oid();
      if (policies.has(policy)) throw new DerError(`policy ${policy} listed twice`);
      policies.add(policy);
      const qualifiers = information.enterOptional(TAG.sequence);
      information.finish();
      if (qualifiers?.atEnd) throw new DerError('empty list of policy qualifiers');
    }
    if (policies.size === 0) throw new DerError('certificatePolicies without a policy');
    return [...policies];
  });
}

/** RFC 5280 section 4.2.1.5. */
export function readPolicyMappings(value: Buffer): readonly PolicyMapping[] {
  return whole(value, (reader) => {
    const sequence = reader.enter(TAG.sequence);
    const mappings: PolicyMapping[] = [];
    while (!sequence.atEnd) {
      const pair = sequence.enter(TAG.sequence);
      mappings.push({ issuerPolicy: pair.oid(), subjectPolicy: pair.oid() });
      pair.finish();
    }
    if (mappings.length === 0) throw new DerError('policyMappings without a mapping');
    return mappings;
  });
}

/** RFC 5280 section 4.2.1.11. */
export function readPolicyConstraints(value: Buffer): PolicyConstraints {
  return whole(value, (reader) => {
    const sequence = reader.enter(TAG.sequence);
    const explicit = sequence.readOptional(contextPrimitive(0));
    const mapping = sequence.readOptional(contextPrimitive(1));
    sequence.finish();
    if (explicit === null && mapping === null) throw new DerError('empty policyConstraints');
    return {
      requireExplicitPolicy: explicit === null ? null : smallIntegerOf(explicit),
      inhibitPolicyMapping: mapping === null ? null : smallIntegerOf(mapping),
    };
  });
}

/** RFC 5280 section 4.2.1.14. */
export function readInhibitAnyPolicy(value: Buffer): number {
  return whole(value, (reader) => reader.smallInteger());
}

/** RFC 5280 section 4.2.1.2. */
export function readSubjectKeyIdentifier(value: Buffer): Buffer {
  return whole(value, (reader) => reader.read(TAG.octetString));
}

/** RFC 5280 section 4.2.1.1: the keyIdentifier, or null. authorityCertIssuer and authorityCertSerialNumber come together or not at all. */
export function readAuthorityKeyIdentifier(value: Buffer): Buffer | null {
  return whole(value, (reader) => {
    const sequence = reader.enter(TAG.sequence);
    const identifier = sequence.readOptional(contextPrimitive(0));
    const hasIssuer = sequence.nextTag === contextConstructed(1);
    if (hasIssuer) readGeneralNames(sequence, contextConstructed(1));
    const hasSerial = sequence.nextTag === contextPrimitive(2);
    if (hasSerial) sequence.integer(contextPrimitive(2));
    sequence.finish();
    if (hasIssuer !== hasSerial)
      throw new DerError('authorityCertIssuer without authorityCertSerialNumber, or the reverse');
    return identifier;
  });
}

/** RFC 5280 sections 4.2.2.1 and 4.2.2.2 (both are lists of AccessDescription): only that it is well-formed. */
export function checkInfoAccess(value: Buffer): void {
  whole(value, (reader) => {
    const sequence = reader.enter(TAG.sequence);
    if (sequence.atEnd) throw new DerError('information access without a description');
    while (!sequence.atEnd) {
      const description = sequence.enter(TAG.sequence);
      description.oid();
      readGeneralName(description, 'name');
      description.finish();
    }
  });
}

function whole<T>(value: Buffer, read: (reader: DerReader) => T): T {
  const reader = new DerReader(value);
  const result = read(reader);
  reader.finish();
  return result;
}

/** keyUsage bits. */
export const KEY_USAGE = {
  digitalSignature: 0x8000,
  keyEncipherment: 0x2000,
  keyAgreement: 0x0800,
  keyCertSign: 0x0400,
  cRLSign: 0x0200,
} as const;
