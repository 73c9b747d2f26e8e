import { z } from 'zod';
import { pemField, resource, resourceName } from './fields.ts';

const certificate = z.strictObject(pemField('pemCertificate', 'One certificate'));

export const trustConfigSchema = resource('trustConfigs', {
  name: resourceName(/^(?:\S*\/)?[a-z0-9-]{1,63}$/, 'expected 1 to 63 lower-case letters, digits and hyphens'), // spec 3.8
  trustStores: z
    .array(
      z.strictObject({
        trustAnchors: z.array(certificate).default([]).meta({ description: 'Roots.' }),
        intermediateCas: z.array(certificate).default([]).meta({ description: 'Never anchors.' }),
      }),
    )
    .max(1, 'expected at most 1 trust store') // spec 2.4
    .default([]),
  allowlistedCertificates: z
    .array(certificate)
    .max(500, 'expected at most 500 certificates') // spec 2.4
    .default([])
    .meta({ description: 'Leaf certificates that are accepted as they are (exact DER).' }),
  revocation: z
    .strictObject({
      crlFile: z.string().min(1, 'expected a path, relative to this file').meta({
        description: 'CRLs: one in DER, or any number in PEM; the path is relative to this file.',
      }),
      mode: z.enum(['require', 'if-available']).meta({
        description:
          'require: every certificate below the anchor needs a CRL of its issuer. if-available: only where the file has one. An expired CRL refuses in both.',
      }),
    })
    .optional()
    .meta({ description: "Sallyport's own: certificates on a list are refused." }),
});
