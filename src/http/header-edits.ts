// hot path: apply() runs once per exchange of a route with a headerAction.
import type { CustomHeader } from './header-template.ts';
import { HeaderTemplates } from './header-template.ts';
import type { VariableSource } from './header-variables.ts';

/** What one headerAction does to the fields of a message; names in lower case. */
export interface HeaderEdit {
  readonly remove: readonly string[];
  /** `replace`: values that are there go. */
  readonly add: readonly { readonly header: CustomHeader; readonly replace: boolean }[];
}

/**
 * The headerActions of several levels, applied one after the other; within a level what is removed goes first. A name counts in every
 * spelling with `_` for `-`, which CGI and WSGI read as the same.
 */
export class HeaderEdits {
  /** Of each level: the folded names that go, and what is added then. */
  readonly #removed: ReadonlySet<string>[] = [];
  readonly #added: HeaderTemplates[] = [];

  constructor(levels: readonly HeaderEdit[]) {
    for (const { remove, add } of levels) {
      const gone = [...remove, ...add.flatMap(({ header, replace }) => (replace ? [header.name] : []))];
      this.#removed.push(new Set(gone.map(folded)));
      this.#added.push(new HeaderTemplates(add.map(({ header }) => header)));
    }
  }

  /** `fields`: flat, names in lower case. */
  apply(fields: string[], source: VariableSource): void {
    for (let level = 0; level < this.#added.length; level++) {
      const removed = this.#removed[level]!;
      if (removed.size > 0) removeAll(fields, removed);
      this.#added[level]!.append(fields, source);
    }
  }
}

function removeAll(fields: string[], names: ReadonlySet<string>): void {
  let kept = 0;
  for (let i = 0; i < fields.length; i += 2) {
    if (names.has(folded(fields[i]!))) continue;
    fields[kept] = fields[i]!;
    fields[kept + 1] = fields[i + 1]!;
    kept += 2;
  }
  fields.length = kept;
}

function folded(name: string): string {
  return name.indexOf('_') === -1 ? name : name.replaceAll('_', '-');
}
