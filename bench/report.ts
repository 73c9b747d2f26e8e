import { ROW_TITLES } from './load.ts';
import type { ProxyName, RowName } from './options.ts';
import { median, quantile, spread } from './statistics.ts';

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

/** CPU microseconds per request (median of the rounds), and in parentheses the ratio to nginx: the median of the rounds' own ratios. */
export function formatTable(results: Results): string {
  const rows = unique(results.cells.map((cell) => cell.row));
  const proxies = unique(results.cells.map((cell) => cell.proxy));
  const lines = [['CPU µs per request', ...proxies]];
  for (const row of rows) {
    const reference = find(results, row, 'nginx');
    lines.push([ROW_TITLES[row], ...proxies.map((proxy) => formatCell(find(results, row, proxy), reference))]);
  }
  const widths = lines[0]!.map((_cell, column) => Math.max(...lines.map((line) => line[column]!.length)));
  return lines
    .map((line) => line.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join('  '))
    .join('\n');
}

/** What sallyport costs in prototypes, row by row (docs/benchmarks.md: the aim is 1), and how far the rounds agree on it. */
export function formatAim(results: Results): readonly string[] {
  return unique(results.cells.map((cell) => cell.row)).flatMap((row) => {
    const ratios = ratiosTo(find(results, row, 'prototype'), find(results, row, 'sallyport'));
    if (ratios.length === 0) return [];
    const [low, middle, high] = [0.25, 0.5, 0.75].map((part) => quantile(ratios, part).toFixed(2));
    return [
      `${ROW_TITLES[row]}: sallyport costs ${middle} of the prototype (half of the rounds between ${low} and ${high})`,
    ];
  });
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

function formatCell(cell: Cell | undefined, reference: Cell | undefined): string {
  if (cell === undefined) return '–';
  if (cell.failure !== null) return 'failed';
  const value = median(cell.cpuMicroseconds);
  const text = value < 100 ? value.toFixed(1) : value.toFixed(0);
  const ratios = ratiosTo(reference, cell);
  return ratios.length === 0 ? text : `${text} (${median(ratios).toFixed(2)})`;
}

/** Round by round: a host that slows down for a while slows both. Empty where one of them has no figures. */
function ratiosTo(reference: Cell | undefined, cell: Cell | undefined): readonly number[] {
  if (reference === undefined || reference.failure !== null || cell === undefined) return [];
  return cell.cpuMicroseconds.map((value, round) => value / reference.cpuMicroseconds[round]!);
}

function find(results: Results, row: RowName, proxy: ProxyName): Cell | undefined {
  return results.cells.find((cell) => cell.row === row && cell.proxy === proxy);
}

function unique<T>(values: readonly T[]): readonly T[] {
  return [...new Set(values)];
}
