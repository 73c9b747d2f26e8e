import { ROW_TITLES } from './load.ts';
import type { ProxyName, RowName } from './options.ts';
import { median, spread } from './statistics.ts';

/** Everything that was measured, as bench/results/*.json keeps it. */
export interface Results {
  readonly startedAt: string;
  readonly machine: { readonly cpu: string; readonly cores: number; readonly kernel: string };
  readonly loadAverage: { readonly before: readonly number[]; readonly after: readonly number[] };
  readonly versions: Readonly<Record<string, string>>;
  readonly observes: Readonly<Record<string, string>>;
  readonly rounds: number;
  readonly secondsPerRound: number;
  readonly cells: readonly Cell[];
}

export interface Cell {
  readonly row: RowName;
  readonly proxy: ProxyName;
  /** CPU microseconds per request, one per round; empty when it failed. */
  readonly cpuMicroseconds: readonly number[];
  readonly requestsPerSecond: readonly number[];
  /** Why there are no numbers, or null. */
  readonly failure: string | null;
}

/** CPU microseconds per request (median of the rounds), and in parentheses the ratio to nginx of the same row. */
export function formatTable(results: Results): string {
  const rows = unique(results.cells.map((cell) => cell.row));
  const proxies = unique(results.cells.map((cell) => cell.proxy));
  const lines = [['CPU µs per request', ...proxies]];
  for (const row of rows) {
    const reference = microseconds(results, row, 'nginx');
    lines.push([ROW_TITLES[row], ...proxies.map((proxy) => formatCell(find(results, row, proxy), reference))]);
  }
  const widths = lines[0]!.map((_cell, column) => Math.max(...lines.map((line) => line[column]!.length)));
  return lines
    .map((line) => line.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join('  '))
    .join('\n');
}

/** Cells whose rounds are further apart than a tenth: the machine was busy, or the rounds too short. */
export function formatDoubts(results: Results): readonly string[] {
  return results.cells
    .filter((cell) => cell.cpuMicroseconds.length > 1 && spread(cell.cpuMicroseconds) > 0.1)
    .map((cell) => {
      const values = cell.cpuMicroseconds.map((value) => value.toFixed(1)).join(' ');
      return `${ROW_TITLES[cell.row]}, ${cell.proxy}: rounds differ by ${(spread(cell.cpuMicroseconds) * 100).toFixed(0)} % (${values})`;
    });
}

function formatCell(cell: Cell | undefined, reference: number | null): string {
  if (cell === undefined) return '–';
  if (cell.failure !== null) return 'failed';
  const value = median(cell.cpuMicroseconds);
  const text = value < 100 ? value.toFixed(1) : value.toFixed(0);
  return reference === null ? text : `${text} (${(value / reference).toFixed(2)})`;
}

function microseconds(results: Results, row: RowName, proxy: ProxyName): number | null {
  const cell = find(results, row, proxy);
  return cell === undefined || cell.failure !== null ? null : median(cell.cpuMicroseconds);
}

function find(results: Results, row: RowName, proxy: ProxyName): Cell | undefined {
  return results.cells.find((cell) => cell.row === row && cell.proxy === proxy);
}

function unique<T>(values: readonly T[]): readonly T[] {
  return [...new Set(values)];
}
