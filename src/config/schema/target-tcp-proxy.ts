import { computeName, onlyNeutral, reference, resource } from './fields.ts';
import { proxyHeaderField } from './target-ssl-proxy.ts';

/** Carries the bytes as they come. */
export const targetTcpProxySchema = resource('targetTcpProxies', {
  name: computeName(),
  service: reference('backendServices'),
  proxyHeader: proxyHeaderField,
  proxyBind: onlyNeutral(false),
});
