import type { Accounts, Logged } from './accounts.ts';
import type { Ledger } from './ledger.ts';
import type { SoakOptions } from './options.ts';
import type { Growth, Vitals } from './vitals.ts';

export interface SoakReport {
  readonly options: SoakOptions;
  readonly startedAt: string;
  readonly seconds: number;
  readonly ledger: Ledger;
  readonly logged: Logged;
  readonly accounts: Accounts;
  readonly vitals: readonly Vitals[];
  /** Before any traffic, and when all of it had ended. */
  readonly idle: { readonly before: Vitals; readonly after: Vitals };
  /** null: the run was too short to judge. */
  readonly growth: readonly Growth[] | null;
  readonly reloads: { readonly taken: number; readonly refused: number };
  readonly restarts: number;
  readonly cpuSeconds: number;
  /** Everything that must not be; empty: the run passed. */
  readonly mistakes: readonly string[];
}

export function formatReport(report: SoakReport): string {
  const { options, ledger, accounts, logged, reloads, idle } = report;
  const { seconds, cpuSeconds } = report;
  const lines = [
    `Soak of ${(seconds / 60).toFixed(1)} minutes, ${options.workers} worker(s), ${options.users} users, seed ${options.seed}, begun ${report.startedAt}`,
    '',
    `requests begun          ${accounts.begun} (${(accounts.begun / seconds).toFixed(1)} a second)`,
    `lines about them        ${accounts.logged - logged.refused}; ${accounts.unknowable} of them left before anybody could know`,
    `refused heads           ${ledger.refused} answered, ${logged.refused} logged`,
    `streams                 ${ledger.streams.carried} carried, ${logged.connections} logged`,
    `handshakes that failed  ${logged.handshakeFailures}`,
    `reloads                 ${reloads.taken} taken, ${reloads.refused} refused`,
    `backend restarts        ${report.restarts}`,
    `processor               ${((cpuSeconds / seconds) * 100).toFixed(0)} % of a core`,
    `idle, before and after  ${idleText(idle.before)}; ${idleText(idle.after)}`,
    '',
    ...table(
      ['', 'first quarter', 'last quarter', 'bound', ''],
      (report.growth ?? []).map(({ what, first, last, bound, holds }) => [
        what,
        first.toFixed(1),
        last.toFixed(1),
        bound.toFixed(1),
        holds ? '' : 'grows',
      ]),
    ),
    ...(report.growth === null ? ['growth: not judged, the run was too short'] : []),
    '',
    ...table(
      ['operation', 'times'],
      [...ledger.operations].map(([name, times]) => [name, String(times)]),
    ),
    '',
    ...table(
      ['target proxy, statusDetails', 'lines'],
      [...logged.words].toSorted((a, b) => b[1] - a[1]).map(([word, count]) => [word, String(count)]),
    ),
    '',
  ];
  if (report.mistakes.length === 0) lines.push('passed');
  else
    lines.push(
      `FAILED: ${report.mistakes.length} mistakes`,
      ...report.mistakes.slice(0, MAX_SHOWN).map((text) => `  ${text}`),
    );
  return lines.join('\n');
}

function idleText({ rssMiB, heapMiB, descriptors, handles }: Vitals): string {
  return `${rssMiB.toFixed(0)} MiB (heap ${heapMiB.toFixed(0)}), ${descriptors} descriptors, ${handles} handles`;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): readonly string[] {
  if (rows.length === 0) return [];
  const all = [head, ...rows];
  const widths = head.map((_cell, column) => Math.max(...all.map((row) => row[column]!.length)));
  return all.map((row) =>
    row
      .map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)))
      .join('  ')
      .trimEnd(),
  );
}

const MAX_SHOWN = 60;
