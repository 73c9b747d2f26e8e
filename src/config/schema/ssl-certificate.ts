import { z } from 'zod';
import { computeName, pemField, pkcs12Fields, resource } from './fields.ts';

export const sslCertificateSchema = resource('sslCertificates', {
  name: computeName(),
  type: z.enum(['SELF_MANAGED', 'TYPE_UNSPECIFIED']).optional(),
  selfManaged: z
    .strictObject({
      ...pemField('certificate', 'Certificate chain, leaf first'),
      ...pemField('privateKey', 'Private key of the leaf'),
      ...pkcs12Fields(),
    })
    .optional(),
  // The legacy form of the same.
  ...pemField('certificate', 'Certificate chain, leaf first'),
  ...pemField('privateKey', 'Private key of the leaf'),
});
