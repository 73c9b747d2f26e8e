import { z } from 'zod';
import { limitDuration } from './duration.ts';
import { computeName, integerBetween, NO_EFFECT, onlyNeutral, reference, resource } from './fields.ts';

const share = z.number().optional().meta({ description: 'Only with a single backend, where it has no effect.' });

const backend = z.strictObject({
  description: z.unknown().optional().meta({ description: NO_EFFECT }),
  group: reference('networkEndpointGroups'),
  balancingMode: z.enum(['RATE', 'UTILIZATION', 'CONNECTION']).optional(),
  capacityScaler: onlyNeutral(1),
  maxRate: share,
  maxRatePerInstance: share,
  maxRatePerEndpoint: share,
  maxConnections: share,
  maxConnectionsPerInstance: share,
  maxConnectionsPerEndpoint: share,
  maxUtilization: share,
});

const subjectAltName = z.strictObject({
  dnsName: z.string().optional(),
  uniformResourceIdentifier: z.string().optional(),
});

function customHeaders(to: 'requests' | 'responses') {
  return z
    .array(z.string('expected a text such as "X-Client-SNI:{tls_sni_hostname}"'))
    .max(16, 'expected at most 16 headers') // spec 4.1
    .default([])
    .meta({ description: `Added to ${to}, "name:value" each; {variables} in the value are replaced.` });
}

export const backendServiceSchema = resource('backendServices', {
  name: computeName(),
  protocol: z.enum(['HTTP', 'HTTPS', 'HTTP2', 'H2C']).default('HTTP'),
  backends: z.array(backend).default([]),
  healthChecks: z.array(reference('healthChecks')).max(1, 'expected at most 1 health check').default([]), // spec 3.5
  timeoutSec: integerBetween(1, 2_147_483_647).default(30), // spec 3.5
  ipAddressSelectionPolicy: z.enum(['IPV4_ONLY', 'PREFER_IPV6', 'IPV6_ONLY']).default('IPV4_ONLY').meta({
    description: 'Which addresses of INTERNET_FQDN_PORT names are used.',
  }),
  maxStreamDuration: limitDuration('From the head of a request to the end of its response or tunnel.').optional(),
  localityLbPolicy: onlyNeutral('ROUND_ROBIN'),
  sessionAffinity: onlyNeutral('NONE'),
  affinityCookieTtlSec: onlyNeutral(0),
  compressionMode: onlyNeutral('DISABLED'),
  enableCDN: onlyNeutral(false),
  customRequestHeaders: customHeaders('requests'),
  customResponseHeaders: customHeaders('responses'),
  iap: z.strictObject({ enabled: onlyNeutral(false) }).optional(),
  tlsSettings: z
    .strictObject({
      sni: z.string().optional().meta({ description: 'Sent as SNI; without subjectAltNames the name to verify too.' }),
      subjectAltNames: z
        .array(subjectAltName)
        .max(5, 'expected at most 5 names') // spec 2.4
        .default([])
        .meta({ description: 'Names of which the backend certificate must have one.' }),
      authenticationConfig: reference('backendAuthenticationConfigs').optional(),
    })
    .optional(),
});
