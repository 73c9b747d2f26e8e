import { authenticationOf, endpointsOf, isTls } from '../backend-identity.ts';
import { serverNameProblem } from '../host-name.ts';
import { lastSegment, type Resource, shownField } from '../resource.ts';
import type { Spec } from '../schema/kinds.ts';
import type { Path } from '../written.ts';
import { forEachRepeated, forEachSpec, type RuleContext } from './context.ts';

type Service = Spec<'backendServices'>;

/** Backends, names and authentication of backend services (spec 2.5 to 2.7, 3.5; security rules 1, 26, 27). */
export function checkBackendServices(context: RuleContext): void {
  forEachSpec(context.graph, 'backendServices', (service, spec) => {
    checkBackends(service, spec, context);
    if (!isTls(spec)) {
      if (spec.tlsSettings !== undefined) {
        context.findings.error(
          service,
          ['tlsSettings'],
          `Cannot accept tlsSettings: found protocol ${spec.protocol}, expected HTTPS, HTTP2 or SSL; tlsSettings may only be specified with them, so change the protocol or remove it`,
        );
      }
      return;
    }
    const before = context.findings.errors;
    checkNames(service, spec, context);
    if (context.findings.errors === before) checkAuthentication(service, spec, context);
  });
}

function checkBackends(service: Resource, spec: Service, { findings }: RuleContext): void {
  if (spec.backends.length === 0)
    findings.warning(service, [], 'This backend service has no backends: its requests get 503; add backends');
  forEachRepeated(
    spec.backends.map(({ group }) => lastSegment(group)),
    (index, first) => {
      findings.error(
        service,
        ['backends', index, 'group'],
        `Cannot accept backends[${index}]: it is backends[${first}] already; remove one`,
      );
    },
  );
}

function checkNames(service: Resource, spec: Service, { findings }: RuleContext): void {
  const settings = spec.tlsSettings;
  const checkName = (name: string, path: Path, field: string) => {
    const problem = serverNameProblem(name);
    if (problem === null) return;
    const found = shownField(service, path);
    const message = `Cannot accept ${field}: found ${found}, ${problem}, expected a DNS name of letters, digits and hyphens; correct it`;
    findings.error(service, path, message);
  };
  if (settings?.sni !== undefined) checkName(settings.sni, ['tlsSettings', 'sni'], 'tlsSettings.sni');
  for (const [index, name] of (settings?.subjectAltNames ?? []).entries()) {
    const path = ['tlsSettings', 'subjectAltNames', index];
    const field = `tlsSettings.subjectAltNames[${index}]`;
    const { dnsName, uniformResourceIdentifier: uri } = name;
    if ((dnsName === undefined) === (uri === undefined)) {
      findings.error(
        service,
        path,
        `Cannot accept ${field}: found ${dnsName === undefined ? 'neither' : 'both'} of dnsName and uniformResourceIdentifier, expected exactly one; ${dnsName === undefined ? 'add' : 'remove'} one`,
      );
      continue;
    }
    if (dnsName !== undefined) checkName(dnsName, [...path, 'dnsName'], `${field}.dnsName`);
    if (uri !== undefined && !ABSOLUTE_URI.test(uri)) {
      const at = [...path, 'uniformResourceIdentifier'];
      findings.error(
        service,
        at,
        `Cannot accept ${field}.uniformResourceIdentifier: found ${shownField(service, at)}, expected an absolute URI such as spiffe://domain/path; correct it`,
      );
    }
  }
}

function checkAuthentication(service: Resource, spec: Service, context: RuleContext): void {
  const { graph, findings, trustConfigs } = context;
  const endpoints = endpointsOf(spec, graph);
  const problem = fqdnProblem(spec, endpoints);
  if (problem !== null) {
    findings.error(service, ['backends'], problem);
    return;
  }
  const hasNames = (spec.tlsSettings?.subjectAltNames.length ?? 0) > 0;
  const at = ['tlsSettings', 'authenticationConfig'];
  if (spec.tlsSettings?.authenticationConfig === undefined) {
    if (endpoints.some(({ isFqdn }) => isFqdn)) return; // public roots, and the name must match (spec 2.7)
    findings.warning(
      service,
      spec.tlsSettings === undefined ? [] : ['tlsSettings'],
      `Backend certificates are not verified: whoever answers at an endpoint can present any${hasNames || spec.tlsSettings?.sni !== undefined ? ' that has the name' : ''}; set tlsSettings.authenticationConfig`,
    );
    return;
  }
  const config = graph.resolve('backendAuthenticationConfigs', spec.tlsSettings.authenticationConfig)?.spec ?? null;
  if (config === null) return;
  const { sni, publicRoots } = authenticationOf(spec, config, endpoints);
  const trustResource = graph.resolve('trustConfigs', config.trustConfig);
  if (config.trustConfig !== undefined && (trustResource === null || !trustConfigs.has(trustResource))) return;
  const trust = trustResource === null ? null : (trustConfigs.get(trustResource) ?? null);
  const anchors = trust?.anchors.length ?? 0;
  if (config.wellKnownRoots === 'PUBLIC_ROOTS' && !publicRoots) {
    const found = 'wellKnownRoots: PUBLIC_ROOTS counts only with tlsSettings.sni, which is missing';
    if (anchors + (trust?.allowlist.length ?? 0) === 0) {
      findings.error(
        service,
        at,
        `Cannot accept tlsSettings.authenticationConfig: ${found}, and there is no trust anchor or allowlisted certificate either, so that every backend would be refused; set tlsSettings.sni`,
      );
      return;
    }
    findings.warning(
      service,
      at,
      `The public roots are not used: ${found}; set tlsSettings.sni or wellKnownRoots: NONE`,
    );
  }
  if (anchors > 0 && publicRoots) {
    findings.warning(
      service,
      at,
      'Trust anchors and PUBLIC_ROOTS are both accepted: any public CA can vouch for the name; set wellKnownRoots: NONE unless that is meant',
    );
  }
  if (anchors > 0 && sni === null && !hasNames) {
    findings.warning(
      service,
      ['tlsSettings'],
      'Neither sni nor subjectAltNames is set: every certificate below the trust anchors is accepted, whatever its name; set one',
    );
  }
}

/** One service has one SNI, one list of names and one trust: endpoints by name must agree on them (spec 2.7). */
function fqdnProblem(spec: Service, endpoints: ReturnType<typeof endpointsOf>): string | null {
  const names = [...new Set(endpoints.filter(({ isFqdn }) => isFqdn).map(({ host }) => host))];
  if (names.length === 0) return null;
  const hasAddresses = endpoints.some(({ isFqdn }) => !isFqdn);
  const hasSni = spec.tlsSettings?.sni !== undefined;
  if (names.length > 1 && !hasSni) {
    return `Cannot tell which name to send and verify: found endpoints of ${names.length} names, expected one name; set tlsSettings.sni or make a backend service for each`;
  }
  if (hasAddresses && !hasSni) {
    return 'Cannot tell which name to send and verify: found endpoints with a name and endpoints with only an address, expected one kind; set tlsSettings.sni or make a backend service for each';
  }
  if (hasAddresses && spec.tlsSettings?.authenticationConfig === undefined) {
    return 'Cannot tell how to verify the backends: found INTERNET_FQDN_PORT endpoints, which are verified against the public roots, and others, which are not, expected one kind; set tlsSettings.authenticationConfig or make a backend service for each';
  }
  return null;
}

const ABSOLUTE_URI = /^[A-Za-z][A-Za-z0-9+.-]*:[\x21-\x7e]+$/; // RFC 3986 section 3; compared byte for byte
