import { z } from 'zod';
import { pemField, resource, resourceName } from './fields.ts';

/** Certificate Manager's certificates; of its scopes only CLIENT_AUTH, which backend mTLS uses. */
export const certificateSchema = resource('certificates', {
  name: resourceName(
    /^(?:\S*\/)?[a-zA-Z][a-zA-Z0-9_-]{0,63}$/,
    'expected 1 to 64 letters, digits, hyphens and underscores that begin with a letter',
  ),
  scope: z.literal('CLIENT_AUTH'),
  selfManaged: z.strictObject({
    ...pemField('pemCertificate', 'Certificate chain, leaf first'),
    ...pemField('pemPrivateKey', 'Private key of the leaf'),
  }),
});
