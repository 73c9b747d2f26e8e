import { z } from 'zod';
import { duration, durationMs } from './duration.ts';
import { integerBetween } from './fields.ts';

const FIELD_NAME = 'expected the name of a header field';
const LARGEST_RING = 65_536; // a service with 64 endpoints gets 1,024 points for each; more would only delay reloads
const MOST = 2_147_483_647; // Google's are int32

/** Which endpoint a request gets, and when one gets none (spec 3.5): the part of a backend service that its protocol has no say in. */
export const balancingFields = {
  localityLbPolicy: z.enum(['ROUND_ROBIN', 'LEAST_REQUEST', 'RANDOM', 'RING_HASH', 'MAGLEV']).optional().meta({
    description: 'ROUND_ROBIN by default; MAGLEV where sessionAffinity goes by a hash.',
  }),
  sessionAffinity: z
    .enum([
      'NONE',
      'CLIENT_IP',
      'CLIENT_IP_NO_DESTINATION',
      'CLIENT_IP_PROTO',
      'CLIENT_IP_PORT_PROTO',
      'GENERATED_COOKIE',
      'HEADER_FIELD',
      'HTTP_COOKIE',
      'STRONG_COOKIE_AFFINITY',
    ])
    .default('NONE'),
  // Two weeks is what Compute Engine's reference of today allows; it was a day.
  affinityCookieTtlSec: integerBetween(0, 1_209_600).default(0).meta({
    description: 'Of GENERATED_COOKIE and HTTP_COOKIE; 0: until the browser ends.',
  }),
  consistentHash: z
    .strictObject({
      httpHeaderName: z
        .string(FIELD_NAME)
        .regex(/^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,256}$/, FIELD_NAME)
        .optional(),
      httpCookie: affinityCookie().optional(),
      minimumRingSize: integerBetween(1, LARGEST_RING)
        .optional()
        .meta({ description: 'Of RING_HASH: points on the ring; 1024 by default.' }),
    })
    .optional(),
  strongSessionAffinityCookie: affinityCookie().optional(),
  outlierDetection: z
    .strictObject({
      baseEjectionTime: shortTime('Times the number of its ejections.').default({ seconds: 30 }),
      interval: shortTime('Between two looks at success rates and at who comes back.').default({ seconds: 10 }),
      consecutiveErrors: count(5),
      consecutiveGatewayFailure: count(5),
      enforcingConsecutiveErrors: percent(100),
      enforcingConsecutiveGatewayFailure: percent(0),
      enforcingSuccessRate: percent(100),
      maxEjectionPercent: percent(10),
      successRateMinimumHosts: count(5),
      successRateRequestVolume: count(100),
      successRateStdevFactor: count(1900).meta({ description: 'In thousandths of the standard deviation.' }),
    })
    .optional(),
  circuitBreakers: z
    .strictObject({
      maxConnections: count(1024),
      maxPendingRequests: count(1024),
      maxRequests: count(1024),
      maxRetries: integerBetween(0, MOST).default(3),
      maxRequestsPerConnection: integerBetween(1, MOST).optional(),
    })
    .optional(),
  connectionDraining: z
    .strictObject({ drainingTimeoutSec: integerBetween(0, 3600).optional() })
    .optional()
    .meta({
      description: 'How long exchanges go on at endpoints that a reload removes or drains; until they end by default.',
    }),
  panicThresholdPercent: integerBetween(0, 100).default(0).meta({
    description:
      "Sallyport's own: while fewer than this share of the endpoints are healthy, health is ignored. 0: never.",
  }),
};

function affinityCookie() {
  const name = "expected a cookie name: letters, digits and !#$%&'*+-.^_`|~";
  const path = 'expected a path that begins with / and has neither ; nor spaces';
  return z.strictObject({
    name: z
      .string(name)
      .regex(/^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,256}$/, name)
      .optional(),
    path: z
      .string(path)
      .regex(/^\/[\x21-\x3a\x3c-\x7e]{0,1023}$/, path)
      .default('/'),
    ttl: duration('How long the cookie lives; 0 or absent: until the browser ends.').optional(),
  });
}

/** Without it a timer would never rest, or never fire. */
function shortTime(description: string) {
  const expected = 'expected a duration from 0.001 s to a day';
  return duration(description).refine((value) => durationMs(value) >= 1 && durationMs(value) <= 86_400_000, expected);
}

function count(byDefault: number) {
  return integerBetween(1, MOST).default(byDefault);
}

function percent(byDefault: number) {
  return integerBetween(0, 100).default(byDefault);
}
