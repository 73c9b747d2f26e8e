import { effectivePolicy } from '../../tls/ssl-policy.ts';
import type { Resource } from '../resource.ts';
import type { Spec } from '../schema/kinds.ts';
import { forEachRepeated, forEachSpec, type RuleContext } from './context.ts';

/** Which profile goes with which version and features (spec 1.2 to 1.4), in the words of Google's API and its Terraform provider. */
export function checkSslPolicies({ graph, findings, nowMs }: RuleContext): void {
  forEachSpec(graph, 'sslPolicies', (policy, spec) => {
    const before = findings.errors;
    const name = policy.label.slice('sslPolicies/'.length);
    const { profile, minTlsVersion, customFeatures } = spec;
    if (profile === 'FIPS_202205' && minTlsVersion !== 'TLS_1_2') {
      findings.error(
        policy,
        fieldOrWhole(policy, 'minTlsVersion'),
        `Invalid value for field 'resource.minTlsVersion': '${minTlsVersion}'. Profile FIPS_202205 requires TLS_1_2; set minTlsVersion: TLS_1_2`,
      );
    } else if (minTlsVersion === 'TLS_1_3' && profile !== 'RESTRICTED') {
      findings.error(
        policy,
        ['minTlsVersion'],
        `Invalid value for field 'resource.minTlsVersion': 'TLS_1_3'. TLS_1_3 requires profile RESTRICTED, found ${profile}; set profile: RESTRICTED or a lower version`,
      );
    }
    if (profile === 'CUSTOM' && customFeatures.length === 0) {
      findings.error(
        policy,
        fieldOrWhole(policy, 'customFeatures'),
        `Error in SSL Policy ${name}: the profile is set to CUSTOM but no customFeatures are set; list at least one feature`,
      );
    }
    if (profile !== 'CUSTOM' && customFeatures.length > 0) {
      findings.error(
        policy,
        ['customFeatures'],
        `Error in SSL Policy ${name}: the profile is set to ${profile} but using customFeatures requires the profile to be CUSTOM; set profile: CUSTOM or remove them`,
      );
    }
    forEachRepeated(customFeatures, (index, first) => {
      findings.error(
        policy,
        ['customFeatures', index],
        `Cannot accept customFeatures[${index}]: found '${customFeatures[index]}', which is customFeatures[${first}] already; remove one`,
      );
    });
    if (findings.errors > before) return;
    if (profile === 'FIPS_202205' && spec.postQuantumKeyExchange === 'ENABLED') {
      findings.warning(
        policy,
        ['postQuantumKeyExchange'],
        'FIPS_202205 allows only P-256 and P-384: X25519MLKEM768 is not offered; remove postQuantumKeyExchange',
      );
    }
    for (const warning of effectivePolicy(spec as PolicySpec, nowMs).warnings) {
      findings.warning(
        policy,
        warning.code === 'FEATURE_UNAVAILABLE'
          ? fieldOrWhole(policy, profile === 'CUSTOM' ? 'customFeatures' : 'profile')
          : fieldOrWhole(policy, 'minTlsVersion'),
        warning.message,
      );
    }
  });
}

type PolicySpec = Pick<Spec<'sslPolicies'>, 'profile' | 'minTlsVersion' | 'postQuantumKeyExchange'> & {
  readonly customFeatures: readonly string[];
};

/** The field if it was written; else the resource, whose default is at fault. */
function fieldOrWhole(policy: Resource, field: string): readonly string[] {
  return policy.node?.children.has(field) === true ? [field] : [];
}
