import { z } from 'zod';
import { computeName, NO_EFFECT, reference, resource } from './fields.ts';

const pathRule = z.strictObject({
  paths: z
    .array(z.string())
    .min(1, 'expected at least one path')
    .meta({ description: 'Exact paths, or prefixes that end in /*.' }),
  service: reference('backendServices'),
});

const pathMatcher = z.strictObject({
  name: computeName(),
  description: z.unknown().optional().meta({ description: NO_EFFECT }),
  defaultService: reference('backendServices'),
  pathRules: z.array(pathRule).max(1000, 'expected at most 1000 rules').default([]), // spec 3.4
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

export const urlMapSchema = resource('urlMaps', {
  name: computeName(),
  defaultService: reference('backendServices'),
  hostRules: z.array(hostRule).max(1000, 'expected at most 1000 host rules').default([]), // spec 3.4
  pathMatchers: z.array(pathMatcher).max(1000, 'expected at most 1000 path matchers').default([]), // spec 3.4
});
