import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { configurationJsonSchema } from '#src/config/schema/json-schema.ts';

test('config/schema.json is what the schemas say today (npm run schema writes it)', () => {
  const file = join(import.meta.dirname, '../../config/schema.json');
  expect(readFileSync(file, 'utf8')).toBe(`${JSON.stringify(configurationJsonSchema(), null, 2)}\n`);
});
