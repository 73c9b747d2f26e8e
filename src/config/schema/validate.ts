import { z } from 'zod';
import { shownKey, shownPath } from '../shown.ts';
import { nearestWord } from '../suggestion.ts';
import type { Path } from '../written.ts';
import { NO_EFFECT } from './fields.ts';
import { LATER_FIELDS, LATER_VALUES } from './google-fields.ts';
import { type Kind, type SallyportSpec, SCHEMAS, type Spec, sallyportSettingsSchema } from './kinds.ts';

export interface ShapeProblem {
  readonly path: Path;
  /** Whether the name of the field is wrong, or its value. */
  readonly at: 'key' | 'value';
  readonly message: string;
}

export interface Shape<T> {
  /** null when any problem concerns its shape. */
  readonly spec: T | null;
  readonly problems: readonly ShapeProblem[];
}

/** What a diagnostic may show of the value at a path inside the resource, and whether it came from a `${…}`. */
export interface ValueContext {
  shown(path: Path): string;
  isExpanded(path: Path): boolean;
}

/** The shape of one resource: every problem of it at once. Fields of later work are refused by name, unless empty. */
export function checkShape<K extends Kind>(kind: K, value: unknown, context: ValueContext): Shape<Spec<K>> {
  return check(SCHEMAS[kind], kind, value, context) as Shape<Spec<K>>;
}

/** The same for `sallyport:`. */
export function checkSallyportShape(value: unknown, context: ValueContext): Shape<SallyportSpec> {
  return check(sallyportSettingsSchema, 'sallyport', value, context);
}

function check<S extends z.ZodType>(
  schema: S,
  kind: string,
  written: unknown,
  context: ValueContext,
): Shape<z.output<S>> {
  const problems: ShapeProblem[] = [];
  let value = written;
  let isRetried = false;
  for (;;) {
    const result = schema.safeParse(value);
    if (result.success) return { spec: problems.length > 0 ? null : result.data, problems };
    const numbers = isRetried ? null : withNumbersOfVariables(value, result.error.issues, context);
    if (numbers !== null) {
      value = numbers;
      isRetried = true;
      continue;
    }
    const subject = { schema, kind, value, context };
    const misspelt = misspeltFields(result.error.issues, subject);
    for (const issue of result.error.issues) {
      if (!misspelt.has(JSON.stringify(issue.path))) problems.push(...explain(issue, subject));
    }
    if (problems.length > 0) return { spec: null, problems };
    // All that was wrong were empty fields of later work.
    value = withoutUnknownKeys(value, result.error.issues);
  }
}

interface Subject {
  readonly schema: z.ZodType;
  readonly kind: string;
  readonly value: unknown;
  readonly context: ValueContext;
}

function explain(issue: z.core.$ZodIssue, subject: Subject): readonly ShapeProblem[] {
  const path = issue.path as Path;
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.flatMap((key) => explainUnknownKey(key, path, subject));
  }
  if (valueAt(subject.value, path) === undefined) {
    const last = path.at(-1);
    const field = typeof last === 'number' ? shownPath(path) : `'${shownPath(path)}'`;
    return [
      {
        path,
        at: 'value',
        message: `Cannot accept ${describe(subject.kind, path)}: ${field} is missing, ${expectation(issue, subject)}; add it`,
      },
    ];
  }
  const found = subject.context.shown(path);
  const later = laterValue(issue, subject);
  const what = path.length === 0 ? describe(subject.kind, path) : shownPath(path);
  return [
    { path, at: 'value', message: `Cannot accept ${what}: found ${found}, ${later ?? expectation(issue, subject)}` },
  ];
}

function explainUnknownKey(key: string, path: Path, subject: Subject): readonly ShapeProblem[] {
  const object = patternOf(subject.kind, path);
  const at = [...path, key];
  const advice = LATER_FIELDS[object]?.[key];
  if (advice !== undefined && Object.hasOwn(LATER_FIELDS[object] ?? {}, key)) {
    if (isEmpty(valueAt(subject.value, at))) return [];
    const hint = advice === '' ? 'remove it' : `remove it (${advice})`;
    const name = path.length === 0 ? key : `${shownPath(path)}.${key}`; // a known one: shown whatever its length
    return [{ path: at, at: 'key', message: `Cannot accept '${name}': this field is not supported yet; ${hint}` }];
  }
  const known = knownKeys(subject.schema, path);
  const near = nearestWord(key, known);
  const own = knownKeys(subject.schema, path, 'with effect');
  const hint = near === null ? `expected one of ${own.join(', ')}; remove it` : `did you mean '${near}'?`;
  const place = path.length === 0 ? subject.kind : shownPath(path);
  return [{ path: at, at: 'key', message: `Cannot accept ${shownKey(key)}: unknown field of ${place}; ${hint}` }];
}

