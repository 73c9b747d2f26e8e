import { z } from 'zod';
import { reference } from './fields.ts';

const CERTIFICATES_EXPECTED = 'expected 1 to 15 certificates'; // spec 3.2

/** What every target proxy that ends TLS has. */
export const tlsFields = {
  sslCertificates: z
    .array(reference('sslCertificates'))
    .min(1, CERTIFICATES_EXPECTED)
    .max(15, CERTIFICATES_EXPECTED)
    .optional()
    .meta({ description: '1 to 15 certificates; the first is the default.' }),
  certificateMap: reference('certificateMaps')
    .optional()
    .meta({ description: 'Which certificate for which name; sslCertificates are ignored then.' }),
  sslPolicy: reference('sslPolicies').optional(),
  shadowSslPolicies: z
    .array(reference('sslPolicies'))
    .max(4, 'expected at most 4 SSL policies') // each one is another prediction for every hello
    .default([])
    .meta({ description: "Sallyport's own: evaluated on every ClientHello, never enforced." }),
};
