import { z } from 'zod';
import { FEATURES } from '../../tls/profiles.ts';
import { computeName, resource } from './fields.ts';

/** The only legal values of `customFeatures`, in the order of spec 1.1. */
const FEATURE_NAMES = FEATURES.map(({ suite }) => suite.name);

export const sslPolicySchema = resource('sslPolicies', {
  name: computeName(),
  profile: z.enum(['COMPATIBLE', 'MODERN', 'RESTRICTED', 'CUSTOM', 'FIPS_202205']).default('COMPATIBLE'),
  minTlsVersion: z.enum(['TLS_1_0', 'TLS_1_1', 'TLS_1_2', 'TLS_1_3']).default('TLS_1_0'),
  customFeatures: z.array(z.enum(FEATURE_NAMES)).default([]),
  postQuantumKeyExchange: z.enum(['DEFAULT', 'ENABLED', 'DEFERRED']).default('DEFAULT'),
});
