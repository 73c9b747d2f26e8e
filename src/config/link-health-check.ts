import { digestOf } from '../base/digest.ts';
import type { HealthCheckType, LinkedHealthCheck } from './linked.ts';
import type { Resource } from './resource.ts';
import type { Spec } from './schema/kinds.ts';

/** The field that holds what is particular to a type. */
export const SETTINGS_OF = {
  TCP: 'tcpHealthCheck',
  SSL: 'sslHealthCheck',
  HTTP: 'httpHealthCheck',
  HTTPS: 'httpsHealthCheck',
  HTTP2: 'http2HealthCheck',
  GRPC: 'grpcHealthCheck',
  GRPC_WITH_TLS: 'grpcHealthCheck',
} as const satisfies Record<HealthCheckType, keyof Spec<'healthChecks'>>;

export function linkHealthCheck(resource: Resource<'healthChecks'> | null): LinkedHealthCheck | null {
  const spec = resource?.spec ?? null;
  if (resource === null || spec === null) return null;
  const settings = spec[SETTINGS_OF[spec.type]] ?? {};
  const contents = {
    name: resource.name ?? '',
    type: spec.type,
    checkIntervalSec: spec.checkIntervalSec,
    timeoutSec: spec.timeoutSec,
    healthyThreshold: spec.healthyThreshold,
    unhealthyThreshold: spec.unhealthyThreshold,
    port: settings.port ?? null,
    tlsAuthentication: spec.tlsAuthentication,
    host: ('host' in settings ? settings.host : undefined) ?? '',
    requestPath: ('requestPath' in settings ? settings.requestPath : undefined) ?? '/',
    request: ('request' in settings ? settings.request : undefined) ?? '',
    response: ('response' in settings ? settings.response : undefined) ?? '',
    grpcServiceName: ('grpcServiceName' in settings ? settings.grpcServiceName : undefined) ?? '',
  };
  return { ...contents, digest: digestOf(contents) };
}
