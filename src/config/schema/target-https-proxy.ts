import { z } from 'zod';
import { computeName, integerBetween, onlyNeutral, reference, resource } from './fields.ts';
import { tlsFields } from './tls-fields.ts';

export const targetHttpsProxySchema = resource('targetHttpsProxies', {
  name: computeName(),
  urlMap: reference('urlMaps'),
  ...tlsFields,
  serverTlsPolicy: reference('serverTlsPolicies').optional(),
  httpKeepAliveTimeoutSec: integerBetween(5, 1200).default(610), // spec 1.7
  quicOverride: z.enum(['NONE', 'DISABLE']).optional(),
  tlsEarlyData: z.literal('DISABLED').optional(),
  proxyBind: onlyNeutral(false),
});
