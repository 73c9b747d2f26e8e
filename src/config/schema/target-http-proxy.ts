import { computeName, integerBetween, onlyNeutral, reference, resource } from './fields.ts';

/** Plain HTTP: no certificate, no policy, no question to clients who they are. */
export const targetHttpProxySchema = resource('targetHttpProxies', {
  name: computeName(),
  urlMap: reference('urlMaps'),
  httpKeepAliveTimeoutSec: integerBetween(5, 1200).default(610), // spec 1.7
  proxyBind: onlyNeutral(false),
});
