import { featureByName } from '../../tls/profiles.ts';
import { effectivePolicy } from '../../tls/ssl-policy.ts';
import type { Resource } from '../resource.ts';
import { lastSegment } from '../resource.ts';
import type { Spec } from '../schema/kinds.ts';
import { forEachRepeated, forEachSpec, type RuleContext } from './context.ts';

/** Certificates listed once, and a policy that can serve them. */
export function checkTargetHttpsProxies(context: RuleContext): void {
  const { graph, findings, nowMs } = context;
  forEachSpec(graph, 'targetHttpsProxies', (proxy, spec) => {
    forEachRepeated(spec.sslCertificates.map(lastSegment), (index, first) => {
      findings.error(
        proxy,
        ['sslCertificates', index],
        `Cannot accept sslCertificates[${index}]: it is sslCertificates[${first}] already; remove one`,
      );
    });
    if (spec.sslPolicy === undefined) {
      for (const { message } of effectivePolicy(null, nowMs).warnings) findings.warning(proxy, [], message);
      return;
    }
    const policy = graph.resolve('sslPolicies', spec.sslPolicy)?.spec ?? null;
    if (policy?.profile === 'CUSTOM') warnOfUnservable(proxy, spec, policy, context);
  });
}

/** Spec 1.3: an operator's responsibility, not an error. TLS 1.3 suites fit every key. */
function warnOfUnservable(
  proxy: Resource,
  spec: Spec<'targetHttpsProxies'>,
  policy: Spec<'sslPolicies'>,
  { graph, findings, certificates }: RuleContext,
): void {
  const authentications = new Set(policy.customFeatures.map((name) => featureByName(name)?.suite.authentication));
  for (const [index, reference] of spec.sslCertificates.entries()) {
    const resource = graph.resolve('sslCertificates', reference);
    const certificate = resource === null ? undefined : certificates.get(resource);
    if (certificate === undefined) continue;
    const wanted = certificate.keyType === 'RSA' ? 'RSA' : 'ECDSA';
    if (authentications.has(wanted)) continue;
    findings.warning(
      proxy,
      ['sslCertificates', index],
      `No suite of the SSL policy fits the ${wanted} key of ${resource?.label ?? ''}: with TLS 1.2 or older it cannot be served; add a TLS_ECDHE_${wanted}_… feature`,
    );
  }
}
