import type { Spec } from './schema/kinds.ts';

type Backend = Spec<'backendServices'>['backends'][number];

/**
 * What one endpoint of a backend weighs beside those of the others: its part of the backend's target capacity, or 1 without a target, times
 * capacityScaler. Targets are proportions here and never limits, as they are in the original while no backend is full.
 */
export function weightOfEach(backend: Backend, endpoints: number): number {
  const { ofAll, ofEach } = targetOf(backend);
  const capacity = ofEach ?? (ofAll === undefined ? 1 : ofAll / Math.max(1, endpoints));
  return capacity * backend.capacityScaler;
}

/** In what a backend's capacity is measured: two that are measured differently cannot be compared. */
export function unitOfShare(backend: Backend): 'rate' | 'connections' | 'endpoints' {
  if ((backend.maxRate ?? backend.maxRatePerInstance ?? backend.maxRatePerEndpoint) !== undefined) return 'rate';
  const connections = backend.maxConnections ?? backend.maxConnectionsPerInstance ?? backend.maxConnectionsPerEndpoint;
  return connections === undefined ? 'endpoints' : 'connections';
}

/** The names of the targets that are written. */
export function targetsOf(backend: Backend): readonly (typeof TARGETS)[number][] {
  return TARGETS.filter((name) => backend[name] !== undefined);
}

function targetOf(backend: Backend): { readonly ofAll: number | undefined; readonly ofEach: number | undefined } {
  if (unitOfShare(backend) === 'rate')
    return { ofAll: backend.maxRate, ofEach: backend.maxRatePerEndpoint ?? backend.maxRatePerInstance };
  return {
    ofAll: backend.maxConnections,
    ofEach: backend.maxConnectionsPerEndpoint ?? backend.maxConnectionsPerInstance,
  };
}

const TARGETS = [
  'maxRate',
  'maxRatePerInstance',
  'maxRatePerEndpoint',
  'maxConnections',
  'maxConnectionsPerInstance',
  'maxConnectionsPerEndpoint',
  'maxUtilization',
] as const;
