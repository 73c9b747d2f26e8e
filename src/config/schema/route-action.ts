import { z } from 'zod';
import { duration, limitDuration } from './duration.ts';
import { integerBetween, reference } from './fields.ts';

/*
 * What a URL map does with a request that a rule or a default has won (spec 3.4): Google's HttpRouteAction, HttpRedirectAction and
 * HttpHeaderAction. Limits that one field says of itself are here; which fields go together is in ../rules/route-actions.ts.
 */

const percentage = (what: string) => {
  const expected = 'expected a number from 0 to 100';
  return z.number(expected).min(0, expected).max(100, expected).meta({ description: what });
};

const headerToAdd = z.strictObject({
  headerName: z.string().min(1, 'expected the name of a header'),
  headerValue: z.string().default('').meta({ description: '{variables} in it are replaced.' }),
  replace: z.boolean().optional().meta({
    description: 'Discards values that are there. Without it: true, but false where the value has a variable.',
  }),
});

function headersToAdd(to: 'requests' | 'responses') {
  return z
    .array(headerToAdd)
    .default([])
    .meta({ description: `Added to ${to}.` });
}

function headersToRemove(from: 'requests' | 'responses') {
  return z
    .array(z.string().min(1, 'expected the name of a header'))
    .default([])
    .meta({ description: `Removed from ${from}, before others are added.` });
}

export function headerAction() {
  return z.strictObject({
    requestHeadersToAdd: headersToAdd('requests'),
    requestHeadersToRemove: headersToRemove('requests'),
    responseHeadersToAdd: headersToAdd('responses'),
    responseHeadersToRemove: headersToRemove('responses'),
  });
}

const weightedBackendService = z.strictObject({
  backendService: reference('backendServices'),
  weight: integerBetween(0, 1000).default(0).meta({ description: 'Its share is its part of the sum of all weights.' }),
  headerAction: headerAction().optional(),
});

const urlRewrite = z.strictObject({
  pathPrefixRewrite: textOfLength(1024)
    .optional()
    .meta({ description: 'Replaces the part of the path that the rule matched.' }),
  hostRewrite: textOfLength(255).optional().meta({ description: 'Sent as Host or :authority.' }),
  pathTemplateRewrite: textOfLength(255)
    .optional()
    .meta({ description: 'The new path, with {variables} of pathTemplateMatch.' }),
});

const retryPolicy = z.strictObject({
  numRetries: integerBetween(0, 25).default(1), // spec 4.5
  perTryTimeout: limitDuration('Of one attempt, until its response begins.').optional(),
  retryConditions: z
    .array(
      z.enum([
        '5xx',
        'gateway-error',
        'connect-failure',
        'retriable-4xx',
        'refused-stream',
        'cancelled',
        'deadline-exceeded',
        'internal',
        'resource-exhausted',
        'unavailable',
        'reset',
      ]),
    )
    .default([]),
});

const requestMirrorPolicy = z.strictObject({
  backendService: reference('backendServices'),
  mirrorPercent: percentage('Of requests.').default(100),
  dangerKeepCredentials: z
    .boolean()
    .default(false)
    .meta({ description: 'Copies keep Authorization, Cookie and what is told of client certificates.' }),
});

const corsPolicy = z.strictObject({
  allowOrigins: z.array(z.string().min(1, 'expected an origin')).default([]),
  allowOriginRegexes: z
    .array(textOfLength(250))
    .default([])
    .meta({ description: 'RE2, each matched against the whole origin.' }),
  allowMethods: z.array(z.string().min(1, 'expected a method')).default([]),
  allowHeaders: z.array(z.string().min(1, 'expected the name of a header')).default([]),
  exposeHeaders: z.array(z.string().min(1, 'expected the name of a header')).default([]),
  maxAge: integerBetween(-1, 2_147_483_647).optional().meta({ description: 'Seconds.' }),
  allowCredentials: z.boolean().default(false),
  disabled: z.boolean().default(false),
});

const faultInjectionPolicy = z.strictObject({
  delay: z
    .strictObject({
      fixedDelay: duration('Before a request is sent.'),
      percentage: percentage('Of requests.').default(0),
    })
    .optional(),
  abort: z
    .strictObject({ httpStatus: integerBetween(200, 599), percentage: percentage('Of requests.').default(0) })
    .optional(),
});

export function routeAction() {
  return z.strictObject({
    weightedBackendServices: z.array(weightedBackendService).default([]),
    urlRewrite: urlRewrite.optional(),
    timeout: limitDuration('Instead of timeoutSec of the service, retries included.').optional(),
    maxStreamDuration: limitDuration('From the head of the request to the end of the response or tunnel.').optional(),
    retryPolicy: retryPolicy.optional(),
    requestMirrorPolicy: requestMirrorPolicy.optional(),
    corsPolicy: corsPolicy.optional(),
    faultInjectionPolicy: faultInjectionPolicy.optional(),
  });
}

export function urlRedirect() {
  return z.strictObject({
    hostRedirect: textOfLength(255).optional(),
    pathRedirect: textOfLength(1024).optional().meta({ description: 'The new path.' }),
    prefixRedirect: textOfLength(1024)
      .optional()
      .meta({ description: 'Replaces the part of the path that the rule matched.' }),
    httpsRedirect: z.boolean().default(false).meta({ description: 'Only in URL maps of targetHttpProxies.' }),
    stripQuery: z.boolean().default(false),
    redirectResponseCode: z
      .enum(['MOVED_PERMANENTLY_DEFAULT', 'FOUND', 'SEE_OTHER', 'TEMPORARY_REDIRECT', 'PERMANENT_REDIRECT'])
      .default('MOVED_PERMANENTLY_DEFAULT'),
  });
}

export type HeaderActionSpec = z.output<ReturnType<typeof headerAction>>;
export type RouteActionSpec = z.output<ReturnType<typeof routeAction>>;
export type UrlRedirectSpec = z.output<ReturnType<typeof urlRedirect>>;

export function textOfLength(most: number) {
  const expected = `expected 1 to ${most} characters`;
  return z.string().min(1, expected).max(most, expected);
}
