import type { Budget } from '../budget.ts';
import type { Certificate } from '../certificate.ts';
import type { NameConstraints } from '../extensions.ts';
import type { Finding } from '../finding.ts';
import { type GeneralName, generalNameText } from '../general-name.ts';
import { LIMITS } from '../limits.ts';
import { type Comparable, comparableBase, comparableName, matchesConstraint } from '../name-constraint-match.ts';
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
  const unreadable = [...constraints.permitted, ...constraints.excluded].find((base) => comparableBase(base) === null);
  if (unreadable === undefined) return null;
  const found = `its name constraint ${generalNameText(unreadable)} is malformed`;
  return finding(found, 'the forms of RFC 5280 section 4.2.1.10', 'reissue this CA');
}

/** Only a CA may have nameConstraints (RFC 5280 section 4.2.1.10). */
export function checkNameConstraintsOfLeaf(leaf: Certificate): Finding | null {
  if (leaf.nameConstraints === null) return null;
  return finding('the leaf has nameConstraints', 'name constraints on CA certificates only', 'reissue it without them');
}

/**
 * Applies an issuer's constraints to every certificate below it, self-issued ones except the leaf left out (RFC 5280 section
 * 6.1.3 (b), (c)). As each issuer of a path is applied to all below it, the permitted subtrees intersect: a lower CA cannot widen.
 * `below` is the path under the issuer, leaf first.
 */
export function checkNamesBelow(issuer: Certificate, below: readonly Certificate[], budget: Budget): Finding | null {
  if (issuer.nameConstraints === null) return null;
  const subtrees = subtreesOf(issuer, issuer.nameConstraints);
  for (let index = 0; index < below.length; index++) {
    const certificate = below[index]!;
    if (index > 0 && certificate.isSelfIssued) continue;
    const violation = violationOf(subtrees, certificate, budget);
    if (violation !== null) return violation;
  }
  return null;
}

function violationOf(subtrees: Subtrees, certificate: Certificate, budget: Budget): Finding | null {
  const names = namesOf(certificate);
  for (let index = 0; index < names.length; index++) {
    budget.spendNameComparison();
    const { name, comparable } = names[index]!;
    const excluded = subtrees.excluded.get(name.kind);
    const permitted = subtrees.permitted.get(name.kind);
    if (excluded === undefined && permitted === undefined) continue;
    if (comparable === null) {
      return finding(
        `${possession(certificate, name)}, which cannot be compared with its constraints`,
        'a well-formed name',
        'reissue that certificate',
      );
    }
    const excluding = firstMatch(comparable, excluded, 'excluded', budget);
    if (excluding !== null) {
      const expected = `no name in its excluded subtree ${generalNameText(excluding.name)}`;
      return finding(possession(certificate, name), expected, FIX);
    }
    if (permitted === undefined || firstMatch(comparable, permitted, 'permitted', budget) !== null) continue;
    const shown = permitted.map((base) => generalNameText(base.name)).join(', ');
    return finding(possession(certificate, name), `a name in its permitted subtrees ${shown}`, FIX);
  }
  return null;
}

function firstMatch(
  name: Comparable,
  bases: readonly Prepared[] | undefined,
  side: 'permitted' | 'excluded',
  budget: Budget,
): Prepared | null {
  if (bases === undefined) return null;
  for (let index = 0; index < bases.length; index++) {
    const base = bases[index]!;
    budget.spendNameComparison();
    // A base that cannot be read was refused with its certificate; if it were not, it would exclude all and permit nothing.
    const isMatch = base.comparable === null ? side === 'excluded' : matchesConstraint(name, base.comparable, side);
    if (isMatch) return base;
  }
  return null;
}

/** A name beside the form in which it is compared; null: it cannot be. */
interface Prepared {
  readonly name: GeneralName;
  readonly comparable: Comparable | null;
}

interface Subtrees {
  readonly permitted: ReadonlyMap<GeneralName['kind'], readonly Prepared[]>;
  readonly excluded: ReadonlyMap<GeneralName['kind'], readonly Prepared[]>;
}

/** Read once per certificate: a leaf of 16 KiB has thousands of names, and up to 100 issuers are tried on them. */
function namesOf(certificate: Certificate): readonly Prepared[] {
  const known = NAMES.get(certificate);
  if (known !== undefined) return known;
  const names = constrainedNames(certificate).map((name) => ({ name, comparable: comparableName(name) }));
  NAMES.set(certificate, names);
  return names;
}

function subtreesOf(issuer: Certificate, constraints: NameConstraints): Subtrees {
  const known = SUBTREES.get(issuer);
  if (known !== undefined) return known;
  const byKind = (bases: readonly GeneralName[]) =>
    Map.groupBy(
      bases.map((name): Prepared => ({ name, comparable: comparableBase(name) })),
      ({ name }) => name.kind,
    );
  const subtrees = { permitted: byKind(constraints.permitted), excluded: byKind(constraints.excluded) };
  SUBTREES.set(issuer, subtrees);
  return subtrees;
}

const NAMES = new WeakMap<Certificate, readonly Prepared[]>();
const SUBTREES = new WeakMap<Certificate, Subtrees>();

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
