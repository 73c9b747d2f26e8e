import { z } from 'zod';
import { computeName, integerBetween, NO_EFFECT, resource } from './fields.ts';

const endpoint = z.strictObject({
  ipAddress: z.string().optional(),
  fqdn: z.string().optional(),
  port: integerBetween(1, 65_535).optional(),
  instance: z.unknown().optional().meta({ description: NO_EFFECT }),
  annotations: z.unknown().optional().meta({ description: NO_EFFECT }),
});

export const networkEndpointGroupSchema = resource('networkEndpointGroups', {
  name: computeName(),
  networkEndpointType: z.enum(['NON_GCP_PRIVATE_IP_PORT', 'GCE_VM_IP_PORT', 'INTERNET_IP_PORT', 'INTERNET_FQDN_PORT']),
  defaultPort: integerBetween(1, 65_535).optional(),
  endpoints: z.array(endpoint).default([]),
});
