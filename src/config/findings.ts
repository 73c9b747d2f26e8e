import type { Diagnostic } from './diagnostic.ts';
import type { Section } from './resource.ts';
import { nodeAt, type Path, type Position } from './written.ts';

/** Where a problem stands when it is not in a field of a resource. */
export interface Place {
  readonly file: string;
  readonly position: Position | null;
  readonly resource: string;
}

/** Collects diagnostics; one place and one message are reported once. */
export class Findings {
  readonly #found = new Map<string, Diagnostic>();
  #errors = 0;

  /** How many errors so far. */
  get errors(): number {
    return this.#errors;
  }

  error(section: Section, path: Path, message: string): void {
    this.#addAt('error', section, path, message);
  }

  warning(section: Section, path: Path, message: string): void {
    this.#addAt('warning', section, path, message);
  }

  add(severity: Diagnostic['severity'], place: Place, message: string): void {
    const { line, column } = place.position ?? { line: 0, column: 0 };
    const diagnostic: Diagnostic = { severity, file: place.file, line, column, resource: place.resource, message };
    const key = JSON.stringify(diagnostic);
    if (this.#found.has(key)) return;
    this.#found.set(key, diagnostic);
    if (severity === 'error') this.#errors++;
  }

  /** In the order of reading: by file, line and column. */
  sorted(severity: Diagnostic['severity']): readonly Diagnostic[] {
    const files = [...new Set([...this.#found.values()].map(({ file }) => file))].sort();
    const rank = new Map(files.map((file, index) => [file, index]));
    return [...this.#found.values()]
      .filter((diagnostic) => diagnostic.severity === severity)
      .sort((a, b) => (rank.get(a.file) ?? 0) - (rank.get(b.file) ?? 0) || a.line - b.line || a.column - b.column);
  }

  /** For a problem with a field as such: points at its name. */
  errorAtKey(section: Section, path: Path, message: string): void {
    const { node } = nodeAt(section.node, path);
    const position = node?.keyPosition ?? node?.position ?? null;
    this.add('error', { file: section.document.file, position, resource: section.label }, message);
  }

  #addAt(severity: Diagnostic['severity'], section: Section, path: Path, message: string): void {
    const { node, found } = nodeAt(section.node, path);
    // What follows from a variable that is not set has been reported as that.
    if (found && node?.isBroken === true) return;
    const position = node?.position ?? null;
    this.add(severity, { file: section.document.file, position, resource: section.label }, message);
  }
}
