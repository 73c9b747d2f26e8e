import { z } from 'zod';
import { reference, resource, resourceName } from './fields.ts';

const CERTIFICATES_EXPECTED = 'expected 1 to 4 certificates'; // spec 5.2

/** Names of Certificate Manager's resources; exports write them as a full path. */
export function certificateManagerName() {
  return resourceName(
    /^(?:\S*\/)?[a-zA-Z][a-zA-Z0-9_-]{0,63}$/,
    'expected 1 to 64 letters, digits, hyphens and underscores that begin with a letter',
  );
}

export const certificateMapSchema = resource('certificateMaps', { name: certificateManagerName() });

export const certificateMapEntrySchema = resource('certificateMapEntries', {
  name: certificateManagerName(),
  map: reference('certificateMaps')
    .optional()
    .meta({ description: 'Its map; may be left out where the name is a full path, as in exports.' }),
  hostname: z
    .string('expected a host name or *. and one')
    .optional()
    .meta({ description: 'The host name that it is for, or *.example.com for the names one label below.' }),
  matcher: z.literal('PRIMARY').optional().meta({ description: 'Serves without SNI, or when no entry fits it.' }),
  certificates: z
    .array(reference('certificates'))
    .min(1, CERTIFICATES_EXPECTED)
    .max(4, CERTIFICATES_EXPECTED)
    .meta({ description: '1 to 4 certificates: ECDSA where the client can, then the smaller one.' }),
});
