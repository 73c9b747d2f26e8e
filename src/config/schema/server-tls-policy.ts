import { z } from 'zod';
import { onlyNeutral, reference, resource, resourceName } from './fields.ts';

const MODES = ['REJECT_INVALID', 'ALLOW_INVALID_OR_MISSING_CLIENT_CERT'] as const;

/** Spec 3.9. What Google has for its service mesh only (serverCertificate, clientValidationCa) is refused in google-fields.ts. */
export const serverTlsPolicySchema = resource('serverTlsPolicies', {
  name: resourceName(
    /^(?:\S*\/)?[a-zA-Z_-][a-zA-Z0-9_-]{0,62}$/,
    'expected 1 to 63 letters, digits, hyphens and underscores that do not begin with a digit',
  ),
  allowOpen: onlyNeutral(false),
  mtlsPolicy: z
    .strictObject({
      clientValidationMode: z.enum(MODES).meta({
        description:
          'REJECT_INVALID: no connection without a verified certificate. ALLOW_INVALID_OR_MISSING_CLIENT_CERT: any connection; backends learn the result from customRequestHeaders.',
      }),
      clientValidationTrustConfig: reference('trustConfigs').optional(),
    })
    .meta({ description: 'How clients authenticate.' }),
});
