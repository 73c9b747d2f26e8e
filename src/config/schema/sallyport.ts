import { z } from 'zod';
import { integerBetween, reference } from './fields.ts';

const WORKERS_EXPECTED = "expected 'auto' or a whole number from 1 to 1024";

/** What has no Google counterpart; every key has a default. */
export const sallyportSchema = z.strictObject({
  admin: z
    .strictObject({
      address: z.string().default('127.0.0.1').meta({ description: 'IP literal.' }),
      port: integerBetween(0, 65_535).default(9901).meta({ description: '0 takes any free one.' }),
      hosts: z
        .array(z.string())
        .default([])
        .meta({ description: 'Host headers to answer beside IP literals and localhost.' }),
      dangerExposeDetails: z
        .boolean()
        .default(false)
        .meta({ description: 'Serve configuration, certificates and handshakes off loopback too.' }),
      tokenFile: z.string().min(1, 'expected a path, relative to this file').optional().meta({
        description: 'A token of at least 32 characters; all but /livez and /readyz then needs Authorization: Bearer.',
      }),
      socket: z.string().min(1, 'expected a path, relative to this file').optional().meta({
        description: 'A UNIX socket (mode 0600) to listen on instead of address and port.',
      }),
    })
    .prefault({}),
  workers: z
    .union([z.literal('auto'), z.int(WORKERS_EXPECTED).min(1, WORKERS_EXPECTED).max(1024, WORKERS_EXPECTED)], {
      error: WORKERS_EXPECTED,
    })
    .default('auto'),
  drain: z
    .strictObject({
      delaySec: integerBetween(0, 3600).default(5),
      timeoutSec: integerBetween(0, 86_400).default(30),
    })
    .prefault({}),
  sessionTickets: z
    .strictObject({
      masterKeyFile: z.string().min(1, 'expected a path, relative to this file').optional().meta({
        description:
          'Secrets of at least 32 bytes that all instances share, one a line, hex or base64, newest first; none: a random one per start.',
      }),
      // RFC 8446 §4.6.1: no ticket lives longer than 7 days.
      rotationSec: integerBetween(10, 604_800)
        .default(28_800)
        .meta({ description: 'How long a ticket key issues; it is accepted for as long again.' }),
      dangerTls12Tickets: z
        .boolean()
        .default(false)
        .meta({ description: 'TLS 1.2 tickets under masterKeyFile too: whoever gets it can read recorded sessions.' }),
    })
    .prefault({}),
  accessLog: z
    .strictObject({
      format: z.literal('json').default('json'),
      destination: z
        .string()
        .min(1, "expected 'stdout' or a path")
        .default('stdout')
        .meta({ description: "'stdout' or a file; the path is relative to this file." }),
      sampleRate: z
        .number('expected a number from 0 to 1')
        .min(0, 'expected a number from 0 to 1')
        .max(1, 'expected a number from 0 to 1')
        .default(1),
      handshakeSampleRate: z
        .number('expected a number from 0 to 1')
        .min(0, 'expected a number from 0 to 1')
        .max(1, 'expected a number from 0 to 1')
        .default(0)
        .meta({
          description:
            'Share of successful handshakes to log with all that the client offered (failed ones always are).',
        }),
      redactQueryValues: z
        .boolean()
        .default(false)
        .meta({ description: "Write '*' for every value in the query of requestUrl and referer." }),
      requestHeaders: z
        .array(
          z
            .string()
            .regex(/^[A-Za-z0-9-]{1,64}$/, 'expected the name of a header field')
            .refine((name) => !CREDENTIALS.has(name.toLowerCase()), {
              error: 'expected a field without credentials; those are never logged',
            })
            .transform((name) => name.toLowerCase()),
        )
        .max(16, 'expected at most 16 names')
        .default([])
        .meta({ description: 'Header fields of requests to log beside User-Agent and Referer; never credentials.' }),
    })
    .prefault({}),
  tracing: z
    .strictObject({
      otlpEndpoint: z
        .url({
          protocol: /^https?$/,
          error: 'expected an http or https URL, for instance http://127.0.0.1:4318/v1/traces',
        })
        .meta({ description: 'Of an OTLP/HTTP collector; it gets a span per sampled request.' }),
      serviceName: z.string().min(1, 'expected a name').default('sallyport'),
      sampleRate: z
        .number('expected a number from 0 to 1')
        .min(0, 'expected a number from 0 to 1')
        .max(1, 'expected a number from 0 to 1')
        .default(0.01),
      followIncomingSampling: z.boolean().default(false).meta({
        description: 'Believe what a request says of its sampling; a stranger could have all of his exported.',
      }),
    })
    .nullable()
    .default(null),
  limits: z
    .strictObject({
      connections: integerBetween(1, 10_000_000).default(20_000),
      connectionsPerAddress: integerBetween(1, 10_000_000).default(1000),
      unfinishedHandshakes: integerBetween(1, 10_000_000).default(2000),
      requestsPerConnection: integerBetween(1, 2_147_483_647).default(10_000),
      concurrentStreams: integerBetween(1, 2_147_483_647).default(128),
      requestsPerAddress: z
        .strictObject({
          perSecond: integerBetween(1, 1_000_000),
          burst: integerBetween(1, 10_000_000)
            .optional()
            .meta({ description: 'At once after a pause; perSecond unless set.' }),
        })
        .optional()
        .meta({
          description: 'Of an IPv4 address or an IPv6 /64, in one worker; 429 beyond it. Not limited unless set.',
        }),
      concurrentRequestsPerAddress: integerBetween(1, 10_000_000)
        .optional()
        .meta({ description: 'In flight, of an address and in one worker; 429 beyond it. Not limited unless set.' }),
      minBodyBytesPerSec: integerBetween(1, 1_000_000_000)
        .default(240)
        .meta({ description: 'A body that moves more slowly, because a client or a backend holds it up, is cut.' }),
      minBodyRateWindowSec: integerBetween(1, 86_400)
        .default(30)
        .meta({ description: 'For how long it must have been too slow.' }),
    })
    .prefault({}),
  dns: z
    .strictObject({
      servers: z
        .array(z.string())
        .max(8, 'expected at most 8 servers')
        .default([])
        .meta({ description: 'IP addresses, with a port where it is not 53; none: those of the system.' }),
      timeoutSec: integerBetween(1, 30).default(2).meta({ description: 'For an answer of one server; asked twice.' }),
      minTtlSec: integerBetween(1, 3600).default(1),
      maxTtlSec: integerBetween(1, 86_400)
        .default(60)
        .meta({ description: 'A name is looked up again after the time to live of its answer, within these bounds.' }),
      dangerAllowPrivateNames: z.array(z.string()).default([]).meta({
        description:
          'Names of endpoints that may lead to loopback, link-local and other addresses that names must not lead to.',
      }),
    })
    .prefault({}),
  proxyProtocol: z
    .array(
      z.strictObject({
        forwardingRule: reference('forwardingRules'),
        trustedSources: z
          .array(z.string('expected an IP address or a CIDR block'))
          .min(1, 'expected at least one IP address or CIDR block')
          .meta({ description: 'Addresses or CIDR blocks of the balancers; connections from elsewhere are closed.' }),
      }),
    )
    .default([])
    .meta({
      description: 'Forwarding rules whose every connection begins with a PROXY protocol header, version 1 or 2.',
    }),
  geoipDatabase: z.string().min(1, 'expected a path, relative to this file').optional().meta({
    description: 'A MaxMind database (.mmdb), relative to this file: what {client_region} and its like are taken from.',
  }),
  forwardedHeader: z.enum(['none', 'replace']).default('none').meta({
    description: "Whether requests get a Forwarded field (RFC 7239); the client's own is removed either way.",
  }),
  dangerBackendMinTlsVersion: z
    .enum(['TLS_1_0', 'TLS_1_1', 'TLS_1_2', 'TLS_1_3'])
    .optional()
    .meta({ description: 'Lowest TLS version towards backends; TLS_1_2 unless set.' }),
});

/** Whoever can read a log must not become somebody by it. */
const CREDENTIALS: ReadonlySet<string> = new Set([
  'authorization',
  'cookie',
  'proxy-authorization',
  'x-api-key',
  'x-auth-token',
  'x-amz-security-token',
  'x-csrf-token',
  'x-xsrf-token',
]);