/** Paths that are missing only because their name is misspelt, which is reported. */
function misspeltFields(issues: readonly z.core.$ZodIssue[], subject: Subject): ReadonlySet<string> {
  const paths = new Set<string>();
  for (const issue of issues) {
    if (issue.code !== 'unrecognized_keys') continue;
    const known = knownKeys(subject.schema, issue.path as Path);
    for (const key of issue.keys) {
      const path = [...(issue.path as Path), nearestWord(key, known) ?? key];
      if (valueAt(subject.value, path) === undefined) paths.add(JSON.stringify(path));
    }
  }
  return paths;
}

/** "expected …", from the issue itself where the schema gives no text of its own. */
function expectation(issue: z.core.$ZodIssue, subject: Subject): string {
  if (issue.message.startsWith('expected ')) return issue.message;
  if (issue.code === 'invalid_value') {
    const options = issue.values.map(String);
    const expected = `expected ${listOr(options)}`;
    const found = valueAt(subject.value, issue.path as Path);
    const near = nearestWord(String(found), options) ?? sameEnding(String(found), options);
    if (near !== null && options.length > MOST_LISTED)
      return `expected one of ${options.length} words; did you mean '${near}'?`;
    return near === null || options.length === 1 ? expected : `${expected}; did you mean '${near}'?`;
  }
  if (issue.code === 'invalid_type') return `expected ${TYPE_NAMES[issue.expected] ?? issue.expected}`;
  return `expected ${issue.message}`;
}

/** gcloud's spellings: 1.2 for TLS_1_2, `modern` for MODERN. */
function sameEnding(word: string, options: readonly string[]): string | null {
  const bare = (text: string) => text.replace(/[^A-Za-z0-9]/g, '').toUpperCase();
  const wanted = bare(word);
  const fitting = options.filter((option) => wanted !== '' && bare(option).endsWith(wanted));
  return fitting.length === 1 ? (fitting[0] ?? null) : null;
}

/** The exact answers of spec 10.4, and "not supported yet" for what Google has and we have not. */
function laterValue(issue: z.core.$ZodIssue, subject: Subject): string | null {
  if (issue.code !== 'invalid_value') return null;
  const found = valueAt(subject.value, issue.path as Path);
  const pattern = patternOf(subject.kind, issue.path as Path);
  const never = NEVER_VALUES[pattern]?.[String(found)];
  if (never !== undefined) return never;
  if (typeof found !== 'string')
    return issue.values.length === 1 && typeof found === typeof issue.values[0] ? notYet(issue.values) : null;
  return LATER_VALUES[pattern]?.includes(found) ? notYet(issue.values) : null;
}

function notYet(values: readonly unknown[]): string {
  return `which is not supported yet; expected ${listOr(values.map(String))}`;
}

/**
 * `${PORT}` is text to YAML, and inside { } it must be quoted. Where a number or a boolean is wanted and its value reads as one, it
 * counts as one.
 */
function withNumbersOfVariables(value: unknown, issues: readonly z.core.$ZodIssue[], context: ValueContext): unknown {
  let changed = false;
  let copy = value;
  for (const issue of issues) {
    const path = issue.path as Path;
    if (issue.code !== 'invalid_type' && issue.code !== 'invalid_union' && issue.code !== 'invalid_value') continue;
    const text = valueAt(copy, path);
    if (typeof text !== 'string' || !context.isExpanded(path)) continue;
    const parsed = /^-?\d+(?:\.\d+)?$/.test(text)
      ? Number(text)
      : text === 'true'
        ? true
        : text === 'false'
          ? false
          : null;
    if (parsed === null) continue;
    copy = replacedAt(copy, path, parsed);
    changed = true;
  }
  return changed ? copy : null;
}

function replacedAt(value: unknown, path: Path, replacement: unknown): unknown {
  const [step, ...rest] = path;
  if (step === undefined) return replacement;
  if (Array.isArray(value))
    return value.map((item, index) => (index === step ? replacedAt(item, rest, replacement) : item));
  const source = value as Record<string, unknown>;
  return { ...source, [step]: replacedAt(source[step], rest, replacement) };
}

