import type { Certificate } from '../pki/certificate.ts';
import type { Finding, RuleName } from '../pki/finding.ts';
import { generalNameText } from '../pki/general-name.ts';
import { OID, oidLabel } from '../pki/oids.ts';
import { checkIssuerBasicConstraints, checkLeafBasicConstraints } from '../pki/rules/basic-constraints.ts';
import { checkCriticalExtensions } from '../pki/rules/critical-extensions.ts';
import { checkIssuerExtendedKeyUsage, checkLeafExtendedKeyUsage } from '../pki/rules/extended-key-usage.ts';
import { checkIssuerName, checkIssuerSubject } from '../pki/rules/issuer-subject.ts';
import { checkKeyIdentifiers } from '../pki/rules/key-identifiers.ts';
import { checkKeyStrength } from '../pki/rules/key-strength.ts';
import { checkIssuerKeyUsage, checkLeafKeyUsage } from '../pki/rules/key-usage.ts';
import { checkNameConstraintsOfIssuer, checkNameConstraintsOfLeaf } from '../pki/rules/name-constraints.ts';
import { checkPolicyExtensions } from '../pki/rules/policies.ts';
import { checkSerialNumber } from '../pki/rules/serial-number.ts';
import { checkSignatureAlgorithm } from '../pki/rules/signature-algorithm.ts';
import { checkNamePlacement, checkNames } from '../pki/rules/subject-alternative-name.ts';
import { checkValidity } from '../pki/rules/validity.ts';
import type { TrustStore } from '../pki/trust-store.ts';
import type { ExpectedNames } from '../pki/verdict.ts';
import { parseOrFinding } from '../pki/verify.ts';

/** One presented certificate, with every rule that looks at it alone, and who could have issued it. */
export interface ExplainedCertificate {
  /** 0 = leaf. */
  readonly depth: number;
  readonly subject: string;
  readonly issuer: string;
  /** 'RSA 2048', 'EC P-256'. */
  readonly key: string;
  readonly signature: string;
  /** Wall milliseconds. */
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** SANs, as 'DNS:…'; empty for CAs. */
  readonly names: readonly string[];
  readonly passed: readonly RuleName[];
  readonly failed: readonly RuleFailure[];
  readonly issuers: readonly IssuerCandidate[];
}

export type RuleFailure = Pick<Finding, 'rule' | 'found' | 'expected' | 'fix'>;

/** A certificate at hand whose subject is the wanted issuer. */
export interface IssuerCandidate {
  readonly subject: string;
  readonly from: 'peer' | 'trustConfig' | 'anchor';
  readonly notAfterMs: number;
  /** What is wrong with the link or with the candidate as an issuer; empty: it may stand above. */
  readonly failed: readonly RuleFailure[];
}

/**
 * Goes through a chain as a person would: certificate by certificate, rule by rule, all of them, where the verifier stops at the first.
 * What depends on the whole path (length, name constraints, policies) is left to the verifier's verdict.
 * A certificate that cannot be parsed is described by its failure alone.
 */
export function explainChain(
  chain: readonly Uint8Array[],
  store: TrustStore | null,
  names: ExpectedNames,
  atMs: number,
): readonly ExplainedCertificate[] {
  const parsed = chain.map(parseOrFinding);
  const presented = parsed.flatMap((item) => ('der' in item ? [item] : []));
  return parsed.map((certificate, depth) => {
    if (!('der' in certificate)) return unparsed(depth, certificate);
    const checks = depth === 0 ? leafChecks(certificate, names, atMs) : issuerChecks(certificate, atMs);
    return {
      depth,
      subject: certificate.subject.text,
      issuer: certificate.issuer.text,
      key: keyText(certificate),
      signature: signatureText(certificate),
      notBeforeMs: certificate.notBeforeMs,
      notAfterMs: certificate.notAfterMs,
      names: (certificate.subjectAltName ?? []).map(generalNameText),
      passed: passedRules(checks),
      failed: failures(checks),
      issuers: issuersOf(certificate, presented, store, atMs),
    };
  });
}

interface Check {
  readonly rule: RuleName;
  readonly finding: Finding | null;
}

/** In the verifier's order, so that the first failure is the one that it reports; the names come last there too. */
function leafChecks(leaf: Certificate, names: ExpectedNames, atMs: number): readonly Check[] {
  return [
    { rule: 'key-strength', finding: checkKeyStrength(leaf) },
    ...childChecks(leaf),
    { rule: 'validity', finding: checkValidity(leaf, atMs) },
    { rule: 'critical-extensions', finding: checkCriticalExtensions(leaf) },
    { rule: 'basic-constraints', finding: checkLeafBasicConstraints(leaf) },
    { rule: 'name-constraints', finding: checkNameConstraintsOfLeaf(leaf) },
    { rule: 'key-usage', finding: checkLeafKeyUsage(leaf, 'server', 'signature') },
    { rule: 'extended-key-usage', finding: checkLeafExtendedKeyUsage(leaf, 'server') },
    { rule: 'subject-alternative-name', finding: checkNames(leaf, names) },
  ];
}

