// hot path: the one choice of a certificate, whichever way the proxy has them.
import type { CertificateEntry } from './certificate-entry.ts';
import { CertificateMap, type CertificateMapEntry } from './certificate-map.ts';
import { type CertificateChoice, chooseCertificate } from './choose-certificate.ts';
import { chooseCertificateFromMap } from './choose-certificate-from-map.ts';
import type { ClientHello } from './client-hello.ts';
import type { EffectivePolicy } from './ssl-policy.ts';

/** What a proxy shows to clients: a list, or a certificate map, which wins where both are given (spec 5.2). */
export type ServedCertificates = readonly CertificateEntry[] | CertificateMap;

/** The certificate for this hello, or why there is none. `steps`, if given, is filled with one line for each decision. */
export function chooseServedCertificate(
  hello: ClientHello,
  policy: EffectivePolicy,
  served: ServedCertificates,
  nowMs: number,
  steps: string[] | null = null,
): CertificateChoice {
  return isMap(served)
    ? chooseCertificateFromMap(hello, policy, served, steps)
    : chooseCertificate(hello, policy, served, nowMs, steps);
}

/** Every certificate that may be served. */
export function allCertificates(served: ServedCertificates): readonly CertificateEntry[] {
  return isMap(served) ? served.certificates : served;
}

/** Of a target proxy as it was linked; a map is indexed once. */
export function servedCertificates(proxy: {
  readonly certificates: readonly CertificateEntry[];
  readonly certificateMap: { readonly name: string; readonly entries: readonly CertificateMapEntry[] } | null;
}): ServedCertificates {
  const { certificates, certificateMap } = proxy;
  if (certificateMap === null) return certificates;
  let map = MAPS.get(certificateMap);
  if (map === undefined) {
    map = new CertificateMap(certificateMap.name, certificateMap.entries);
    MAPS.set(certificateMap, map);
  }
  return map;
}

function isMap(served: ServedCertificates): served is CertificateMap {
  return !Array.isArray(served);
}

const MAPS = new WeakMap<object, CertificateMap>();
