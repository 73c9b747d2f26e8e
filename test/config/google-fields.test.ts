import { LATER_FIELDS, LATER_KINDS, LATER_VALUES } from '#src/config/schema/google-fields.ts';
import { configurationJsonSchema } from '#src/config/schema/json-schema.ts';
import { isKind, KINDS } from '#src/config/schema/kinds.ts';
import { checkSallyportShape, checkShape } from '#src/config/schema/validate.ts';

const context = { shown: () => 'it', isExpanded: () => false };

/** 'urlMaps.pathMatchers[]' and a field → a resource that has nothing but that field there. */
function resourceWith(object: string, field: string, value: unknown): { kind: string; resource: unknown } {
  const [kind = '', ...steps] = object.split('.');
  const resource = steps.reduceRight<unknown>(
    (inner, step) => (step.endsWith('[]') ? { [step.slice(0, -2)]: [inner] } : { [step]: inner }),
    { [field]: value },
  );
  return { kind, resource };
}

function problemsOf(kind: string, resource: unknown): readonly string[] {
  const shape = isKind(kind) ? checkShape(kind, resource, context) : checkSallyportShape(resource, context);
  return shape.problems.map(({ message }) => message);
}

const laterFields = Object.entries(LATER_FIELDS).flatMap(([object, fields]) =>
  Object.keys(fields).map((field) => [object, field] as const),
);

test.each(laterFields)('%s.%s is refused by name, and nothing when empty', (object, field) => {
  const { kind, resource } = resourceWith(object, field, ['something']);
  expect(problemsOf(kind, resource).filter((message) => message.includes('not supported yet'))).toEqual([
    expect.stringMatching(
      new RegExp(`^Cannot accept '(?:[\\w\\[\\].]+\\.)?${field}': this field is not supported yet`),
    ),
  ]);
  const empty = resourceWith(object, field, []);
  expect(problemsOf(kind, empty.resource).filter((message) => message.includes(`${field}'`))).toEqual([]);
});

const laterValues = Object.entries(LATER_VALUES).flatMap(([field, values]) =>
  values.map((value) => [field, value] as const),
);

test.each(laterValues)('%s: %s is refused as not supported yet', (pattern, value) => {
  const [object, field] = [pattern.slice(0, pattern.lastIndexOf('.')), pattern.slice(pattern.lastIndexOf('.') + 1)];
  const { kind, resource } = resourceWith(object, field, value);
  expect(problemsOf(kind, resource)).toContainEqual(
    expect.stringContaining(`${field}: found it, which is not supported yet; expected `),
  );
});

test('no kind is both supported and later, and no later field is in a schema', () => {
  expect(LATER_KINDS.filter(isKind)).toEqual([]);
  const schema = configurationJsonSchema() as { properties: Record<string, { items?: JsonObject } & JsonObject> };
  for (const [object, field] of laterFields) {
    const [kind = '', ...steps] = object.split('.');
    const kindSchema = schema.properties[kind];
    const start = kindSchema?.items ?? kindSchema;
    const at = steps.reduce<JsonObject | undefined>((parent, step) => {
      const child = parent?.properties?.[step.replace('[]', '')];
      return step.endsWith('[]') ? child?.items : child;
    }, start);
    expect(at?.properties).toBeDefined();
    expect(Object.keys(at?.properties ?? {})).not.toContain(field);
  }
});

test('every kind takes Google’s descriptive and output-only fields', () => {
  const fields = {
    description: 'd',
    labels: { a: 'b' },
    kind: 'k',
    id: '1',
    selfLink: 's',
    fingerprint: 'f',
    creationTimestamp: 't',
    etag: 'e',
  };
  for (const kind of KINDS) {
    expect(problemsOf(kind, fields).filter((message) => message.includes('unknown'))).toEqual([]);
  }
});

interface JsonObject {
  readonly properties?: Readonly<Record<string, JsonObject>>;
  readonly items?: JsonObject;
}
