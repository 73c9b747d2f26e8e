import { Budget } from '#src/pki/budget.ts';
import type { Certificate } from '#src/pki/certificate.ts';
import { OID } from '#src/pki/oids.ts';
import { ANY_POLICY, checkPolicies, checkPolicyExtensions } from '#src/pki/rules/policies.ts';

const P1 = '1.2.3.1';
const P2 = '1.2.3.2';
const REQUIRED = { ...ANY_POLICY, requireExplicitPolicy: true };

/** Only what policy processing looks at. PKITS sections 4.8 to 4.12 test the rest with real certificates. */
function certificate(facts: Partial<Certificate>): Certificate {
  return {
    policies: null,
    policyMappings: null,
    policyConstraints: null,
    inhibitAnyPolicy: null,
    isSelfIssued: false,
    isExtensionCritical: () => true,
    ...facts,
  } as Certificate;
}

test('without a requirement no policy is asked for', () => {
  const path = [certificate({}), certificate({ policies: [P1] }), certificate({})];
  expect(checkPolicies(path, ANY_POLICY, new Budget())).toBeNull();
  expect(checkPolicies(path, REQUIRED, new Budget())).toMatchObject({
    rule: 'policies',
    found: 'it has no certificatePolicies',
  });
});

test('requireExplicitPolicy of a CA wants a policy that every CA above allows', () => {
  const requirement = { requireExplicitPolicy: 0, inhibitPolicyMapping: null };
  const ca = certificate({ policies: [P1], policyConstraints: requirement });
  const root = certificate({ isSelfIssued: true });
  expect(checkPolicies([certificate({ policies: [P1] }), ca, root], ANY_POLICY, new Budget())).toBeNull();
  expect(checkPolicies([certificate({ policies: [P2] }), ca, root], ANY_POLICY, new Budget())).toMatchObject({
    found: 'no policy of the path is valid for it',
  });
});

test('a mapping carries the policy that the caller accepts to the one on the leaf', () => {
  const ca = certificate({ policies: [P1], policyMappings: [{ issuerPolicy: P1, subjectPolicy: P2 }] });
  const path = [certificate({ policies: [P2] }), ca, certificate({ isSelfIssued: true })];
  expect(checkPolicies(path, { ...REQUIRED, acceptable: [P1] }, new Budget())).toBeNull();
  expect(checkPolicies(path, { ...REQUIRED, acceptable: [P2] }, new Budget())).not.toBeNull();
  expect(checkPolicies(path, { ...REQUIRED, inhibitPolicyMapping: true }, new Budget())).not.toBeNull();
});

test('mappings of all to all on every CA end: the graph stays linear in depth (CVE-2023-0464)', () => {
  const policies = Array.from({ length: 14 }, (_, index) => `1.2.3.${index}`);
  const policyMappings = policies.flatMap((issuerPolicy) =>
    policies.map((subjectPolicy) => ({ issuerPolicy, subjectPolicy })),
  );
  const ca = certificate({ policies, policyMappings });
  const path = [certificate({ policies }), ...Array.from({ length: 8 }, () => ca), certificate({ isSelfIssued: true })];
  expect(checkPolicies(path, { ...REQUIRED, acceptable: ['1.2.3.99'] }, new Budget())).not.toBeNull(); // 14^8 nodes as a tree
  expect(checkPolicies(path, { ...REQUIRED, acceptable: ['1.2.3.5'] }, new Budget())).toBeNull();
});

test('a mapping from or to anyPolicy, or hundreds of mappings, make a CA unusable', () => {
  const mapping = (issuerPolicy: string, subjectPolicy: string) =>
    certificate({ policyMappings: [{ issuerPolicy, subjectPolicy }] });
  expect(checkPolicyExtensions(mapping(P1, P2))).toBeNull();
  expect(checkPolicyExtensions(mapping(OID.anyPolicy, P2))).toMatchObject({ rule: 'policies' });
  expect(checkPolicyExtensions(mapping(P1, OID.anyPolicy))).toMatchObject({ rule: 'policies' });
  const policyMappings = Array.from({ length: 201 }, () => ({ issuerPolicy: P1, subjectPolicy: P2 }));
  expect(checkPolicyExtensions(certificate({ policyMappings }))?.found).toBe('it has 201 policy mappings');
});
