// The manual names what a configuration may say, and nothing that it may not.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { KINDS } from '#src/config/schema/kinds.ts';

interface Schema {
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
}

const ROOT = join(import.meta.dirname, '..', '..');
const SCHEMA = JSON.parse(readFileSync(join(ROOT, 'config/schema.json'), 'utf8')) as Schema;
const PAGE = readFileSync(join(ROOT, 'docs/configuration.md'), 'utf8');
const MANUAL = readdirSync(join(ROOT, 'docs'))
  .filter((name) => name.endsWith('.md'))
  .map((name) => readFileSync(join(ROOT, 'docs', name), 'utf8'))
  .join('\n');

/** What an export holds and nobody reads here: the manual says so once for all. */
const IDLE = /^(?:Output only; ignored|Accepted; has no effect here)\./;

const { sallyport } = SCHEMA.properties ?? {};
const sallyportFields = fieldsOf(sallyport, '');

test('the page has every kind of resource, and no other', () => {
  const listed = [...PAGE.matchAll(/^\| `(\w+)` \|/gm)].map((match) => match[1]);
  expect(listed).toHaveLength(KINDS.length);
  expect(new Set(listed)).toEqual(new Set(KINDS));
});

test('the page has every field of sallyport:', () => {
  expect(sallyportFields.length).toBeGreaterThan(40);
  expect(sallyportFields.filter((path) => !isNamedIn(PAGE, lastOf(path)))).toEqual([]);
});

test('what the page shows of sallyport: is in the schema', () => {
  const [, shown = ''] = /```yaml\nsallyport:\n(.*?)```/s.exec(PAGE) ?? [];
  const known = new Set(sallyportFields);
  expect(keysOf(parse(shown), '').length).toBeGreaterThan(30);
  expect(keysOf(parse(shown), '').filter((path) => !known.has(path))).toEqual([]);
});

test.each(KINDS)('the manual names every field of %s that does something', (kind) => {
  const fields = fieldsOf(SCHEMA.properties?.[kind]?.items, '');
  expect(fields).toContain('name');
  expect(fields.filter((path) => !isNamedIn(MANUAL, lastOf(path)))).toEqual([]);
});

/** 'limits.connections' for each field at any depth that does something; an item of a list adds nothing to the path. */
function fieldsOf(schema: Schema | undefined, path: string): readonly string[] {
  if (schema === undefined) return [];
  const alternatives = [...(schema.anyOf ?? []), ...(schema.oneOf ?? [])].flatMap((one) => fieldsOf(one, path));
  const own = Object.entries(schema.properties ?? {}).flatMap(([name, field]) => {
    if (IDLE.test(field.description ?? '')) return [];
    const at = path === '' ? name : `${path}.${name}`;
    return [at, ...fieldsOf(field, at)];
  });
  return [...new Set([...own, ...alternatives, ...fieldsOf(schema.items, path)])];
}

function keysOf(value: unknown, path: string): readonly string[] {
  if (Array.isArray(value)) return value.flatMap((item) => keysOf(item, path));
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, field]) => {
    const at = path === '' ? name : `${path}.${name}`;
    return [at, ...keysOf(field, at)];
  });
}

/** A whole word, or `certificate(File)` for certificateFile. */
function isNamedIn(text: string, field: string): boolean {
  const shortened = field.endsWith('File') ? `|${field.slice(0, -'File'.length)}\\(File\\)` : '';
  return new RegExp(`(?<![A-Za-z])(?:${field}(?![A-Za-z])${shortened})`).test(text);
}

function lastOf(path: string): string {
  return path.slice(path.lastIndexOf('.') + 1);
}
