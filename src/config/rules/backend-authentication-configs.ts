import { forEachSpec, type RuleContext } from './context.ts';

/** An authentication config always authenticates (security rule 1): it must have something that a certificate can be checked against. */
export function checkBackendAuthenticationConfigs({ graph, findings, trustConfigs }: RuleContext): void {
  forEachSpec(graph, 'backendAuthenticationConfigs', (config, spec) => {
    if (spec.enforcement === 'REPORT_ONLY') {
      findings.warning(
        config,
        ['enforcement'],
        'Backends are not authenticated: under REPORT_ONLY, what fails verification is logged, counted and used all the same; set enforcement: ENFORCE once sallyport_backend_verify_report_only_failures_total stays at 0',
      );
    }
    const client = graph.resolve('certificates', spec.clientCertificate);
    if (client !== null && client.spec !== null && client.spec.scope !== 'CLIENT_AUTH') {
      findings.error(
        config,
        ['clientCertificate'],
        `Cannot accept clientCertificate: ${client.label} has scope ${client.spec.scope}, expected CLIENT_AUTH; set its scope`,
      );
    }
    if (spec.wellKnownRoots === 'PUBLIC_ROOTS') return;
    if (spec.trustConfig === undefined) {
      findings.error(
        config,
        [],
        'Cannot accept the backend authentication config: found neither trustConfig nor wellKnownRoots: PUBLIC_ROOTS, expected at least one; add it',
      );
      return;
    }
    const resource = graph.resolve('trustConfigs', spec.trustConfig);
    const trust = resource === null ? undefined : trustConfigs.get(resource);
    if (trust !== undefined && trust.anchors.length + trust.allowlist.length === 0) {
      findings.error(
        config,
        ['trustConfig'],
        `Cannot accept trustConfig: found neither a trust anchor nor an allowlisted certificate in ${resource?.label ?? 'it'}, so that every backend would be refused; add one or set wellKnownRoots: PUBLIC_ROOTS`,
      );
    }
  });
}
