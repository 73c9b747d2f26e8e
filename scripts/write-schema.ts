// Writes config/schema.json from the schemas that loading uses; test/config/schema.test.ts fails when it is stale.
import { mkdirSync, writeFileSync } from 'node:fs';
import { configurationJsonSchema } from '../src/config/schema/json-schema.ts';

const folder = new URL('../config/', import.meta.url);
mkdirSync(folder, { recursive: true });
writeFileSync(new URL('schema.json', folder), `${JSON.stringify(configurationJsonSchema(), null, 2)}\n`);
