import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';

export interface CoreFacts {
  /** What the scheduler allows: host cores, less those outside the affinity mask. */
  readonly parallelism: number;
  /** The text of a file, or null. */
  readonly read: (path: string) => string | null;
}

/**
 * How many cores this process may use: `workers: auto`. A container with a CPU limit sees every core of its host; more processes than
 * the limit has cores only take turns being throttled. Rounded down, at least 1.
 */
export function usableCores({ parallelism, read }: CoreFacts = SYSTEM): number {
  let cores = parallelism;
  for (const line of (read('/proc/self/cgroup') ?? '').split('\n')) {
    const [hierarchy, controllers, path] = line.split(':');
    if (path === undefined) continue;
    if (hierarchy === '0') cores = Math.min(cores, ...ancestors(path).map((folder) => quotaV2(folder, read)));
    else if (controllers?.split(',').includes('cpu'))
      cores = Math.min(cores, ...ancestors(path).map((folder) => quotaV1(folder, read)));
  }
  return Math.max(1, Math.floor(cores));
}

/** Limits hold for everything below. Inside a container the host's path is often not there, and the root is the container's. */
function ancestors(path: string): readonly string[] {
  const folders = [''];
  for (const part of path.split('/')) if (part !== '' && part !== '..') folders.push(`${folders.at(-1)}/${part}`);
  return folders;
}

/** cgroup v2, cpu.max: `max 100000` or `150000 100000` (quota and period, µs). */
function quotaV2(folder: string, read: CoreFacts['read']): number {
  const [quota, period] = (read(`/sys/fs/cgroup${folder}/cpu.max`) ?? '').trim().split(' ');
  return ratio(quota, period);
}

/** cgroup v1: -1 is no limit. */
function quotaV1(folder: string, read: CoreFacts['read']): number {
  const at = `/sys/fs/cgroup/cpu${folder}/cpu.cfs_`;
  return ratio(read(`${at}quota_us`)?.trim(), read(`${at}period_us`)?.trim());
}

function ratio(quota: string | undefined, period: string | undefined): number {
  const cores = Number(quota) / Number(period);
  return cores > 0 ? cores : Infinity; // NaN: no such file, or `max`
}

/**
 * `workers: auto`: one per usable core, and no more than fit into the memory limit: a container on a host of 64 cores with 512 MiB and no
 * CPU limit would be killed by the processes that were to use them. `memoryLimitBytes`: 0 or beyond what is there, no limit.
 */
export function autoWorkers(cores: number, memoryLimitBytes: number): number {
  const fitting = memoryLimitBytes > 0 ? Math.floor(memoryLimitBytes / BYTES_PER_WORKER) : cores;
  return Math.max(1, Math.min(cores, fitting));
}

const BYTES_PER_WORKER = 256 * 1024 * 1024; // 140 MiB at start (docs/operations.md), and room for connections
const SYSTEM: CoreFacts = {
  parallelism: availableParallelism(),
  read(path) {
    try {
      return readFileSync(path, 'latin1');
    } catch {
      return null; // no cgroups of that version, or no Linux
    }
  },
};