/** Of a CA below the anchor. */
function issuerChecks(issuer: Certificate, atMs: number): readonly Check[] {
  return [...childChecks(issuer), ...anchorChecks(issuer, atMs)];
}

function childChecks(certificate: Certificate): readonly Check[] {
  return [
    { rule: 'signature-algorithm', finding: checkSignatureAlgorithm(certificate) },
    { rule: 'serial-number', finding: checkSerialNumber(certificate) },
    { rule: 'issuer-subject', finding: checkIssuerName(certificate) },
    { rule: 'subject-alternative-name', finding: checkNamePlacement(certificate) },
  ];
}

/** Of every CA, anchors included. */
function anchorChecks(issuer: Certificate, atMs: number): readonly Check[] {
  return [
    { rule: 'key-strength', finding: checkKeyStrength(issuer) },
    { rule: 'issuer-subject', finding: checkIssuerSubject(issuer) },
    { rule: 'validity', finding: checkValidity(issuer, atMs) },
    { rule: 'critical-extensions', finding: checkCriticalExtensions(issuer) },
    { rule: 'basic-constraints', finding: checkIssuerBasicConstraints(issuer) },
    { rule: 'key-usage', finding: checkIssuerKeyUsage(issuer) },
    { rule: 'extended-key-usage', finding: checkIssuerExtendedKeyUsage(issuer, 'server') },
    { rule: 'name-constraints', finding: checkNameConstraintsOfIssuer(issuer) },
    { rule: 'policies', finding: checkPolicyExtensions(issuer) },
  ];
}

function issuersOf(
  child: Certificate,
  presented: readonly Certificate[],
  store: TrustStore | null,
  atMs: number,
): readonly IssuerCandidate[] {
  const wanted = child.issuer.key;
  const found: IssuerCandidate[] = [];
  const add = (issuer: Certificate, from: IssuerCandidate['from']) => {
    const below = from === 'anchor' ? [] : childChecks(issuer);
    const failed = [...linkFailures(child, issuer), ...failures([...below, ...anchorChecks(issuer, atMs)])];
    found.push({ subject: issuer.subject.text, from, notAfterMs: issuer.notAfterMs, failed });
  };
  for (const anchor of store?.anchorsNamed(wanted) ?? []) add(anchor, 'anchor');
  for (const certificate of presented) {
    if (certificate !== child && certificate.subject.key === wanted) add(certificate, 'peer');
  }
  for (const intermediate of store?.intermediatesNamed(wanted) ?? []) add(intermediate, 'trustConfig');
  return found;
}

function linkFailures(child: Certificate, issuer: Certificate): readonly RuleFailure[] {
  const identifiers = checkKeyIdentifiers(child, issuer);
  if (identifiers !== null) return [failureOf(identifiers)];
  // A key that is too weak to be trusted is not handed to OpenSSL either (security rule 27).
  if (checkKeyStrength(issuer) !== null || child.isSignedBy(issuer)) return [];
  const found = `the signature of '${child.subject.text}' does not verify with its key`;
  return [
    { rule: 'signature', found, expected: 'the key that signed it', fix: 'provide the CA certificate of that key' },
  ];
}

function unparsed(depth: number, finding: Finding): ExplainedCertificate {
  const unknown = { subject: '', issuer: '', key: '', signature: '', notBeforeMs: Number.NaN, notAfterMs: Number.NaN };
  return { depth, ...unknown, names: [], passed: [], failed: [failureOf(finding)], issuers: [] };
}

/** Some names stand for several checks: all of them must have passed. */
function passedRules(checks: readonly Check[]): readonly RuleName[] {
  const failed = new Set(checks.flatMap(({ rule, finding }) => (finding === null ? [] : [rule])));
  return [...new Set(checks.map(({ rule }) => rule))].filter((rule) => !failed.has(rule));
}

function failures(checks: readonly Check[]): readonly RuleFailure[] {
  return checks.flatMap(({ finding }) => (finding === null ? [] : [failureOf(finding)]));
}

function failureOf({ rule, found, expected, fix }: Finding): RuleFailure {
  return { rule, found, expected, fix };
}

function keyText({ publicKey }: Certificate): string {
  if (publicKey.kind === 'RSA') return `RSA ${publicKey.bits}`;
  return publicKey.kind === 'EC'
    ? `EC ${CURVES.get(publicKey.curve) ?? nameOf(publicKey.curve)}`
    : nameOf(publicKey.algorithm);
}

function signatureText({ signatureAlgorithm }: Certificate): string {
  if (signatureAlgorithm.kind === 'unsupported') return nameOf(signatureAlgorithm.oid);
  return `${signatureAlgorithm.kind} with ${signatureAlgorithm.hash.toUpperCase()}`;
}

/** Without the number, where there is a name. */
function nameOf(oid: string): string {
  const label = oidLabel(oid);
  return label.endsWith(`(${oid})`) ? label.slice(0, -oid.length - 3) : label;
}

// RFC 5480 section 2.1.1.1, under the names that policies and logs use
const CURVES: ReadonlyMap<string, string> = new Map([
  [OID.p256, 'P-256'],
  [OID.p384, 'P-384'],
]);
