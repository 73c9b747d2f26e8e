import { formatDiagnostic } from '../config/diagnostic.ts';
import { checkConfiguration } from '../process/check.ts';

export interface CheckOptions {
  readonly config: string;
  readonly json?: boolean;
  readonly strict?: boolean;
}

/** `sallyport check`: 0 good, 1 errors (with --strict: or warnings). Text for people, --json for machines; both on standard output. */
export async function checkCommand(options: CheckOptions): Promise<number> {
  const { errors, warnings } = await checkConfiguration(options.config, process.env);
  const ok = errors.length === 0 && (options.strict !== true || warnings.length === 0);
  if (options.json === true) {
    process.stdout.write(`${JSON.stringify({ ok, errors, warnings }, null, 2)}\n`);
    return ok ? 0 : 1;
  }
  for (const diagnostic of [...errors, ...warnings]) process.stdout.write(`${formatDiagnostic(diagnostic)}\n`);
  process.stdout.write(`${options.config}: ${count(errors.length, 'error')}, ${count(warnings.length, 'warning')}\n`);
  return ok ? 0 : 1;
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}
