import type { Budget } from '../budget.ts';
import type { Certificate } from '../certificate.ts';
import type { Finding } from '../finding.ts';
import { LIMITS } from '../limits.ts';
import { OID } from '../oids.ts';

/** The inputs of RFC 5280 section 6.1.1 (c) to (g). The proxy leaves them at ANY_POLICY. */
export interface PolicyInputs {
  /** null: any policy. */
  readonly acceptable: readonly string[] | null;
  readonly requireExplicitPolicy: boolean;
  readonly inhibitPolicyMapping: boolean;
  readonly inhibitAnyPolicy: boolean;
}

/** Asks for no policy: only what the certificates themselves require counts. */
export const ANY_POLICY: PolicyInputs = {
  acceptable: null,
  requireExplicitPolicy: false,
  inhibitPolicyMapping: false,
  inhibitAnyPolicy: false,
};

/** Mappings never name anyPolicy (RFC 5280 section 6.1.4 (a)). Criticality of the policy extensions is the CA's affair. */
export function checkPolicyExtensions(issuer: Certificate): Finding | null {
  const mappings = issuer.policyMappings ?? [];
  if (mappings.some((mapping) => mapping.issuerPolicy === OID.anyPolicy || mapping.subjectPolicy === OID.anyPolicy)) {
    return finding('its policyMappings map anyPolicy', 'mappings between two policies', 'reissue this CA');
  }
  return mappings.length <= LIMITS.policyMappings
    ? null
    : finding(`it has ${mappings.length} policy mappings`, `at most ${LIMITS.policyMappings}`, 'reissue this CA');
}

/**
 * Certificate policies of a whole path, leaf first and anchor last, by the policy graph of RFC 9618: linear where the tree of
 * RFC 5280 section 6.1 is exponential (CVE-2023-0464). The anchor's own policies and constraints apply where it has them.
 */
export function checkPolicies(path: readonly Certificate[], inputs: PolicyInputs, budget: Budget): Finding | null {
  // Policies can only fail a path once explicit_policy reaches 0, which takes an input or a policyConstraints.
  if (!inputs.requireExplicitPolicy && path.every((certificate) => certificate.policyConstraints === null)) return null;
  const n = path.length;
  let explicitPolicy = inputs.requireExplicitPolicy ? 0 : n;
  let policyMapping = inputs.inhibitPolicyMapping ? 0 : n;
  let inhibitAnyPolicy = inputs.inhibitAnyPolicy ? 0 : n;
  let level: PolicyLevel = { nodes: new Map(), hasAnyPolicy: true };
  const levels: PolicyLevel[] = [];

  for (let depth = n - 1; depth >= 0; depth--) {
    const certificate = path[depth]!;
    const isLeaf = depth === 0;
    const isAnchor = depth === n - 1;
    budget.spendPolicies(
      level.nodes.size + (certificate.policies?.length ?? 0) + (certificate.policyMappings?.length ?? 0),
    );
    const isAnyPolicyAllowed = inhibitAnyPolicy > 0 || (!isLeaf && certificate.isSelfIssued);
    if (certificate.policies !== null) level = keepPolicies(level, certificate.policies, isAnyPolicyAllowed);
    else if (!isAnchor) level = { nodes: new Map(), hasAnyPolicy: false };
    levels.push(level);
    if (explicitPolicy === 0 && isEmpty(level)) return noPolicy(certificate);

    if (!isLeaf) {
      level = mapPolicies(level, certificate, policyMapping > 0);
      if (!certificate.isSelfIssued) {
        explicitPolicy = Math.max(0, explicitPolicy - 1);
        policyMapping = Math.max(0, policyMapping - 1);
        inhibitAnyPolicy = Math.max(0, inhibitAnyPolicy - 1);
      }
      explicitPolicy = Math.min(explicitPolicy, certificate.policyConstraints?.requireExplicitPolicy ?? explicitPolicy);
      policyMapping = Math.min(policyMapping, certificate.policyConstraints?.inhibitPolicyMapping ?? policyMapping);
      inhibitAnyPolicy = Math.min(inhibitAnyPolicy, certificate.inhibitAnyPolicy ?? inhibitAnyPolicy);
    } else {
      explicitPolicy = Math.max(0, explicitPolicy - 1); // 6.1.5 (a), (b)
      if (certificate.policyConstraints?.requireExplicitPolicy === 0) explicitPolicy = 0;
    }
  }
  if (explicitPolicy > 0 || isAcceptable(levels, inputs.acceptable)) return null;
  return noPolicy(path[0]!);
}

