import { z } from 'zod';
import { reference, resource, resourceName } from './fields.ts';

export const backendAuthenticationConfigSchema = resource('backendAuthenticationConfigs', {
  name: resourceName(
    /^(?:\S*\/)?[a-zA-Z_-][a-zA-Z0-9_-]{0,62}$/, // spec 3.9
    'expected 1 to 63 letters, digits, hyphens and underscores that do not begin with a digit',
  ),
  trustConfig: reference('trustConfigs').optional(),
  wellKnownRoots: z.enum(['NONE', 'PUBLIC_ROOTS', 'WELL_KNOWN_ROOTS_UNSPECIFIED']).default('NONE'),
  clientCertificate: reference('certificates').optional(),
  enforcement: z.enum(['ENFORCE', 'REPORT_ONLY']).default('ENFORCE').meta({
    description:
      "Sallyport's own. REPORT_ONLY: backends that would be refused are logged, counted and used all the same.",
  }),
});
