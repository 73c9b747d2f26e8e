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
});
