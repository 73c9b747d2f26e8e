import { isStreamed } from '../backend-identity.ts';
import { type Resource, shownField } from '../resource.ts';
import { serviceReferences } from '../url-map-places.ts';
import { nodeAt, type Path } from '../written.ts';
import { forEachSpec, type RuleContext } from './context.ts';

/** Requests go to services that speak HTTP, streams to those that do not (spec 2.7, table 1 of F9; 3.3). */
export function checkStreamProxies(context: RuleContext): void {
  for (const kind of ['targetSslProxies', 'targetTcpProxies'] as const) {
    forEachSpec(context.graph, kind, (proxy, { service }) => {
      checkService(proxy, ['service'], service, 'stream', context);
    });
  }
  forEachSpec(context.graph, 'urlMaps', (map, spec) => {
    for (const reference of serviceReferences(map.spec ?? spec)) checkService(map, [], reference, 'http', context);
  });
  forEachSpec(context.graph, 'backendServices', (service, spec) => {
    if (!isStreamed(spec)) return;
    for (const field of ['customRequestHeaders', 'customResponseHeaders'] as const) {
      if (spec[field].length === 0) continue;
      context.findings.error(
        service,
        [field],
        `Cannot accept ${field}: found protocol ${spec.protocol}, which carries no headers; remove it`,
      );
    }
    warnOfRequestSettings(service, context);
  });
}

/** What is about requests and their answers does nothing for streams, which must be said rather than found out. */
function warnOfRequestSettings(service: Resource<'backendServices'>, { findings }: RuleContext): void {
  for (const [path, instead] of REQUEST_SETTINGS) {
    if (!isWritten(service, path)) continue;
    const message = `${path.join('.')} has no effect with protocol ${service.spec?.protocol}: ${instead}`;
    findings.warning(service, path, message);
  }
}

function isWritten({ node }: Resource, path: Path): boolean {
  return nodeAt(node, path).found;
}

function checkService(
  at: Resource,
  path: Path,
  reference: string,
  wanted: 'stream' | 'http',
  { graph, findings }: RuleContext,
): void {
  const service = graph.resolve('backendServices', reference);
  if (service === null || service.spec === null || isStreamed(service.spec) === (wanted === 'stream')) return;
  const what = path.length === 0 ? 'the URL map' : `service ${shownField(at, path)}`;
  const expected = wanted === 'stream' ? 'TCP or SSL' : 'HTTP, HTTPS, HTTP2 or H2C';
  const advice =
    wanted === 'stream'
      ? 'change it, or lead to it by a URL map'
      : 'change it, or lead to it by a target SSL or TCP proxy';
  findings.error(
    at,
    path,
    `Cannot accept ${what}: found ${service.label} with protocol ${service.spec.protocol}, expected ${expected}; ${advice}`,
  );
}

const ONLY_CONNECTIONS = 'of circuitBreakers only maxConnections counts for streams';
const REQUEST_SETTINGS: readonly (readonly [Path, string])[] = [
  [['outlierDetection'], 'it judges answers to requests; a health check finds out whether an endpoint serves streams'],
  [['maxStreamDuration'], 'it is for HTTP; timeoutSec is how long neither side of a stream may send anything'],
  [['circuitBreakers', 'maxPendingRequests'], ONLY_CONNECTIONS],
  [['circuitBreakers', 'maxRequests'], ONLY_CONNECTIONS],
  [['circuitBreakers', 'maxRetries'], ONLY_CONNECTIONS],
  [['circuitBreakers', 'maxRequestsPerConnection'], ONLY_CONNECTIONS],
];
