import { targetsOf, unitOfShare } from '../backend-shares.ts';
import { type Resource, shownField } from '../resource.ts';
import type { Spec } from '../schema/kinds.ts';
import { forEachSpec, type RuleContext } from './context.ts';

type Service = Spec<'backendServices'>;

/** Policies, affinity and shares of backend services: what would have no effect, or cannot be had together (spec 3.5). */
export function checkBalancing(context: RuleContext): void {
  forEachSpec(context.graph, 'backendServices', (service, spec) => {
    checkAffinity(service, spec, context);
    checkCookies(service, spec, context);
    checkConsistentHash(service, spec, context);
    checkShares(service, spec, context);
  });
}

/** Compute Engine: with another policy "session affinity settings will not take effect". */
function checkAffinity(service: Resource, spec: Service, { findings }: RuleContext): void {
  const { sessionAffinity, localityLbPolicy, protocol } = spec;
  if (CONNECTION_AFFINITIES.has(sessionAffinity) && !CONNECTION_PROTOCOLS.has(protocol)) {
    const message = `Cannot accept sessionAffinity: found ${sessionAffinity} with protocol ${protocol}, expected CLIENT_IP, a cookie or a header; it is for protocols TCP and SSL`;
    findings.error(service, ['sessionAffinity'], message);
    return;
  }
  if (
    CONNECTION_PROTOCOLS.has(protocol) &&
    (sessionAffinity.includes('COOKIE') || sessionAffinity === 'HEADER_FIELD')
  ) {
    const message = `Cannot accept sessionAffinity: found ${sessionAffinity} with protocol ${protocol}, expected NONE or CLIENT_IP: its streams have no headers; change it`;
    findings.error(service, ['sessionAffinity'], message);
  }
  if (HASHED_AFFINITIES.has(sessionAffinity) && localityLbPolicy !== undefined && !isConsistent(localityLbPolicy)) {
    const message = `Cannot accept localityLbPolicy: found ${localityLbPolicy} with sessionAffinity ${sessionAffinity}, which takes effect with MAGLEV and RING_HASH only; write one of them or leave it out`;
    findings.error(service, ['localityLbPolicy'], message);
  }
}

function checkCookies(service: Resource, spec: Service, { findings }: RuleContext): void {
  const { sessionAffinity, affinityCookieTtlSec, strongSessionAffinityCookie: strong, consistentHash } = spec;
  if (affinityCookieTtlSec > 0 && sessionAffinity !== 'GENERATED_COOKIE' && sessionAffinity !== 'HTTP_COOKIE') {
    const found = shownField(service, ['affinityCookieTtlSec']);
    const message = `Cannot accept affinityCookieTtlSec: found ${found} with sessionAffinity ${sessionAffinity}, expected GENERATED_COOKIE or HTTP_COOKIE; remove it`;
    findings.error(service, ['affinityCookieTtlSec'], message);
  }
  if (sessionAffinity === 'STRONG_COOKIE_AFFINITY' && strong?.name === undefined) {
    const message =
      'Cannot accept sessionAffinity: found STRONG_COOKIE_AFFINITY without strongSessionAffinityCookie.name, expected the name of the cookie; add it';
    findings.error(service, ['sessionAffinity'], message);
  }
  if (strong !== undefined && sessionAffinity !== 'STRONG_COOKIE_AFFINITY') {
    const message = `Cannot accept strongSessionAffinityCookie: found sessionAffinity ${sessionAffinity}, expected STRONG_COOKIE_AFFINITY; remove it or change the affinity`;
    findings.error(service, ['strongSessionAffinityCookie'], message);
  }
  if (sessionAffinity === 'HTTP_COOKIE' && consistentHash?.httpCookie?.name === undefined) {
    const message =
      'Cannot accept sessionAffinity: found HTTP_COOKIE without consistentHash.httpCookie.name, expected the name of the cookie; add it';
    findings.error(service, ['sessionAffinity'], message);
  }
}

