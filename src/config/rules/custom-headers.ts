import { type CustomHeader, forbiddenName, parseCustomHeader } from '../../http/header-template.ts';
import { HEADER_VARIABLES, whyEmpty } from '../../http/header-variables.ts';
import { type Resource, shownField } from '../resource.ts';
import type { Spec } from '../schema/kinds.ts';
import { nearestWord } from '../suggestion.ts';
import { forEachSpec, type RuleContext } from './context.ts';

/** customRequestHeaders and customResponseHeaders (spec 4.1): syntax, names, sizes. Who may be told what is in identity-headers.ts. */
export function checkCustomHeaders(context: RuleContext): void {
  forEachSpec(context.graph, 'backendServices', (service, spec) => {
    checkList(service, spec, 'customRequestHeaders', context);
    checkList(service, spec, 'customResponseHeaders', context);
  });
}

/** The entries that can be parsed, in order; the others have been reported. */
export function customHeadersOf(texts: readonly string[]): readonly CustomHeader[] {
  return texts.map(parseCustomHeader).filter((header) => typeof header !== 'string');
}

function checkList(
  service: Resource,
  spec: Spec<'backendServices'>,
  field: 'customRequestHeaders' | 'customResponseHeaders',
  { findings, settings }: RuleContext,
): void {
  const texts = spec[field];
  const bytes = texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
  if (bytes > MAX_BYTES) {
    findings.error(
      service,
      [field],
      `Cannot accept ${field}: found ${bytes} bytes, expected at most ${MAX_BYTES}; shorten them`,
    );
  }
  const firsts = new Map<string, number>();
  for (const [index, text] of texts.entries()) {
    const path = [field, index];
    const fail = (problem: string, fix: string) => {
      findings.error(service, path, `Cannot accept ${field}[${index}]: ${problem}; ${fix}`);
    };
    const header = parseCustomHeader(text);
    if (typeof header === 'string') {
      const shown = shownField(service, path);
      // what a variable of the environment held may be in the problem, and is not shown (security rule 12)
      if (shown.includes('${'))
        fail(`found ${shown}, which is no header once its variables are expanded`, 'correct it');
      else fail(`found ${shown}: ${header}`, variableSuggestion(header));
      continue;
    }
    const forbidden = forbiddenName(header.name, field === 'customRequestHeaders' ? 'request' : 'response');
    if (forbidden !== null) fail(`found the name ${header.name}: ${forbidden}`, 'choose another name');
    const folded = header.name.replaceAll('_', '-'); // servers that speak CGI or WSGI take both for one
    const first = firsts.get(folded);
    if (first === undefined) firsts.set(folded, index);
    else fail(`its name is that of ${field}[${first}] already`, 'remove one');
    for (const part of header.parts) {
      const why = 'variable' in part ? whyEmpty(part.variable, settings?.geoipDatabase !== undefined) : null;
      if ('variable' in part && why !== null)
        findings.warning(service, path, `{${part.variable}} is always empty: ${why}`);
    }
  }
}

/** For what `parseCustomHeader()` says of an unknown variable. */
export function variableSuggestion(problem: string): string {
  const unknown = /\{(\w+)\}, which/.exec(problem)?.[1];
  const near = unknown === undefined ? null : nearestWord(unknown, HEADER_VARIABLES);
  return near === null ? 'correct it' : `did you mean {${near}}?`;
}

const MAX_BYTES = 8 * 1024; // spec 4.1, before variables are replaced
