import { z } from 'zod';
import { computeName, reference, resource } from './fields.ts';
import { tlsFields } from './tls-fields.ts';

/** Spec 3.3. PROXY_V2 is Sallyport's own. */
export const proxyHeaderField = z
  .enum(['NONE', 'PROXY_V1', 'PROXY_V2'])
  .default('NONE')
  .meta({ description: "What a backend is told of the client before the first byte; PROXY_V2 is Sallyport's own." });

/** Ends TLS and carries the bytes. */
export const targetSslProxySchema = resource('targetSslProxies', {
  name: computeName(),
  service: reference('backendServices'),
  ...tlsFields,
  proxyHeader: proxyHeaderField,
});
