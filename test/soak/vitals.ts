import { readdirSync, readFileSync } from 'node:fs';
import { sumOfSamples } from '../harness/scenario.ts';

/** The proxy at one moment, its workers included. */
export interface Vitals {
  readonly atSeconds: number;
  readonly rssMiB: number;
  readonly heapMiB: number;
  /** /proc/PID/fd */
  readonly descriptors: number;
  /** nodejs_active_resources: timers, sockets, requests under way. */
  readonly handles: number;
}

/** How the second half of a run compares with the first, after a fifth of it for warm-up. */
export interface Growth {
  readonly what: string;
  readonly first: number;
  readonly last: number;
  readonly bound: number;
  readonly holds: boolean;
}

export async function vitalsOf(pid: number, adminPort: number, atSeconds: number): Promise<Vitals> {
  const metrics = await (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text();
  const pids = familyOf(pid);
  return {
    atSeconds,
    rssMiB: pids.reduce((sum, one) => sum + residentKiB(one), 0) / 1024,
    heapMiB: sumOfSamples(metrics, 'nodejs_heap_size_used_bytes', {}) / 1024 / 1024,
    descriptors: pids.reduce((sum, one) => sum + descriptorsOf(one), 0),
    handles: sumOfSamples(metrics, 'nodejs_active_resources', {}),
  };
}

/**
 * The same load runs all the time, so what is held at its end is what was held at its beginning. Heap by the lowest of each part
 * (after a collection); the others by the median. Bounds leave room for what V8 keeps at its discretion.
 */
export function growthOf(vitals: readonly Vitals[]): readonly Growth[] {
  const settled = vitals.slice(Math.floor(vitals.length / 5));
  const quarter = Math.max(1, Math.floor(settled.length / 4));
  const [first, last] = [settled.slice(0, quarter), settled.slice(-quarter)];
  const row = (what: string, of: (parts: readonly Vitals[]) => number, factor: number, slack: number): Growth => {
    const [before, after] = [of(first), of(last)];
    const bound = before * factor + slack;
    return { what, first: before, last: after, bound, holds: after <= bound };
  };
  return [
    row('resident MiB', (part) => median(part.map(({ rssMiB }) => rssMiB)), 1.15, 16),
    row('heap MiB, lowest', (part) => Math.min(...part.map(({ heapMiB }) => heapMiB)), 1.15, 8),
    row('descriptors', (part) => median(part.map(({ descriptors }) => descriptors)), 1.2, 20),
    row('active handles', (part) => median(part.map(({ handles }) => handles)), 1.2, 20),
  ];
}

/** The process and those that it started. */
export function familyOf(pid: number): readonly number[] {
  const children = readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
    readFileSync(`/proc/${pid}/task/${thread}/children`, 'latin1').split(' ').filter(Boolean).map(Number),
  );
  return [pid, ...children];
}

function residentKiB(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? 0);
}

function descriptorsOf(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;
}
