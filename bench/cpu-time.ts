import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

/** User and system time of a process and its living descendants, in seconds. Ended children count in their parent (cutime). */
export function cpuSeconds(pid: number): number {
  const stats = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      const stat = readStat(name);
      return stat === null ? [] : [stat];
    });
  const family = new Set([pid]);
  // Parents mostly have lower ids than their children, but ids wrap around: repeat until nothing is added.
  for (let before = 0; before !== family.size; ) {
    before = family.size;
    for (const stat of stats) if (family.has(stat.parent)) family.add(stat.pid);
  }
  let ticks = 0;
  for (const stat of stats) if (family.has(stat.pid)) ticks += stat.ticks;
  return ticks / TICKS_PER_SECOND;
}

export interface ProcessStat {
  readonly pid: number;
  readonly parent: number;
  /** utime + stime + cutime + cstime (proc_pid_stat(5)). */
  readonly ticks: number;
}

/** The command name (field 2) is in parentheses and may itself hold spaces and parentheses. */
export function parseStat(text: string): ProcessStat {
  const end = text.lastIndexOf(')');
  const fields = text.slice(end + 2).split(' '); // from field 3, state
  const at = (field: number) => Number(fields[field - 3]);
  return { pid: Number.parseInt(text, 10), parent: at(4), ticks: at(14) + at(15) + at(16) + at(17) };
}

function readStat(pid: string): ProcessStat | null {
  try {
    return parseStat(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return null; // it ended meanwhile
  }
}

const TICKS_PER_SECOND = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));
