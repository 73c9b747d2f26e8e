import type { LinkedAffinity, LinkedBalancing, LinkedCircuitBreakers, LinkedOutlierDetection } from './linked.ts';
import { durationMs } from './schema/duration.ts';
import type { Spec } from './schema/kinds.ts';

type Service = Spec<'backendServices'>;

/** Defaults filled in: MAGLEV where the affinity goes by a hash, as in the original, else ROUND_ROBIN. */
export function linkBalancing(spec: Service): LinkedBalancing {
  const affinity = linkAffinity(spec);
  const isHashed = affinity !== null && affinity.by !== 'GENERATED_COOKIE' && affinity.by !== 'STRONG_COOKIE_AFFINITY';
  return {
    policy: spec.localityLbPolicy ?? (isHashed ? 'MAGLEV' : 'ROUND_ROBIN'),
    minimumRingSize: spec.consistentHash?.minimumRingSize ?? MINIMUM_RING_SIZE,
    affinity,
    panicThresholdPercent: spec.panicThresholdPercent,
    drainingTimeoutSec: spec.connectionDraining?.drainingTimeoutSec ?? null,
  };
}

export function linkOutlierDetection({ outlierDetection }: Service): LinkedOutlierDetection | null {
  if (outlierDetection === undefined) return null;
  const { baseEjectionTime, interval, ...rest } = outlierDetection;
  return { ...rest, baseEjectionTimeMs: durationMs(baseEjectionTime), intervalMs: durationMs(interval) };
}

export function linkCircuitBreakers({ circuitBreakers }: Service): LinkedCircuitBreakers | null {
  if (circuitBreakers === undefined) return null;
  return { ...circuitBreakers, maxRequestsPerConnection: circuitBreakers.maxRequestsPerConnection ?? null };
}

function linkAffinity(spec: Service): LinkedAffinity | null {
  const { sessionAffinity: by, affinityCookieTtlSec, consistentHash, strongSessionAffinityCookie: strong } = spec;
  switch (by) {
    case 'NONE':
      return null;
    case 'HEADER_FIELD':
      return { by, header: consistentHash?.httpHeaderName?.toLowerCase() ?? '' };
    case 'GENERATED_COOKIE':
      return { by, cookie: { name: GENERATED_COOKIE, path: '/', ttlSec: affinityCookieTtlSec } };
    case 'HTTP_COOKIE': {
      const { name = '', path = '/', ttl } = consistentHash?.httpCookie ?? {};
      return { by, cookie: { name, path, ttlSec: ttl === undefined ? affinityCookieTtlSec : wholeSeconds(ttl) } };
    }
    case 'STRONG_COOKIE_AFFINITY': {
      const { name = '', path = '/', ttl } = strong ?? {};
      return { by, cookie: { name, path, ttlSec: ttl === undefined ? 0 : wholeSeconds(ttl) } };
    }
    default:
      return { by };
  }
}

/** Max-Age has no fractions; a short life is not none. */
function wholeSeconds(ttl: Parameters<typeof durationMs>[0]): number {
  return Math.ceil(durationMs(ttl) / 1000);
}

const GENERATED_COOKIE = 'GCLB'; // as the original's external load balancers call it
const MINIMUM_RING_SIZE = 1024; // spec 3.5