/** One depth of the policy graph: valid policies, each with the policies above it that it came from. */
interface PolicyLevel {
  readonly nodes: Map<string, PolicyNode>;
  readonly hasAnyPolicy: boolean;
}

interface PolicyNode {
  /** Policies of the level above; empty: it came from anyPolicy. */
  readonly parents: readonly string[];
}

/** RFC 5280 section 6.1.3 (d). */
function keepPolicies(level: PolicyLevel, policies: readonly string[], isAnyPolicyAllowed: boolean): PolicyLevel {
  const listed = new Set(policies);
  const keepsAll = isAnyPolicyAllowed && listed.has(OID.anyPolicy);
  const nodes = new Map<string, PolicyNode>();
  for (const [policy, node] of level.nodes) if (keepsAll || listed.has(policy)) nodes.set(policy, node);
  if (level.hasAnyPolicy) {
    for (const policy of policies) {
      if (policy !== OID.anyPolicy && !nodes.has(policy)) nodes.set(policy, { parents: [] });
    }
  }
  return { nodes, hasAnyPolicy: level.hasAnyPolicy && keepsAll };
}

/** RFC 5280 section 6.1.4 (b); makes the expected policies of the next level. Adds the mapped nodes to `level` itself. */
function mapPolicies(level: PolicyLevel, certificate: Certificate, isMappingAllowed: boolean): PolicyLevel {
  const mappings = certificate.policyMappings ?? [];
  const parentsOf = new Map<string, string[]>();
  const mapped = new Set(mappings.map((mapping) => mapping.issuerPolicy));
  for (const policy of level.nodes.keys()) if (!mapped.has(policy)) parentsOf.set(policy, [policy]);
  for (const { issuerPolicy, subjectPolicy } of isMappingAllowed ? mappings : []) {
    if (!level.nodes.has(issuerPolicy)) {
      if (!level.hasAnyPolicy) continue;
      level.nodes.set(issuerPolicy, { parents: [] });
    }
    const parents = parentsOf.get(subjectPolicy);
    if (parents === undefined) parentsOf.set(subjectPolicy, [issuerPolicy]);
    else if (!parents.includes(issuerPolicy)) parents.push(issuerPolicy);
  }
  const nodes = new Map<string, PolicyNode>();
  for (const [policy, parents] of parentsOf) nodes.set(policy, { parents });
  return { nodes, hasAnyPolicy: level.hasAnyPolicy };
}

/** RFC 5280 section 6.1.5 (g): is any leaf policy valid under one that the caller accepts? */
function isAcceptable(levels: readonly PolicyLevel[], acceptable: readonly string[] | null): boolean {
  const last = levels.at(-1)!;
  if (isEmpty(last)) return false;
  if (acceptable === null || acceptable.includes(OID.anyPolicy) || last.hasAnyPolicy) return true;
  let reachable = new Set(last.nodes.keys());
  for (let index = levels.length - 1; index >= 0; index--) {
    const above = new Set<string>();
    for (const policy of reachable) {
      const node = levels[index]!.nodes.get(policy);
      if (node === undefined) continue;
      if (node.parents.length === 0 && acceptable.includes(policy)) return true; // its parent is anyPolicy
      for (const parent of node.parents) above.add(parent);
    }
    reachable = above;
  }
  return false;
}

function isEmpty(level: PolicyLevel): boolean {
  return level.nodes.size === 0 && !level.hasAnyPolicy;
}

function noPolicy(certificate: Certificate): Finding {
  return finding(
    certificate.policies === null ? 'it has no certificatePolicies' : 'no policy of the path is valid for it',
    'a certificate policy that every CA above it allows (a policyConstraints on the path requires one)',
    'reissue it under a policy of its CAs',
  );
}

function finding(found: string, expected: string, fix: string): Finding {
  return { rule: 'policies', word: 'chain', found, expected, fix };
}
