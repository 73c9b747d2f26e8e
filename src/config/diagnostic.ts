/** One problem of a configuration, with where it stands and what would be right. */
export interface Diagnostic {
  readonly severity: 'error' | 'warning';
  /** Path as given to load, relative where it was; '' when no file is to blame. */
  readonly file: string;
  /** 1-based; 0 when unknown. */
  readonly line: number;
  readonly column: number;
  /** 'sslPolicies/modern', or '' outside a resource. */
  readonly resource: string;
  /** What was found, what was expected, what to do; one sentence or two, no secrets. */
  readonly message: string;
}

/** An error of a whole file, of a resource, or of neither: no line is to blame. */
export function unplacedError(
  message: string,
  { file = '', resource = '' }: Partial<Pick<Diagnostic, 'file' | 'resource'>> = {},
): Diagnostic {
  return { severity: 'error', file, line: 0, column: 0, resource, message };
}

/** `file:line:column: error: resource: message`, as compilers print it. */
export function formatDiagnostic(diagnostic: Diagnostic): string {
  const place = [diagnostic.file, diagnostic.line || '', diagnostic.line ? diagnostic.column : ''].filter(
    (part) => part !== '',
  );
  const resource = diagnostic.resource === '' ? '' : ` ${diagnostic.resource}:`;
  return `${place.join(':')}${place.length > 0 ? ': ' : ''}${diagnostic.severity}:${resource} ${diagnostic.message}`;
}
