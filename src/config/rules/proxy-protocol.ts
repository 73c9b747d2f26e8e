import { cidrBlock } from '../cidr.ts';
import { lastSegment, type Section, shownField } from '../resource.ts';
import { forEachRepeated, type RuleContext } from './context.ts';

/** Each rule once, an existing one, and sources that are some and not everybody (security rule 35). */
export function checkProxyProtocol({ graph, findings, settings }: RuleContext, section: Section | null): void {
  if (settings === null || section === null) return;
  const { proxyProtocol } = settings;
  for (const [index, { forwardingRule, trustedSources }] of proxyProtocol.entries()) {
    const path = ['proxyProtocol', index] as const;
    if (graph.resolve('forwardingRules', forwardingRule) === null) {
      const shown = shownField(section, [...path, 'forwardingRule']);
      findings.error(
        section,
        [...path, 'forwardingRule'],
        `Cannot resolve ${shown}: found no such resource in forwardingRules; name a rule or remove the entry`,
      );
    }
    for (const [at, source] of trustedSources.entries()) {
      const sourcePath = [...path, 'trustedSources', at];
      const block = cidrBlock(source);
      if (block === null) {
        findings.error(
          section,
          sourcePath,
          `Cannot accept trustedSources[${at}]: found ${shownField(section, sourcePath)}, expected an IP address or a CIDR block; write for instance 192.0.2.0/24`,
        );
      } else if (block.prefixLength === 0) {
        findings.error(
          section,
          sourcePath,
          `Cannot accept trustedSources[${at}]: ${shownField(section, sourcePath)} is everybody, and whoever is trusted can claim any address; write the addresses of the balancers`,
        );
      }
    }
  }
  const rules = proxyProtocol.map(({ forwardingRule }) => lastSegment(forwardingRule));
  forEachRepeated(rules, (index, first) => {
    findings.error(
      section,
      ['proxyProtocol', index, 'forwardingRule'],
      `Cannot accept proxyProtocol[${index}]: proxyProtocol[${first}] is for the same rule; merge the two`,
    );
  });
}
