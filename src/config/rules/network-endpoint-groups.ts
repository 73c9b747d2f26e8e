import { addressReaches, normalAddress, singlePort } from '../address.ts';
import { isHostName } from '../host-name.ts';
import { type Resource, shownField } from '../resource.ts';
import type { Spec } from '../schema/kinds.ts';
import { forEachRepeated, forEachSpec, type RuleContext } from './context.ts';

type Group = Spec<'networkEndpointGroups'>;

/** Each endpoint has the kind of address its group wants, and a port; none is this proxy itself (security rule 36). */
export function checkNetworkEndpointGroups(context: RuleContext): void {
  const { graph, findings } = context;
  const doors = ownDoors(context);
  forEachSpec(graph, 'networkEndpointGroups', (group, spec) => {
    const before = findings.errors;
    for (const [index, endpoint] of spec.endpoints.entries()) {
      const at = ['endpoints', index];
      const problem = hostProblem(group, spec, index);
      if (problem !== null) findings.error(group, [...at, problem.field], problem.message);
      if (endpoint.port === undefined && spec.defaultPort === undefined) {
        findings.error(
          group,
          at,
          `Cannot accept endpoints[${index}]: found neither its port nor defaultPort, expected one; add it`,
        );
      }
    }
    if (spec.endpoints.length === 0)
      findings.warning(group, [], 'This group has no endpoints: requests to it get 503; add endpoints');
    if (findings.errors > before) return;
    for (const [index, endpoint] of spec.endpoints.entries()) {
      const address = normalAddress(endpoint.ipAddress ?? '');
      const port = endpoint.port ?? spec.defaultPort;
      const door = address && doors.find((own) => own.port === port && addressReaches(own.address, address));
      if (!door) continue;
      findings.error(
        group,
        ['endpoints', index],
        `Cannot accept endpoints[${index}]: ${door.label} listens there, so that requests would come back to this proxy; correct it`,
      );
    }
    const hosts = spec.endpoints.map((endpoint) => {
      const host = endpoint.fqdn?.toLowerCase() ?? normalAddress(endpoint.ipAddress ?? '') ?? '';
      return `${host} port ${endpoint.port ?? spec.defaultPort}`;
    });
    forEachRepeated(hosts, (index, first) => {
      findings.error(
        group,
        ['endpoints', index],
        `Cannot accept endpoints[${index}]: it is endpoints[${first}] already; remove one`,
      );
    });
  });
}

interface Door {
  readonly label: string;
  readonly address: string;
  readonly port: number;
}

function ownDoors({ graph, settings }: RuleContext): readonly Door[] {
  const doors: Door[] = [];
  const add = (label: string, text: string, port: number | null) => {
    const address = normalAddress(text);
    if (address !== null && port !== null && port !== 0) doors.push({ label, address, port });
  };
  if (settings !== null && settings.admin.socket === undefined)
    add('sallyport.admin', settings.admin.address, settings.admin.port);
  forEachSpec(graph, 'forwardingRules', (rule, spec) => add(rule.label, spec.IPAddress, singlePort(spec.portRange)));
  return doors;
}

function hostProblem(
  group: Resource,
  spec: Group,
  index: number,
): { readonly field: string; readonly message: string } | null {
  const endpoint = spec.endpoints[index];
  const [wanted, other] =
    spec.networkEndpointType === 'INTERNET_FQDN_PORT'
      ? (['fqdn', 'ipAddress'] as const)
      : (['ipAddress', 'fqdn'] as const);
  if (endpoint?.[other] !== undefined) {
    const advice =
      other === 'fqdn'
        ? 'write ipAddress, or networkEndpointType: INTERNET_FQDN_PORT'
        : 'write fqdn, or another networkEndpointType';
    return {
      field: other,
      message: `Cannot accept endpoints[${index}].${other}: found it in a group of type ${spec.networkEndpointType}, expected ${wanted}; ${advice}`,
    };
  }
  const value = endpoint?.[wanted];
  const field = ['endpoints', index, wanted];
  if (value === undefined)
    return {
      field: wanted,
      message: `Cannot accept endpoints[${index}]: '${wanted}' is missing, expected it in a group of type ${spec.networkEndpointType}; add it`,
    };
  const isRight = wanted === 'fqdn' ? isHostName(value) : isEndpointAddress(value);
  if (isRight) return null;
  const expected =
    wanted === 'fqdn'
      ? 'expected a DNS name of letters, digits and hyphens without trailing dot'
      : 'expected an IP literal of one host';
  return {
    field: wanted,
    message: `Cannot accept endpoints[${index}].${wanted}: found ${shownField(group, field)}, ${expected}; correct it`,
  };
}

/** Unspecified addresses cannot be dialled. */
function isEndpointAddress(text: string): boolean {
  const address = normalAddress(text);
  return address !== null && address !== '::' && address !== '0.0.0.0';
}
