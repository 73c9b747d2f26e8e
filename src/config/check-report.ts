import { type Diagnostic, formatDiagnostic } from './diagnostic.ts';
import type { Loaded, NotLoaded } from './load.ts';

export interface CheckReport {
  /** For standard output; ends with a newline. */
  readonly text: string;
  /** 0 good, 1 errors (or, if strict, warnings). */
  readonly exitCode: 0 | 1;
}

/** What `sallyport check` prints: one line a diagnostic and a summary, or one JSON document. */
export function formatCheckReport(
  outcome: Loaded | NotLoaded,
  options: { readonly path: string; readonly format: 'text' | 'json'; readonly warnings: 'allowed' | 'refused' },
): CheckReport {
  const errors: readonly Diagnostic[] = outcome.ok ? [] : outcome.diagnostics;
  const { warnings } = outcome;
  const isGood = outcome.ok && (options.warnings === 'allowed' || warnings.length === 0);
  const exitCode = isGood ? 0 : 1;
  if (options.format === 'json') {
    const summary = outcome.ok ? summaryOf(outcome) : null;
    return { text: `${JSON.stringify({ ok: isGood, errors, warnings, summary }, null, 2)}\n`, exitCode };
  }
  const lines = [...errors, ...warnings].map(formatDiagnostic);
  const counts = `${plural(errors.length, 'error')}, ${plural(warnings.length, 'warning')}`;
  if (outcome.ok) {
    const { listeners, backendServices, certificates } = summaryOf(outcome);
    const contents = `${plural(listeners, 'listener')}, ${plural(backendServices, 'backend service')}, ${plural(certificates, 'certificate')}`;
    lines.push(`${options.path}: ${isGood ? 'good' : 'not good enough for --strict'}: ${contents}; ${counts}`);
  } else lines.push(`${options.path}: not usable: ${counts}`);
  return { text: `${lines.join('\n')}\n`, exitCode };
}

function summaryOf({
  configuration,
}: Loaded): Readonly<Record<'listeners' | 'backendServices' | 'certificates', number>> {
  const { listeners, backendServices, certificates } = configuration;
  return { listeners: listeners.length, backendServices: backendServices.length, certificates: certificates.length };
}

function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
