import type { Budget } from '../budget.ts';
import type { Certificate } from '../certificate.ts';
import type { Finding } from '../finding.ts';
import { type GeneralName, type GeneralNameKind, generalNameText } from '../general-name.ts';
import { LIMITS } from '../limits.ts';
import { isReadableConstraint, isReadableName, matchesConstraint } from '../name-constraint-match.ts';
import { OID } from '../oids.ts';

/** At most 10 constraints on a CA (spec 10.7), each in the form that RFC 5280 section 4.2.1.10 gives. */
export function checkNameConstraintsOfIssuer(issuer: Certificate): Finding | null {
  const constraints = issuer.nameConstraints;
  if (constraints === null) return null;
  const count = constraints.permitted.length + constraints.excluded.length;
  if (count > LIMITS.nameConstraints) {
    return {
      rule: 'name-constraints',
      word: 'nameConstraintCount',
      found: `it has ${count} name constraints`,
      expected: `at most ${LIMITS.nameConstraints} on a CA certificate`,
      fix: 'reissue this CA with fewer',
    };
  }
  const unreadable = [...constraints.permitted, ...constraints.excluded].find((base) => !isReadableConstraint(base));
  if (unreadable === undefined) return null;
  const found = `its name constraint ${generalNameText(unreadable)} is malformed`;
  return finding(found, 'the forms of RFC 5280 section 4.2.1.10', 'reissue this CA');
}

/** Only a CA may have nameConstraints (RFC 5280 section 4.2.1.10). */
export function checkNameConstraintsOfLeaf(leaf: Certificate): Finding | null {
  if (leaf.nameConstraints === null) return null;
  return finding('the leaf has nameConstraints', 'them on CA certificates only', 'reissue it without');
}

/**
 * Applies an issuer's constraints to every certificate below it, self-issued ones except the leaf left out (RFC 5280 section
 * 6.1.3 (b), (c)). As each issuer of a path is applied to all below it, the permitted subtrees intersect: a lower CA cannot widen.
 * `below` is the path under the issuer, leaf first.
 */
export function checkNamesBelow(issuer: Certificate, below: readonly Certificate[], budget: Budget): Finding | null {
  if (issuer.nameConstraints === null) return null;
  const { permitted, excluded } = issuer.nameConstraints;
  const kinds = new Set([...permitted, ...excluded].map((base) => base.kind));
  for (let index = 0; index < below.length; index++) {
    const certificate = below[index]!;
    if (index > 0 && certificate.isSelfIssued) continue;
    const violation = violationOf(issuer, kinds, certificate, budget);
    if (violation !== null) return violation;
  }
  return null;
}

function violationOf(
  issuer: Certificate,
  kinds: ReadonlySet<GeneralNameKind>,
  certificate: Certificate,
  budget: Budget,
): Finding | null {
  const { permitted, excluded } = issuer.nameConstraints!;
  for (const name of constrainedNames(certificate)) {
    budget.spendNameComparison();
    if (!kinds.has(name.kind)) continue;
    if (!isReadableName(name)) {
      return finding(
        `${possession(certificate, name)}, which cannot be compared with its constraints`,
        'a well-formed name',
        'reissue that certificate',
      );
    }
    for (const base of excluded) {
      budget.spendNameComparison();
      if (base.kind !== name.kind || !matchesConstraint(name, base, 'excluded')) continue;
      return finding(possession(certificate, name), `no name in its excluded subtree ${generalNameText(base)}`, FIX);
    }
    let isPermitted = true;
    for (const base of permitted) {
      if (base.kind !== name.kind) continue;
      budget.spendNameComparison();
      isPermitted = matchesConstraint(name, base, 'permitted');
      if (isPermitted) break;
    }
    if (isPermitted) continue;
    const subtrees = permitted.filter((base) => base.kind === name.kind).map(generalNameText);
    return finding(possession(certificate, name), `a name in its permitted subtrees ${subtrees.join(', ')}`, FIX);
  }
  return null;
}

function possession(certificate: Certificate, name: GeneralName): string {
  return `'${certificate.subject.text}' below it has the name ${generalNameText(name)}`;
}

/** The subject, the SANs, and the subject's e-mail addresses where no SAN is one (RFC 5280 section 4.2.1.10). */
function constrainedNames(certificate: Certificate): readonly GeneralName[] {
  const names: GeneralName[] = [...(certificate.subjectAltName ?? [])];
  if (certificate.subject.isEmpty) return names;
  if (!names.some((name) => name.kind === 'email')) {
    for (const text of certificate.subject.values(OID.emailAddress)) names.push({ kind: 'email', text });
  }
  names.push({ kind: 'directory', name: certificate.subject });
  return names;
}

function finding(found: string, expected: string, fix: string): Finding {
  return { rule: 'name-constraints', word: 'chain', found, expected, fix };
}

const FIX = 'issue that certificate from a CA whose name constraints allow it';
