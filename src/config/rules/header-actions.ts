import { isToken } from '../../http/field-value.ts';
import { type CustomHeader, forbiddenName, parseHeaderValue } from '../../http/header-template.ts';
import { isIdentityVariable, whyEmpty } from '../../http/header-variables.ts';
import { type Resource, shownField } from '../resource.ts';
import type { HeaderActionSpec } from '../schema/route-action.ts';
import { shownPath } from '../shown.ts';
import { headerActionPlaces } from '../url-map-places.ts';
import type { Path } from '../written.ts';
import { forEachSpec, type RuleContext } from './context.ts';
import { variableSuggestion } from './custom-headers.ts';

/** headerActions of URL maps, at every level (spec 3.4 and 4.1): names, values, sizes, and who a field may speak for (security rule 18). */
export function checkHeaderActions(context: RuleContext): void {
  forEachSpec(context.graph, 'urlMaps', (map, spec) => {
    for (const { at, action } of headerActionPlaces(spec)) {
      checkAdded(map, [...at, 'requestHeadersToAdd'], action.requestHeadersToAdd, 'request', context);
      checkAdded(map, [...at, 'responseHeadersToAdd'], action.responseHeadersToAdd, 'response', context);
      checkRemoved(map, [...at, 'requestHeadersToRemove'], action.requestHeadersToRemove, 'request', context);
      checkRemoved(map, [...at, 'responseHeadersToRemove'], action.responseHeadersToRemove, 'response', context);
    }
  });
}

function checkAdded(map: Resource, at: Path, list: AddedSpec, side: Side, { findings, settings }: RuleContext): void {
  checkSize(map, at, list, { findings });
  const firsts = new Map<string, number>();
  for (const [index, { headerName, headerValue, replace }] of list.entries()) {
    const path = [...at, index];
    const fail = (field: string, problem: string) => {
      const place = [...path, field];
      findings.error(map, place, `Cannot accept ${shownPath(place)}: ${problem}`);
    };
    const header = parseHeaderValue(headerName, headerValue);
    if (typeof header === 'string') {
      const field = isToken(headerName.trim()) ? 'headerValue' : 'headerName';
      const shown = shownField(map, [...path, field]);
      // what a variable of the environment held may be in the problem, and is not shown (security rule 12)
      if (shown.includes('${'))
        fail(field, `found ${shown}, which is no header once its variables are expanded; correct it`);
      else fail(field, `found ${shown}: ${header}; ${variableSuggestion(header)}`);
      continue;
    }
    const forbidden = forbiddenName(header.name, side);
    if (forbidden !== null) fail('headerName', `found the name ${header.name}: ${forbidden}; choose another name`);
    const folded = header.name.replaceAll('_', '-'); // servers that speak CGI or WSGI take both for one
    const first = firsts.get(folded);
    if (first === undefined) firsts.set(folded, index);
    else fail('headerName', `its name is that of [${first}] already; remove one`);
    if (side === 'request' && replace !== true && hasIdentity(header)) {
      const found = replace === false ? 'replace: false' : 'no replace, which is false for a value with a variable';
      fail(
        replace === false ? 'replace' : 'headerValue',
        `found ${found}, beside a variable that says who the client is: a client could send the field itself and be believed; write replace: true`,
      );
    }
    for (const part of header.parts) {
      const why = 'variable' in part ? whyEmpty(part.variable, settings?.geoipDatabase !== undefined) : null;
      if ('variable' in part && why !== null)
        findings.warning(map, [...path, 'headerValue'], `{${part.variable}} is always empty: ${why}`);
    }
  }
}

function checkRemoved(
  map: Resource,
  at: Path,
  names: readonly string[],
  side: Side,
  { findings }: Pick<RuleContext, 'findings'>,
): void {
  for (const [index, name] of names.entries()) {
    const path = [...at, index];
    const forbidden = isToken(name) ? forbiddenName(name.toLowerCase(), side) : null;
    const problem = isToken(name)
      ? forbidden
      : 'it is no token of RFC 9110 section 5.6.2, expected letters, digits and hyphens';
    if (problem === null) continue;
    findings.error(
      map,
      path,
      `Cannot accept ${shownPath(path)}: found ${shownField(map, path)}: ${problem}; remove it`,
    );
  }
}

function checkSize(map: Resource, at: Path, list: AddedSpec, { findings }: Pick<RuleContext, 'findings'>): void {
  const bytes = list.reduce((sum, entry) => sum + Buffer.byteLength(entry.headerName + entry.headerValue), 0);
  const problem =
    list.length > MOST_HEADERS
      ? `found ${list.length} headers, expected at most ${MOST_HEADERS}; remove some`
      : bytes > MOST_BYTES
        ? `found ${bytes} bytes, expected at most ${MOST_BYTES}; shorten them`
        : null;
  if (problem !== null) findings.error(map, at, `Cannot accept ${shownPath(at)}: ${problem}`);
}

function hasIdentity({ parts }: CustomHeader): boolean {
  return parts.some((part) => 'variable' in part && isIdentityVariable(part.variable));
}

type AddedSpec = HeaderActionSpec['requestHeadersToAdd'];
type Side = 'request' | 'response';

const MOST_HEADERS = 16; // spec 4.1, of one list
const MOST_BYTES = 8 * 1024; // spec 4.1, before variables are replaced
