import { forEachSpec, type RuleContext } from './context.ts';

/** A policy that rejects must have something that a certificate can be checked against; one that allows should (security rule 1). */
export function checkServerTlsPolicies({ graph, findings, trustConfigs }: RuleContext): void {
  forEachSpec(graph, 'serverTlsPolicies', (policy, { mtlsPolicy }) => {
    const path = ['mtlsPolicy', 'clientValidationTrustConfig'];
    const { clientValidationMode: mode, clientValidationTrustConfig: reference } = mtlsPolicy;
    const resource = graph.resolve('trustConfigs', reference);
    if (reference === undefined) {
      const found = 'found no clientValidationTrustConfig';
      if (mode === 'REJECT_INVALID') {
        findings.error(
          policy,
          ['mtlsPolicy'],
          `Cannot accept mtlsPolicy: ${found}, expected one with REJECT_INVALID, which would refuse every client without; add it`,
        );
      } else {
        findings.warning(
          policy,
          ['mtlsPolicy'],
          'Client certificates are not verified: without clientValidationTrustConfig client_cert_error is client_cert_validation_not_performed; add it',
        );
      }
      return;
    }
    const trust = resource === null ? undefined : trustConfigs.get(resource);
    if (trust === undefined || trust.anchors.length + trust.allowlist.length > 0) return;
    const nothing = `neither a trust anchor nor an allowlisted certificate in ${resource?.label ?? 'it'}`;
    if (mode === 'REJECT_INVALID') {
      findings.error(
        policy,
        path,
        `Cannot accept clientValidationTrustConfig: found ${nothing}, so that every client would be refused; add one`,
      );
    } else {
      findings.warning(policy, path, `No client certificate will verify: there is ${nothing}; add one`);
    }
  });
}
