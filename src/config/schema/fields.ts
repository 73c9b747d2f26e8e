import { z } from 'zod';
import {
  DESCRIPTIVE_FIELDS,
  OUTPUT_ONLY_FIELDS,
  OUTPUT_ONLY_FIELDS_OF_KIND,
  PLACEMENT_FIELDS,
} from './google-fields.ts';

/*
 * What the resource schemas share. Texts of a schema begin with "expected": they become the second half of a diagnostic
 * ("Cannot accept X: found Y, expected …"). A schema says the shape of one resource; what needs a second field, a file or
 * another resource is in ../rules.
 */

/** A resource of `kind`: its own fields, Google's descriptive ones, and the output-only ones of an export. */
export function resource<K extends keyof typeof PLACEMENT_FIELDS, S extends z.core.$ZodLooseShape>(kind: K, shape: S) {
  const withoutEffect: z.core.$ZodLooseShape = {};
  for (const field of [...OUTPUT_ONLY_FIELDS, ...OUTPUT_ONLY_FIELDS_OF_KIND[kind]]) {
    withoutEffect[field] = z.unknown().optional().meta({ deprecated: true, description: 'Output only; ignored.' });
  }
  for (const field of [...DESCRIPTIVE_FIELDS, ...PLACEMENT_FIELDS[kind]]) {
    withoutEffect[field] = z.unknown().optional().meta({ description: NO_EFFECT });
  }
  return z.strictObject({ ...(withoutEffect as Record<never, never>), ...shape });
}

/** What editors say of descriptive fields. */
export const NO_EFFECT = 'Accepted; has no effect here.';

/** Compute Engine's names; exports write some as a full path, of which the last segment counts. */
export function computeName() {
  return resourceName(
    /^(?:\S*\/)?[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?$/,
    'expected 1 to 63 lower-case letters, digits and hyphens that begin with a letter and do not end with a hyphen',
  );
}

export function resourceName(pattern: RegExp, expected: string) {
  return z.string(expected).regex(pattern, expected).meta({ description: 'Name of the resource.' });
}

/** A reference to a resource of one of `collections`: a bare name, `collection/name` or a full path. */
export function reference(...collections: readonly [string, ...string[]]) {
  const [collection] = collections;
  const expected = `expected the name of one of ${collections.join(' or ')}`;
  return z
    .string(expected)
    .min(1, expected)
    .meta({ description: `Name, ${collection}/name or full path of one of ${collections.join(' or ')}.` });
}

/** PEM in the YAML, or beside it in a file: `X` and `XFile` (path relative to the YAML file). */
export function pemField<X extends string>(field: X, what: string) {
  return {
    [field]: z
      .string()
      .optional()
      .meta({ description: `${what}, PEM.` }),
    [`${field}File`]: z
      .string()
      .min(1, 'expected a path, relative to this file')
      .optional()
      .meta({ description: `${what}, PEM file; the path is relative to this file.` }),
  } as Record<X | `${X}File`, z.ZodOptional<z.ZodString>>;
}

/** Certificate, chain and key in one PKCS#12 file, instead of the two PEM fields. */
export function pkcs12Fields() {
  const path = z.string().min(1, 'expected a path, relative to this file').optional();
  return {
    pkcs12File: path.meta({
      description: 'PKCS#12 file with chain and private key; the path is relative to this file.',
    }),
    pkcs12Passphrase: z.string().optional().meta({ description: 'Its passphrase, only by an environment variable.' }),
    pkcs12PassphraseFile: path.meta({ description: 'A file whose first line is its passphrase.' }),
  };
}

export function integerBetween(least: number, most: number) {
  const expected = `expected a whole number from ${least} to ${most}`;
  return z.int(expected).min(least, expected).max(most, expected);
}

/** A field of Google's of which only the values without effect can be had yet. */
export function onlyNeutral<const T extends z.core.util.Literal>(value: T) {
  return z
    .literal(value)
    .optional()
    .meta({ description: `Only ${value}: anything else is not supported yet.` });
}
