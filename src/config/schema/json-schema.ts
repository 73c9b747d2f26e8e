import { z } from 'zod';
import { configurationSchema } from './kinds.ts';

/** JSON Schema (2020-12) of a configuration file, for editors: the shape that loading enforces, defaults included. */
export function configurationJsonSchema(): unknown {
  const schema = z.toJSONSchema(configurationSchema, { io: 'input', target: 'draft-2020-12', reused: 'inline' });
  return { title: 'Sallyport configuration', ...schema };
}
