import type { LinkedTlsProxy } from '../config/linked.ts';
import type { ClientHello } from '../tls/client-hello.ts';
import { type Prediction, predict } from '../tls/predict.ts';
import { servedCertificates } from '../tls/served-certificates.ts';
import type { EffectivePolicy } from '../tls/ssl-policy.ts';

/** What a handshake with this proxy ends in under `policy`. Proxies of streams answer no ALPN, whatever is offered. */
export function predictFor(
  proxy: LinkedTlsProxy,
  hello: ClientHello,
  policy: EffectivePolicy,
  nowMs: number,
  steps: string[] | null = null,
): Prediction {
  const answered = proxy.kind === 'targetSslProxies' ? { ...hello, alpn: null } : hello;
  return predict(answered, policy, servedCertificates(proxy), nowMs, steps);
}
