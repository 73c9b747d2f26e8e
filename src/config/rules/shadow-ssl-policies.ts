import { lastSegment } from '../resource.ts';
import { TLS_TARGET_KINDS } from '../schema/kinds.ts';
import { forEachRepeated, forEachSpec, type RuleContext } from './context.ts';

/** Each policy in the shadow once, and none that is enforced anyway. */
export function checkShadowSslPolicies({ graph, findings }: RuleContext): void {
  for (const kind of TLS_TARGET_KINDS)
    forEachSpec(graph, kind, (proxy, spec) => {
      const names = spec.shadowSslPolicies.map(lastSegment);
      forEachRepeated(names, (index, first) => {
        findings.error(
          proxy,
          ['shadowSslPolicies', index],
          `Cannot accept shadowSslPolicies[${index}]: it is shadowSslPolicies[${first}] already; remove one`,
        );
      });
      const enforced = spec.sslPolicy === undefined ? -1 : names.indexOf(lastSegment(spec.sslPolicy));
      if (enforced === -1) return;
      findings.warning(
        proxy,
        ['shadowSslPolicies', enforced],
        'This policy is enforced by the same proxy: its shadow can only repeat that; remove it from one of the two',
      );
    });
}
