import { z } from 'zod';
import { computeName, integerBetween, NO_EFFECT, reference, resource } from './fields.ts';
import { headerAction, routeAction, textOfLength, urlRedirect } from './route-action.ts';

/** What a rule leads to: one of service, routeAction with weightedBackendServices and urlRedirect (rules/route-actions.ts). */
const destination = {
  service: reference('backendServices').optional(),
  routeAction: routeAction().optional(),
  urlRedirect: urlRedirect().optional(),
};

const defaultDestination = {
  defaultService: reference('backendServices').optional(),
  defaultRouteAction: routeAction().optional(),
  defaultUrlRedirect: urlRedirect().optional(),
  headerAction: headerAction().optional(),
};

const pathRule = z.strictObject({
  paths: z
    .array(z.string())
    .min(1, 'expected at least one path')
    .meta({ description: 'Exact paths, or prefixes that end in /*.' }),
  ...destination,
});

const headerMatch = z.strictObject({
  headerName: z.string().min(1, 'expected the name of a header, :method or :authority'),
  exactMatch: z.string().optional(),
  prefixMatch: z.string().min(1, 'expected a text').optional(),
  suffixMatch: z.string().min(1, 'expected a text').optional(),
  presentMatch: z.boolean().optional(),
  regexMatch: textOfLength(250).optional().meta({ description: 'RE2, matched against the whole value.' }),
  rangeMatch: z
    .strictObject({ rangeStart: int64(), rangeEnd: int64() })
    .optional()
    .meta({ description: 'A whole number from rangeStart to below rangeEnd.' }),
  invertMatch: z.boolean().default(false),
});

const queryParameterMatch = z.strictObject({
  name: z.string().min(1, 'expected the name of a query parameter'),
  exactMatch: z.string().optional(),
  presentMatch: z.boolean().optional(),
  regexMatch: textOfLength(250).optional().meta({ description: 'RE2, matched against the whole value.' }),
});

const matchRule = z.strictObject({
  prefixMatch: textOfLength(1024).optional(),
  fullPathMatch: textOfLength(1024).optional(),
  regexMatch: textOfLength(250).optional().meta({ description: 'RE2, matched against the whole path.' }), // spec 3.4
  pathTemplateMatch: textOfLength(255).optional().meta({ description: 'Segments, *, ** and {name=*}.' }),
  ignoreCase: z.boolean().default(false).meta({ description: 'Of prefixMatch and fullPathMatch.' }),
  headerMatches: z.array(headerMatch).default([]),
  queryParameterMatches: z.array(queryParameterMatch).default([]),
});

const routeRule = z.strictObject({
  description: z.unknown().optional().meta({ description: NO_EFFECT }),
  priority: integerBetween(0, 2_147_483_647).meta({ description: 'The lowest is looked at first.' }),
  matchRules: z.array(matchRule).min(1, 'expected at least one match rule'),
  ...destination,
  headerAction: headerAction().optional(),
});

const pathMatcher = z.strictObject({
  name: computeName(),
  description: z.unknown().optional().meta({ description: NO_EFFECT }),
  ...defaultDestination,
  pathRules: z.array(pathRule).max(1000, 'expected at most 1000 rules').default([]), // spec 3.4
  routeRules: z.array(routeRule).max(1000, 'expected at most 1000 rules').default([]), // spec 3.4
});

const hostRule = z.strictObject({
  description: z.unknown().optional().meta({ description: NO_EFFECT }),
  hosts: z
    .array(z.string())
    .min(1, 'expected at least one host')
    .max(1000, 'expected at most 1000 hosts') // spec 3.4
    .meta({ description: 'Host names, *.domain or *.' }),
  pathMatcher: z.string().min(1, 'expected the name of one of pathMatchers'),
});

const test = z.strictObject({
  description: z.string().optional(),
  host: z.string().min(1, 'expected a host'),
  path: z.string().min(1, 'expected a path'),
  headers: z.array(z.strictObject({ name: z.string().min(1, 'expected a name'), value: z.string() })).default([]),
  service: reference('backendServices').optional(),
  expectedOutputUrl: z.string().optional(),
  expectedRedirectResponseCode: integerBetween(300, 399).optional(),
});

export const urlMapSchema = resource('urlMaps', {
  name: computeName(),
  ...defaultDestination,
  hostRules: z.array(hostRule).max(1000, 'expected at most 1000 host rules').default([]), // spec 3.4
  pathMatchers: z.array(pathMatcher).max(1000, 'expected at most 1000 path matchers').default([]), // spec 3.4
  tests: z.array(test).max(100, 'expected at most 100 tests').default([]),
});

/** Exports write 64-bit numbers as text. */
function int64() {
  return z.union([z.int(), z.string().regex(/^-?\d{1,15}$/)], 'expected a whole number of at most 15 digits');
}
