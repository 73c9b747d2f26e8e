import { z } from 'zod';
import { computeName, reference, resource } from './fields.ts';

export const forwardingRuleSchema = resource('forwardingRules', {
  name: computeName(),
  IPAddress: z
    .string('expected an IP literal')
    .meta({ description: 'IP literal to listen on, for instance 127.0.0.1, 0.0.0.0 or "::" (both families).' }),
  IPProtocol: z.literal('TCP').default('TCP'),
  portRange: z
    .union([z.string(), z.int()], { error: 'expected one port, such as "8443"' })
    .meta({ description: 'One port: "8443" or "8443-8443"; "0" takes any free one.' }),
  target: reference('targetHttpsProxies', 'targetHttpProxies', 'targetSslProxies', 'targetTcpProxies'),
});
