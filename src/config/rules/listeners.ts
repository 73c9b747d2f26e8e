import { addressesCollide, normalAddress, singlePort } from '../address.ts';
import { shownField } from '../resource.ts';
import { forEachSpec, type RuleContext } from './context.ts';

/** Addresses and ports of forwarding rules and of the admin server; no two of them on one. */
export function checkListeners({ graph, findings, settings }: RuleContext): void {
  const taken: { readonly label: string; readonly address: string; readonly port: number }[] = [];
  if (settings !== null && settings.admin.socket === undefined) {
    const address = normalAddress(settings.admin.address);
    if (address !== null) taken.push({ label: 'sallyport.admin', address, port: settings.admin.port });
  }
  forEachSpec(graph, 'forwardingRules', (rule, spec) => {
    const address = normalAddress(spec.IPAddress);
    const port = singlePort(spec.portRange);
    if (address === null) {
      findings.error(
        rule,
        ['IPAddress'],
        `Cannot accept IPAddress: found ${shownField(rule, ['IPAddress'])}, expected an IP literal; write for instance 127.0.0.1, 0.0.0.0 or "::"`,
      );
    }
    if (port === null) {
      findings.error(
        rule,
        ['portRange'],
        `Cannot accept portRange: found ${shownField(rule, ['portRange'])}, expected one port from 0 to 65535 ("8443" or "8443-8443"); write a rule for each port`,
      );
    }
    if (address === null || port === null) return;
    const other =
      port === 0 ? undefined : taken.find((one) => one.port === port && addressesCollide(one.address, address));
    if (other !== undefined) {
      findings.error(
        rule,
        ['portRange'],
        `Cannot listen on ${shownField(rule, ['IPAddress'])} port ${shownField(rule, ['portRange'])}: ${other.label} takes that address and port already; change one of them`,
      );
    }
    taken.push({ label: rule.label, address, port });
  });
}
