import { matchOf } from '../../tls/choose-certificate.ts';
import { effectivePolicy } from '../../tls/ssl-policy.ts';
import { entriesOf } from '../certificate-maps.ts';
import { isHostName } from '../host-name.ts';
import type { LinkedCertificate } from '../linked.ts';
import type { Resource } from '../resource.ts';
import { type Spec, TLS_TARGET_KINDS, type TlsTargetKind } from '../schema/kinds.ts';
import { forEachSpec, type RuleContext } from './context.ts';
import { servedResources } from './tls-proxies.ts';

interface Served {
  readonly resource: Resource;
  readonly certificate: LinkedCertificate;
}

/**
 * What the certificates of a proxy are together: whether the hosts that it routes are covered, and whether each has a twin of the
 * other key type where that matters. All of it warnings on the certificate, as they end up in /certificates.
 */
export function checkServedCertificates(context: RuleContext): void {
  for (const kind of TLS_TARGET_KINDS)
    forEachSpec(context.graph, kind, (proxy, spec) => {
      const served = servedResources(spec, context).flatMap(({ resource }) => {
        const certificate = context.certificates.get(resource);
        return certificate === undefined ? [] : [{ resource, certificate }];
      });
      if (served.length === 0) return;
      warnOfUncoveredHosts(proxy, spec, served, context);
      if (spec.certificateMap === undefined) warnOfMissingTwins(proxy, spec, served, context);
      else
        for (const entry of entriesOfProxy(spec, context))
          warnOfMissingTwins(entry, spec, servedBy(entry, served, context), context);
    });
}

/** A host of the URL map that no certificate is for gets the default one, or with a map without PRIMARY no handshake. */
function warnOfUncoveredHosts(
  proxy: Resource,
  spec: Spec<TlsTargetKind>,
  served: readonly Served[],
  context: RuleContext,
): void {
  if (!('urlMap' in spec)) return; // nobody knows whom the clients of a stream look for
  const urlMap = context.graph.resolve('urlMaps', spec.urlMap)?.spec ?? null;
  const hosts = new Set(urlMap?.hostRules.flatMap((rule) => rule.hosts.map((host) => host.toLowerCase())));
  for (const written of hosts) {
    const host = written.replace(/:\d+$/, '');
    if (!isHostName(host.startsWith('*.') ? host.slice(2) : host)) continue; // '*', or an address
    if (served.some(({ certificate }) => covers(certificate, host))) continue;
    const answer = answerFor(host, spec, served, context);
    if (answer === null) continue;
    context.findings.warning(
      answer.resource,
      ['name'],
      `${proxy.label} routes ${host} and shows this certificate for it, which does not cover it: clients will refuse it; issue one for that name`,
    );
  }
}

/** Whom a client of this host is shown, from certificates none of which covers it. */
function answerFor(
  host: string,
  spec: Spec<TlsTargetKind>,
  served: readonly Served[],
  context: RuleContext,
): Served | null {
  if (spec.certificateMap === undefined) return served[0] ?? null;
  const entries = entriesOfProxy(spec, context);
  if (entries.some((entry) => entry.spec?.hostname?.toLowerCase() === host)) return null; // warned about at the entry
  const primary = entries.find((entry) => entry.spec?.matcher === 'PRIMARY');
  return primary === undefined ? null : (servedBy(primary, served, context)[0] ?? null);
}

/**
 * Old clients may lack ECDSA, new ones are faster with it. One certificate alone is a choice; among several, one without a twin
 * beside others with one looks forgotten, and so does ECDSA alone where a policy lets TLS 1.0 or 1.1 in.
 */
function warnOfMissingTwins(
  at: Resource,
  spec: Spec<TlsTargetKind>,
  served: readonly Served[],
  { graph, findings, nowMs }: RuleContext,
): void {
  const lacking = served.filter((one) => !served.some((other) => isTwin(one.certificate, other.certificate)));
  if (lacking.length > 0 && lacking.length < served.length) {
    for (const { resource, certificate } of lacking) {
      const [own, other] = certificate.keyType === 'RSA' ? ['RSA', 'ECDSA'] : ['ECDSA', 'RSA'];
      findings.warning(
        resource,
        ['name'],
        `${at.label} has no ${other} certificate for the names of this ${own} one, while its others come in pairs: ${own === 'ECDSA' ? 'clients without ECDSA cannot connect' : 'every handshake pays for RSA'}; add its twin`,
      );
    }
    return;
  }
  const policy = graph.resolve('sslPolicies', spec.sslPolicy)?.spec ?? null;
  if (policy === null && spec.sslPolicy !== undefined) return; // reported elsewhere
  const { minVersion } = effectivePolicy(policy === null ? null : { ...policy }, nowMs);
  if (minVersion !== 'TLSv1' && minVersion !== 'TLSv1.1') return;
  for (const { resource, certificate } of lacking) {
    if (certificate.keyType === 'RSA') continue;
    findings.warning(
      resource,
      ['name'],
      `${at.label} lets TLS 1.0 or 1.1 in, but has no RSA certificate for the names of this ECDSA one: clients that old often know only RSA; add its twin`,
    );
  }
}

function isTwin(one: LinkedCertificate, other: LinkedCertificate): boolean {
  if ((one.keyType === 'RSA') === (other.keyType === 'RSA')) return false;
  return one.hostNames.every((name) => covers(other, name));
}

function covers(certificate: LinkedCertificate, host: string): boolean {
  return certificate.hostNames.includes(host) || matchOf(certificate, host) !== null;
}

function entriesOfProxy(
  spec: Spec<TlsTargetKind>,
  { graph }: RuleContext,
): readonly Resource<'certificateMapEntries'>[] {
  const map = graph.resolve('certificateMaps', spec.certificateMap);
  return map === null ? [] : entriesOf(graph, map);
}

function servedBy(
  entry: Resource<'certificateMapEntries'>,
  served: readonly Served[],
  { graph }: RuleContext,
): readonly Served[] {
  const resources = (entry.spec?.certificates ?? []).map((reference) => graph.resolve('certificates', reference));
  return served.filter(({ resource }) => resources.some((candidate) => candidate === resource));
}
