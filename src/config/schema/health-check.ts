import { z } from 'zod';
import { computeName, integerBetween, onlyNeutral, resource } from './fields.ts';

/** Spec 3.7. Google sets no port of its own here where USE_SERVING_PORT is meant; a probe without a port goes where the traffic goes. */
const where = {
  port: integerBetween(1, 65_535).optional(),
  portSpecification: z.enum(['USE_FIXED_PORT', 'USE_SERVING_PORT']).optional(),
  proxyHeader: onlyNeutral('NONE'),
};

const tcp = z.strictObject({
  ...where,
  request: ascii('Sent once connected.').optional(),
  response: ascii('How the answer must begin.').optional(),
});

const http = z.strictObject({
  ...where,
  host: z
    .string()
    .regex(/^[A-Za-z0-9._:[\]-]{0,253}$/, 'expected a host name')
    .optional()
    .meta({ description: "Host of the request; the endpoint's address by default." }),
  requestPath: z
    .string()
    .regex(/^\/[\x21-\x7e]{0,2047}$/, 'expected a path that begins with / and has no spaces')
    .default('/'),
  response: ascii("What the first 1,024 bytes of the answer's body must hold.").optional(),
});

const grpc = z.strictObject({
  ...where,
  grpcServiceName: ascii('Service to ask for; empty: the server as a whole.').optional(),
});

export const healthCheckSchema = resource('healthChecks', {
  name: computeName(),
  type: z.enum(['TCP', 'SSL', 'HTTP', 'HTTPS', 'HTTP2', 'GRPC', 'GRPC_WITH_TLS']),
  checkIntervalSec: integerBetween(1, 300).default(5),
  timeoutSec: integerBetween(1, 300).default(5),
  healthyThreshold: integerBetween(1, 10).default(2),
  unhealthyThreshold: integerBetween(1, 10).default(2),
  tcpHealthCheck: tcp.optional(),
  sslHealthCheck: tcp.optional(),
  httpHealthCheck: http.optional(),
  httpsHealthCheck: http.optional(),
  http2HealthCheck: http.optional(),
  grpcHealthCheck: grpc.optional(),
  tlsAuthentication: z.boolean().default(true).meta({
    description:
      "Sallyport's own. TLS probes of the serving port use the identity and trust of the traffic; false: any certificate will do, as with the original.",
  }),
});

function ascii(description: string) {
  return z
    .string()
    .regex(/^[\x20-\x7e\r\n]{0,1024}$/, 'expected at most 1024 ASCII characters')
    .meta({ description });
}
