import type { LinkedConfiguration } from '../../config/linked.ts';

/**
 * `sallyport.limits` are meant for the whole proxy, so each worker gets its part, rounded up: together they exceed a limit by less than
 * the number of workers. What counts within a connection stays.
 */
export function shareLimits(configuration: LinkedConfiguration, workers: number): LinkedConfiguration {
  const { settings } = configuration;
  const part = (limit: number) => Math.ceil(limit / workers);
  const limits = {
    ...settings.limits,
    connections: part(settings.limits.connections),
    connectionsPerAddress: part(settings.limits.connectionsPerAddress),
    unfinishedHandshakes: part(settings.limits.unfinishedHandshakes),
  };
  return { ...configuration, settings: { ...settings, limits } };
}