function withoutUnknownKeys(value: unknown, issues: readonly z.core.$ZodIssue[]): unknown {
  const copy = structuredClone(value);
  for (const issue of issues) {
    if (issue.code !== 'unrecognized_keys') continue;
    const object = valueAt(copy, issue.path as Path) as Record<string, unknown>;
    for (const key of issue.keys) delete object[key];
  }
  return copy;
}

function valueAt(value: unknown, path: Path): unknown {
  let at = value;
  for (const step of path) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, step)) return undefined;
    at = (at as Record<string | number, unknown>)[step];
  }
  return at;
}

/** 'urlMaps.pathMatchers[].pathRules[]', the form of the keys in google-fields.ts. */
function patternOf(kind: string, path: Path): string {
  let pattern = kind;
  for (const step of path) pattern += typeof step === 'number' ? '[]' : `.${step}`;
  return pattern;
}

function knownKeys(schema: z.ZodType, path: Path, which: 'writable' | 'with effect' = 'writable'): readonly string[] {
  let at: z.ZodType = unwrapped(schema);
  for (const step of path) {
    if (at instanceof z.ZodArray) at = unwrapped(at.element as z.ZodType);
    else if (at instanceof z.ZodObject) at = unwrapped(at.shape[step] as z.ZodType);
    else return [];
  }
  if (!(at instanceof z.ZodObject)) return [];
  return Object.entries(at.shape)
    .filter(([, field]) => {
      const meta = (field as z.ZodType).meta();
      return meta?.['deprecated'] !== true && (which === 'writable' || meta?.description !== NO_EFFECT);
    })
    .map(([key]) => key);
}

function unwrapped(schema: z.ZodType): z.ZodType {
  let at = schema;
  while (
    at instanceof z.ZodOptional ||
    at instanceof z.ZodNullable ||
    at instanceof z.ZodDefault ||
    at instanceof z.ZodPrefault
  )
    at = at.unwrap() as z.ZodType;
  if (at instanceof z.ZodUnion) return (at.options.find((option) => option instanceof z.ZodObject) ?? at) as z.ZodType;
  return at;
}

function isEmpty(value: unknown): boolean {
  if (value === null || value === undefined) return true;
  return typeof value === 'object' && Object.keys(value).length === 0;
}

function describe(kind: string, path: Path): string {
  const parent = path.slice(0, -1);
  return parent.length === 0 ? (SINGULARS[kind] ?? 'it') : shownPath(parent);
}

function listOr(words: readonly string[]): string {
  if (words.length < 2) return words[0] ?? 'nothing';
  return `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`;
}

/** Spec 10.4: what this runtime cannot do at all. */
const NEVER_VALUES: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'targetHttpsProxies.tlsEarlyData': {
    STRICT: 'not supported: this runtime has no 0-RTT; expected DISABLED',
    PERMISSIVE: 'not supported: this runtime has no 0-RTT; expected DISABLED',
    UNRESTRICTED: 'not supported: this runtime has no 0-RTT; expected DISABLED',
  },
  // Google's GRPC is for proxyless gRPC (Cloud Service Mesh); its load balancers carry gRPC over HTTP2 and H2C.
  'backendServices.protocol': {
    GRPC: 'which is for clients without a proxy; expected HTTP2 (TLS) or H2C, which carry gRPC',
  },
  'targetHttpsProxies.quicOverride': { ENABLE: 'not supported: this runtime has no QUIC; expected NONE or DISABLE' },
};
const MOST_LISTED = 8; // beside a suggestion a longer list only hides it
const TYPE_NAMES: Readonly<Record<string, string>> = {
  string: 'a text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'a mapping',
};
const SINGULARS: Readonly<Record<string, string>> = {
  forwardingRules: 'the forwarding rule',
  targetHttpsProxies: 'the target HTTPS proxy',
  targetHttpProxies: 'the target HTTP proxy',
  targetSslProxies: 'the target SSL proxy',
  targetTcpProxies: 'the target TCP proxy',
  sslPolicies: 'the SSL policy',
  sslCertificates: 'the SSL certificate',
  urlMaps: 'the URL map',
  backendServices: 'the backend service',
  networkEndpointGroups: 'the network endpoint group',
  backendAuthenticationConfigs: 'the backend authentication config',
  healthChecks: 'the health check',
  trustConfigs: 'the trust config',
  certificates: 'the certificate',
  sallyport: 'sallyport',
};