function checkConsistentHash(service: Resource, spec: Service, { findings }: RuleContext): void {
  const { sessionAffinity, localityLbPolicy, consistentHash } = spec;
  if (sessionAffinity === 'HEADER_FIELD' && consistentHash?.httpHeaderName === undefined) {
    const message =
      'Cannot accept sessionAffinity: found HEADER_FIELD without consistentHash.httpHeaderName, expected the name of the header; add it';
    findings.error(service, ['sessionAffinity'], message);
  }
  if (consistentHash === undefined) return;
  const refuse = (field: 'httpHeaderName' | 'httpCookie', affinity: string) => {
    const message = `Cannot accept consistentHash.${field}: found sessionAffinity ${sessionAffinity}, expected ${affinity}; remove it or change the affinity`;
    findings.error(service, ['consistentHash', field], message);
  };
  if (consistentHash.httpHeaderName !== undefined && sessionAffinity !== 'HEADER_FIELD')
    refuse('httpHeaderName', 'HEADER_FIELD');
  if (consistentHash.httpCookie !== undefined && sessionAffinity !== 'HTTP_COOKIE') refuse('httpCookie', 'HTTP_COOKIE');
  if (consistentHash.minimumRingSize !== undefined && localityLbPolicy !== 'RING_HASH') {
    const message = `consistentHash.minimumRingSize has no effect: found localityLbPolicy ${localityLbPolicy ?? 'unset'}, expected RING_HASH; remove it or change the policy`;
    findings.warning(service, ['consistentHash', 'minimumRingSize'], message);
  }
}

function checkShares(service: Resource, spec: Service, { findings }: RuleContext): void {
  const { backends } = spec;
  if (backends.length > 0 && backends.every(({ capacityScaler }) => capacityScaler === 0)) {
    const message = `Cannot accept backends[0].capacityScaler: found 0 for ${backends.length === 1 ? 'the only backend' : 'every backend'}, expected one that takes requests; raise one`;
    findings.error(service, ['backends', 0, 'capacityScaler'], message);
  }
  const unit = backends[0] === undefined ? 'endpoints' : unitOfShare(backends[0]);
  for (const [index, backend] of backends.entries()) {
    const [target] = targetsOf(backend);
    if (backends.length > 1 && backend.maxUtilization !== undefined) {
      const message = `Cannot accept backends[${index}].maxUtilization: nothing reports utilization to this proxy, so several backends cannot share by it; write maxRate or maxConnections, or remove it`;
      findings.error(service, ['backends', index, 'maxUtilization'], message);
    } else if (unitOfShare(backend) !== unit) {
      const message = `Cannot accept backends[${index}]: its share is measured in ${unitOfShare(backend)} and that of backends[0] in ${unit}, expected one measure for all; write targets of one kind`;
      findings.error(service, ['backends', index], message);
    } else if (target !== undefined) {
      const effect = backends.length > 1 ? 'it sets the share of the backend' : 'with one backend it has no effect';
      const message = `backends[${index}].${target} is a target and no limit: ${effect}, and requests beyond it are not refused; circuitBreakers and sallyport.limits are limits`;
      findings.warning(service, ['backends', index, target], message);
    }
  }
}

function isConsistent(policy: string): boolean {
  return policy === 'MAGLEV' || policy === 'RING_HASH';
}

/** Compute Engine: "cannot be used for HTTP(S) load balancing". */
const CONNECTION_AFFINITIES: ReadonlySet<string> = new Set([
  'CLIENT_IP_NO_DESTINATION',
  'CLIENT_IP_PROTO',
  'CLIENT_IP_PORT_PROTO',
]);
const CONNECTION_PROTOCOLS: ReadonlySet<string> = new Set(['TCP', 'SSL']);
const HASHED_AFFINITIES: ReadonlySet<string> = new Set([
  'CLIENT_IP',
  'CLIENT_IP_NO_DESTINATION',
  'CLIENT_IP_PROTO',
  'CLIENT_IP_PORT_PROTO',
  'HEADER_FIELD',
  'HTTP_COOKIE',
]);
