import { SETTINGS_OF } from '../link-health-check.ts';
import { forEachSpec, type RuleContext } from './context.ts';

/** A health check has the settings of its type and of no other, and ends before the next one begins (spec 3.7). */
export function checkHealthChecks({ graph, findings }: RuleContext): void {
  forEachSpec(graph, 'healthChecks', (check, spec) => {
    const own = SETTINGS_OF[spec.type];
    for (const field of new Set(Object.values(SETTINGS_OF))) {
      if (field === own || spec[field] === undefined) continue;
      findings.error(
        check,
        [field],
        `Cannot accept ${field}: found it in a health check of type ${spec.type}, expected ${own}; change the type or remove it`,
      );
    }
    if (spec.timeoutSec > spec.checkIntervalSec) {
      findings.error(
        check,
        ['timeoutSec'],
        `Cannot accept timeoutSec: found ${spec.timeoutSec}, expected at most checkIntervalSec, which is ${spec.checkIntervalSec}; lower it`,
      );
    }
    const settings = spec[own];
    const { port, portSpecification } = settings ?? {};
    if (portSpecification === 'USE_SERVING_PORT' && port !== undefined) {
      findings.error(
        check,
        [own, 'port'],
        `Cannot accept ${own}.port: found it beside portSpecification: USE_SERVING_PORT, expected one of the two; remove one`,
      );
    }
    if (portSpecification === 'USE_FIXED_PORT' && port === undefined) {
      findings.error(
        check,
        [own, 'portSpecification'],
        `Cannot accept ${own}.portSpecification: found USE_FIXED_PORT without port, expected it; add it`,
      );
    }
    if (!spec.tlsAuthentication && TLS_TYPES.has(spec.type)) {
      findings.warning(
        check,
        ['tlsAuthentication'],
        'Probes accept any certificate: an endpoint can be healthy although requests to it fail verification; remove it unless that is meant',
      );
    }
  });
}

const TLS_TYPES: ReadonlySet<string> = new Set(['SSL', 'HTTPS', 'HTTP2', 'GRPC_WITH_TLS']);
