import { matchOf } from '../../tls/choose-certificate.ts';
import { entriesOf, mapNameOf } from '../certificate-maps.ts';
import { isHostName } from '../host-name.ts';
import { lastSegment, type Resource, shownField } from '../resource.ts';
import type { Spec } from '../schema/kinds.ts';
import { forEachRepeated, forEachSpec, type RuleContext } from './context.ts';

/** Entries that belong to a map, say for which name, once each, and show certificates that are meant for clients (spec 3.8, 5.2). */
export function checkCertificateMaps(context: RuleContext): void {
  const { graph, findings } = context;
  checkCount(context, 'certificateMaps', MAX_MAPS);
  checkCount(context, 'certificateMapEntries', MAX_ENTRIES);
  const seen = new Map<string, Resource>();
  forEachSpec(graph, 'certificateMapEntries', (entry, spec) => {
    const map = mapNameOf(spec);
    if (map === null) {
      findings.error(
        entry,
        [],
        "Cannot accept the entry: found no 'map', expected the name of a certificate map; add it",
      );
    }
    checkHostname(entry, spec, context);
    const key = JSON.stringify([map, spec.hostname?.toLowerCase() ?? null]);
    const first = seen.get(key);
    if (first === undefined) seen.set(key, entry);
    else {
      findings.error(
        entry,
        [spec.hostname === undefined ? 'matcher' : 'hostname'],
        `Cannot accept the entry: ${first.label} of the same map is for that already; remove one`,
      );
    }
    checkCertificates(entry, spec, context);
  });
  forEachSpec(graph, 'certificateMaps', (map) => {
    if (entriesOf(graph, map).length > 0 || findings.errors > 0) return;
    findings.error(
      map,
      [],
      'Cannot use the map: found no entry, so that every handshake would fail; add certificateMapEntries',
    );
  });
}

function checkHostname(
  entry: Resource<'certificateMapEntries'>,
  { hostname, matcher }: Spec<'certificateMapEntries'>,
  { findings }: RuleContext,
): void {
  if ((hostname === undefined) === (matcher === undefined)) {
    const found = hostname === undefined ? 'neither hostname nor matcher' : 'both hostname and matcher';
    findings.error(
      entry,
      [],
      `Cannot accept the entry: found ${found}, expected one; write hostname or matcher: PRIMARY`,
    );
    return;
  }
  if (hostname === undefined || isHostName(hostname.startsWith('*.') ? hostname.slice(2) : hostname)) return;
  findings.error(
    entry,
    ['hostname'],
    `Cannot accept hostname: found ${shownField(entry, ['hostname'])}, expected a host name, or *. and one; correct it`,
  );
}

function checkCertificates(
  entry: Resource<'certificateMapEntries'>,
  spec: Spec<'certificateMapEntries'>,
  { graph, findings, certificates }: RuleContext,
): void {
  forEachRepeated(spec.certificates.map(lastSegment), (index, first) => {
    findings.error(
      entry,
      ['certificates', index],
      `Cannot accept certificates[${index}]: it is certificates[${first}] already; remove one`,
    );
  });
  const hostname = spec.hostname?.toLowerCase();
  for (const [index, reference] of spec.certificates.entries()) {
    const resource = graph.resolve('certificates', reference);
    if (resource?.spec?.scope === 'CLIENT_AUTH') {
      findings.error(
        entry,
        ['certificates', index],
        `Cannot accept certificates[${index}]: ${resource.label} has scope CLIENT_AUTH, expected DEFAULT or ALL_REGIONS; use one that is meant for clients`,
      );
      continue;
    }
    const certificate = resource === null ? undefined : certificates.get(resource);
    if (certificate === undefined || resource === null || hostname === undefined) continue;
    const isCovered = certificate.hostNames.includes(hostname) || matchOf(certificate, hostname) !== null;
    if (isCovered) continue;
    findings.warning(
      resource,
      ['selfManaged'],
      `${entry.label} serves this certificate for ${hostname}, which it does not cover: clients will refuse it; issue it for that name too`,
    );
  }
}

function checkCount(
  { graph, findings }: RuleContext,
  kind: 'certificateMaps' | 'certificateMapEntries',
  most: number,
): void {
  const all = graph.all(kind);
  const surplus = all[most];
  if (surplus === undefined) return;
  findings.error(surplus, [], `Cannot accept ${kind}: found ${all.length}, expected at most ${most}; remove some`);
}

const MAX_MAPS = 100; // spec 5.2
const MAX_ENTRIES = 5000;
