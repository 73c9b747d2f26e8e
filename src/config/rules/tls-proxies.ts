import { featureByName } from '../../tls/profiles.ts';
import { effectivePolicy } from '../../tls/ssl-policy.ts';
import { entriesOf } from '../certificate-maps.ts';
import type { Resource } from '../resource.ts';
import { lastSegment } from '../resource.ts';
import { type Spec, TLS_TARGET_KINDS, type TlsTargetKind } from '../schema/kinds.ts';
import type { Path } from '../written.ts';
import { forEachRepeated, forEachSpec, type RuleContext } from './context.ts';

/** Certificates listed once or a certificate map, and a policy that can serve them. */
export function checkTlsProxies(context: RuleContext): void {
  const { graph, findings, nowMs } = context;
  for (const kind of TLS_TARGET_KINDS) {
    forEachSpec(graph, kind, (proxy, spec) => {
      checkWhatIsServed(proxy, spec, context);
      if (spec.sslPolicy === undefined) {
        for (const { message } of effectivePolicy(null, nowMs).warnings) findings.warning(proxy, [], message);
        return;
      }
      const policy = graph.resolve('sslPolicies', spec.sslPolicy)?.spec ?? null;
      if (policy?.profile === 'CUSTOM') warnOfUnservable(proxy, spec, policy, context);
    });
  }
}

function checkWhatIsServed(
  proxy: Resource,
  { sslCertificates, certificateMap }: Spec<TlsTargetKind>,
  { findings }: RuleContext,
): void {
  if (sslCertificates === undefined && certificateMap === undefined) {
    findings.error(
      proxy,
      [],
      `Cannot accept the target ${proxy.kind === 'targetSslProxies' ? 'SSL' : 'HTTPS'} proxy: found neither sslCertificates nor certificateMap, expected one; add it`,
    );
  }
  if (sslCertificates !== undefined && certificateMap !== undefined) {
    findings.warning(
      proxy,
      ['sslCertificates'],
      'This list is ignored: the certificate map wins (as with Google); remove one of the two',
    );
  }
  forEachRepeated((sslCertificates ?? []).map(lastSegment), (index, first) => {
    findings.error(
      proxy,
      ['sslCertificates', index],
      `Cannot accept sslCertificates[${index}]: it is sslCertificates[${first}] already; remove one`,
    );
  });
}

/** Spec 1.3: an operator's responsibility, not an error. TLS 1.3 suites fit every key. */
function warnOfUnservable(
  proxy: Resource,
  spec: Spec<TlsTargetKind>,
  policy: Spec<'sslPolicies'>,
  context: RuleContext,
): void {
  const authentications = new Set(policy.customFeatures.map((name) => featureByName(name)?.suite.authentication));
  for (const { resource, path } of servedResources(spec, context)) {
    const certificate = context.certificates.get(resource);
    if (certificate === undefined) continue;
    const wanted = certificate.keyType === 'RSA' ? 'RSA' : 'ECDSA';
    if (authentications.has(wanted)) continue;
    context.findings.warning(
      proxy,
      path,
      `No suite of the SSL policy fits the ${wanted} key of ${resource.label}: with TLS 1.2 or older it cannot be served; add a TLS_ECDHE_${wanted}_… feature`,
    );
  }
}

/** The certificates that a proxy shows, each once, and which field of the proxy leads to them. */
export function servedResources(
  spec: Spec<TlsTargetKind>,
  { graph }: RuleContext,
): readonly { readonly resource: Resource; readonly path: Path }[] {
  const map = graph.resolve('certificateMaps', spec.certificateMap);
  if (map === null) {
    return (spec.sslCertificates ?? []).flatMap((reference, index) => {
      const resource = graph.resolve('sslCertificates', reference);
      return resource === null ? [] : [{ resource, path: ['sslCertificates', index] }];
    });
  }
  const resources = entriesOf(graph, map).flatMap((entry) =>
    (entry.spec?.certificates ?? []).flatMap((reference) => graph.resolve('certificates', reference) ?? []),
  );
  return [...new Set<Resource>(resources)].map((resource) => ({ resource, path: ['certificateMap'] }));
}
