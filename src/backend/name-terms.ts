import type { LinkedConfiguration } from '../config/linked.ts';
import type { NameTerms } from './name-resolver.ts';

/** How names are looked up under a configuration, and where they must not lead. */
export function nameTerms({ settings, listeners }: Pick<LinkedConfiguration, 'settings' | 'listeners'>): NameTerms {
  const { servers, timeoutSec, minTtlSec, maxTtlSec, dangerAllowPrivateNames } = settings.dns;
  return {
    servers,
    timeoutMs: timeoutSec * 1000,
    minTtlMs: minTtlSec * 1000,
    maxTtlMs: maxTtlSec * 1000,
    allowedNames: dangerAllowPrivateNames,
    ownDoors: [settings.admin, ...listeners].map(({ address, port }) => ({ address, port })),
  };
}
