/** Rows as text, columns two spaces apart, each as wide as its widest cell; the last is not padded. */
export function table(rows: readonly (readonly string[])[], indent = '  '): string {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [column, cell] of row.entries()) widths[column] = Math.max(widths[column] ?? 0, cell.length);
  }
  const lines = rows.map((row) => {
    return (
      indent + row.map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column]!))).join('  ')
    );
  });
  return lines.map((line) => `${line.trimEnd()}\n`).join('');
}

/** '2027-11-21 12:00:00Z', and how far that is from now. */
export function instant(ms: number, nowMs: number): string {
  if (!Number.isFinite(ms)) return 'never';
  const text = `${new Date(ms).toISOString().slice(0, 19).replace('T', ' ')}Z`;
  const days = Math.trunc((ms - nowMs) / DAY_MS);
  if (days === 0) return `${text} (${ms >= nowMs ? 'within a day' : 'less than a day ago'})`;
  const count = `${Math.abs(days)} day${Math.abs(days) === 1 ? '' : 's'}`;
  return days > 0 ? `${text} (in ${count})` : `${text} (${count} ago)`;
}

/** '1 client', '2 clients'. */
export function counted(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}

const DAY_MS = 86_400_000;
