// hot path: append() and overwrite() run once per exchange of a service with custom headers.
import { fieldValueOrEmpty, isFieldValue, isToken } from './field-value.ts';
import { type HeaderVariable, isHeaderVariable, type VariableSource, variableValue } from './header-variables.ts';
import { isHopByHop } from './hop-by-hop.ts';

/** One entry of customRequestHeaders or customResponseHeaders, parsed. */
export interface CustomHeader {
  /** Lower case. */
  readonly name: string;
  /** In this order; texts have `{{` and `}}` resolved. */
  readonly parts: readonly TemplatePart[];
}

export type TemplatePart = { readonly text: string } | { readonly variable: HeaderVariable };

/** Parses `name:value` (spec 4.1). A string says what is wrong, as the middle of a diagnostic: 'found …, expected …'. */
export function parseCustomHeader(text: string): CustomHeader | string {
  const colon = text.indexOf(':');
  if (colon === -1) return 'found no colon, expected name:value';
  return parseHeaderValue(text.slice(0, colon), text.slice(colon + 1));
}

/** The same from its two halves, as a headerAction has them. */
export function parseHeaderValue(headerName: string, headerValue: string): CustomHeader | string {
  const name = headerName.trim().toLowerCase();
  if (!isToken(name))
    return 'found a name that is no token of RFC 9110 section 5.6.2, expected letters, digits and hyphens';
  const parts = parseParts(headerValue.trim());
  return typeof parts === 'string' ? parts : { name, parts };
}

/** Why the proxy does not let a configuration set a field, or null. `name` is in lower case. */
export function forbiddenName(name: string, side: 'request' | 'response'): string | null {
  if (isHopByHop(name)) return 'it concerns one connection only';
  const folded = name.replaceAll('_', '-');
  if ((side === 'request' ? OWN_REQUEST_FIELDS : OWN_RESPONSE_FIELDS).has(folded)) return 'the proxy sets it itself';
  if (GOOGLE_FIELDS.has(name) || GOOGLE_PREFIXES.some((prefix) => name.startsWith(prefix))) return 'Google reserves it';
  return null;
}

/** The custom headers of one backend service in one direction, compiled. */
export class HeaderTemplates {
  readonly #names: string[];
  /** The value where it is the same for every request; null where it has variables. */
  readonly #constants: (string | null)[];
  readonly #parts: (readonly TemplatePart[])[];

  constructor(headers: readonly CustomHeader[]) {
    this.#names = headers.map(({ name }) => name);
    this.#constants = headers.map(({ parts }) => constantOf(parts));
    this.#parts = headers.map(({ parts }) => parts);
  }

  /** Adds them to fields from which others of their names are gone already. */
  append(fields: string[], source: VariableSource): void {
    for (let i = 0; i < this.#names.length; i++) {
      fields.push(this.#names[i]!, this.#constants[i] ?? expand(this.#parts[i]!, source));
    }
  }

  /** Removes fields of their names, then adds them. */
  overwrite(fields: string[], source: VariableSource): void {
    let kept = 0;
    for (let i = 0; i < fields.length; i += 2) {
      if (this.#names.includes(fields[i]!)) continue;
      fields[kept] = fields[i]!;
      fields[kept + 1] = fields[i + 1]!;
      kept += 2;
    }
    fields.length = kept;
    this.append(fields, source);
  }
}

function constantOf(parts: readonly TemplatePart[]): string | null {
  let value = '';
  for (const part of parts) {
    if (!('text' in part)) return null;
    value += part.text;
  }
  return fieldValueOrEmpty(value);
}

/** What a stranger chose never breaks a message: a value that may not be sent is sent empty (security rule 15). */
function expand(parts: readonly TemplatePart[], source: VariableSource): string {
  let value = '';
  for (let i = 0; i < parts.length; i++) {
    const part = parts[i]!;
    value += 'text' in part ? part.text : variableValue(part.variable, source);
  }
  return fieldValueOrEmpty(value.trim());
}

/** `{{` and `}}` are braces, `{name}` a variable, any other brace a mistake. */
function parseParts(value: string): readonly TemplatePart[] | string {
  const parts: TemplatePart[] = [];
  let text = '';
  for (let at = 0; at < value.length; at++) {
    const character = value[at]!;
    if (character !== '{' && character !== '}') {
      text += character;
      continue;
    }
    if (value[at + 1] === character) {
      text += character;
      at++;
      continue;
    }
    if (character === '}') return 'found a } that closes nothing, expected {variable}, or }} for a brace';
    const end = value.indexOf('}', at);
    if (end === -1) return 'found a { that nothing closes, expected {variable}, or {{ for a brace';
    const variable = value.slice(at + 1, end);
    if (!isHeaderVariable(variable)) return `found the variable {${variable}}, which does not exist`;
    if (text !== '') parts.push({ text });
    text = '';
    parts.push({ variable });
    at = end;
  }
  if (text !== '') parts.push({ text });
  for (const part of parts) {
    if ('text' in part && !isFieldValue(part.text.trim())) return 'found a character that no header value may have';
  }
  return parts;
}

// Spec 4.1.
const GOOGLE_FIELDS: ReadonlySet<string> = new Set(['x-user-ip', 'cdn-loop']);
const GOOGLE_PREFIXES = ['x-google', 'x-goog-', 'x-gfe', 'x-amz-'];
/** What frames or routes a message, and what forwarding-headers.ts adds. */
const OWN_REQUEST_FIELDS: ReadonlySet<string> = new Set([
  'host',
  'content-length',
  'expect',
  'early-data',
  'via',
  'x-forwarded-for',
  'x-forwarded-proto',
  'x-cloud-trace-context',
]);
const OWN_RESPONSE_FIELDS: ReadonlySet<string> = new Set(['content-length', 'via']);
