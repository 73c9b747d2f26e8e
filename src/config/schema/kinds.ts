import { z } from 'zod';
import { backendAuthenticationConfigSchema } from './backend-authentication-config.ts';
import { backendServiceSchema } from './backend-service.ts';
import { certificateSchema } from './certificate.ts';
import { certificateMapEntrySchema, certificateMapSchema } from './certificate-map.ts';
import { forwardingRuleSchema } from './forwarding-rule.ts';
import { healthCheckSchema } from './health-check.ts';
import { networkEndpointGroupSchema } from './network-endpoint-group.ts';
import { sallyportSchema } from './sallyport.ts';
import { serverTlsPolicySchema } from './server-tls-policy.ts';
import { sslCertificateSchema } from './ssl-certificate.ts';
import { sslPolicySchema } from './ssl-policy.ts';
import { targetHttpProxySchema } from './target-http-proxy.ts';
import { targetHttpsProxySchema } from './target-https-proxy.ts';
import { targetSslProxySchema } from './target-ssl-proxy.ts';
import { targetTcpProxySchema } from './target-tcp-proxy.ts';
import { trustConfigSchema } from './trust-config.ts';
import { urlMapSchema } from './url-map.ts';

/** Every kind of resource, in the order of a request's way. */
export const SCHEMAS = {
  forwardingRules: forwardingRuleSchema,
  targetHttpsProxies: targetHttpsProxySchema,
  targetHttpProxies: targetHttpProxySchema,
  targetSslProxies: targetSslProxySchema,
  targetTcpProxies: targetTcpProxySchema,
  sslPolicies: sslPolicySchema,
  sslCertificates: sslCertificateSchema,
  serverTlsPolicies: serverTlsPolicySchema,
  urlMaps: urlMapSchema,
  backendServices: backendServiceSchema,
  networkEndpointGroups: networkEndpointGroupSchema,
  healthChecks: healthCheckSchema,
  backendAuthenticationConfigs: backendAuthenticationConfigSchema,
  trustConfigs: trustConfigSchema,
  certificates: certificateSchema,
  certificateMaps: certificateMapSchema,
  certificateMapEntries: certificateMapEntrySchema,
} as const;

export type Kind = keyof typeof SCHEMAS;

/** What a forwarding rule may lead to. */
export const TARGET_KINDS = [
  'targetHttpsProxies',
  'targetHttpProxies',
  'targetSslProxies',
  'targetTcpProxies',
] as const satisfies readonly Kind[];
export type TargetKind = (typeof TARGET_KINDS)[number];

/** Those that end TLS. */
export const TLS_TARGET_KINDS = ['targetHttpsProxies', 'targetSslProxies'] as const satisfies readonly TargetKind[];
export type TlsTargetKind = (typeof TLS_TARGET_KINDS)[number];

/** A resource of one kind after its shape was checked: defaults filled in, nothing resolved. */
export type Spec<K extends Kind> = z.output<(typeof SCHEMAS)[K]>;
export type SallyportSpec = z.output<typeof sallyportSchema>;

export const KINDS = Object.keys(SCHEMAS) as readonly Kind[];

export const sallyportSettingsSchema = sallyportSchema;

/** The whole file. Only its JSON Schema is used: loading checks each resource by itself, so that all problems show at once. */
export const configurationSchema = z.strictObject({
  $schema: z.string().optional(),
  ...(Object.fromEntries(KINDS.map((kind) => [kind, z.array(SCHEMAS[kind]).optional()])) as z.core.$ZodLooseShape),
  sallyport: sallyportSchema.optional(),
});

export function isKind(word: string): word is Kind {
  return Object.hasOwn(SCHEMAS, word);
}
