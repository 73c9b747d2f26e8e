import { z } from 'zod';
import { certificateManagerName } from './certificate-map.ts';
import { pemField, pkcs12Fields, resource } from './fields.ts';

/** Certificate Manager's certificates: to clients by a certificate map, or with CLIENT_AUTH to backends. */
export const certificateSchema = resource('certificates', {
  name: certificateManagerName(),
  scope: z
    .enum(['DEFAULT', 'ALL_REGIONS', 'CLIENT_AUTH'])
    .default('DEFAULT')
    .meta({ description: 'CLIENT_AUTH: shown to backends; otherwise to clients.' }),
  selfManaged: z.strictObject({
    ...pemField('pemCertificate', 'Certificate chain, leaf first'),
    ...pemField('pemPrivateKey', 'Private key of the leaf'),
    ...pkcs12Fields(),
  }),
});
