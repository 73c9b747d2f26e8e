import { z } from 'zod';
import { balancingFields } from './balancing.ts';
import { limitDuration } from './duration.ts';
import { computeName, integerBetween, NO_EFFECT, onlyNeutral, reference, resource } from './fields.ts';

const SCALER = 'expected 0, or a number from 0.1 to 1';

const share = z
  .number('expected a number above 0')
  .positive('expected a number above 0')
  .optional()
  .meta({ description: 'A target, no limit: it sets how several backends share the requests.' });

const backend = z.strictObject({
  description: z.unknown().optional().meta({ description: NO_EFFECT }),
  group: reference('networkEndpointGroups'),
  balancingMode: z.enum(['RATE', 'UTILIZATION', 'CONNECTION']).optional(),
  capacityScaler: z
    .number(SCALER)
    .refine((value) => value === 0 || (value >= 0.1 && value <= 1), SCALER)
    .default(1)
    .meta({
      description: "Multiplies the backend's share; 0: drained, nothing new goes there.",
    }),
  maxRate: share,
  maxRatePerInstance: share,
  maxRatePerEndpoint: share,
  maxConnections: share,
  maxConnectionsPerInstance: share,
  maxConnectionsPerEndpoint: share,
  maxUtilization: z.number().optional().meta({ description: 'Only with a single backend, where it has no effect.' }),
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
  protocol: z.enum(['HTTP', 'HTTPS', 'HTTP2', 'H2C', 'TCP', 'SSL']).default('HTTP'),
  backends: z.array(backend).default([]),
  healthChecks: z.array(reference('healthChecks')).max(1, 'expected at most 1 health check').default([]), // spec 3.5
  timeoutSec: integerBetween(1, 2_147_483_647).default(30), // spec 3.5
  ipAddressSelectionPolicy: z.enum(['IPV4_ONLY', 'PREFER_IPV6', 'IPV6_ONLY']).default('IPV4_ONLY').meta({
    description: 'Which addresses of INTERNET_FQDN_PORT names are used.',
  }),
  maxStreamDuration: limitDuration('From the head of a request to the end of its response or tunnel.').optional(),
  ...balancingFields,
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
