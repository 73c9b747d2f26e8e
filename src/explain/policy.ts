import type { LinkedTlsProxy } from '../config/linked.ts';
import { effectivePolicy, type PolicyWarning } from '../tls/ssl-policy.ts';
import { certificateCollection, type NegotiatedTerms, negotiatedTerms, termsText } from './certificate.ts';
import type { ExplainedClient } from './client.ts';
import { predictFor } from './predict-for.ts';
import { counted, table } from './text.ts';

export interface PolicyExplanation {
  readonly collection: LinkedTlsProxy['kind'];
  readonly proxy: string;
  /** null: none attached. */
  readonly sslPolicy: string | null;
  readonly profile: string;
  /** The minimum that is really in force. */
  readonly minVersion: string;
  readonly maxVersion: string;
  /** In server preference, as everything below. */
  readonly tls13Suites: readonly string[];
  /** For TLS <= 1.2; empty where the minimum is TLS 1.3. */
  readonly suites: readonly string[];
  readonly groups: readonly string[];
  readonly signatureSchemes: readonly string[];
  readonly enabledFeatures: readonly string[];
  readonly warnings: readonly PolicyWarning[];
  /** What the certificates below are of. */
  readonly certificateCollection: 'sslCertificates' | 'certificates';
  /** The name that the clients below ask for. */
  readonly sni: string | null;
  readonly clients: readonly ClientOutcome[];
}

export interface ClientOutcome {
  readonly ok: boolean;
  readonly name: string;
  readonly title: string;
  readonly origin: string;
  readonly certificate: string | null;
  readonly negotiated: NegotiatedTerms | null;
  readonly failure: { readonly reason: string; readonly detail: string } | null;
}

/** What the proxy's policy comes down to, and what each client would get. */
export function explainPolicy(
  proxy: LinkedTlsProxy,
  clients: readonly ExplainedClient[],
  serverName: string | null,
  nowMs: number,
): PolicyExplanation {
  const policy = effectivePolicy(proxy.sslPolicy, nowMs);
  return {
    collection: proxy.kind,
    proxy: proxy.name,
    sslPolicy: policy.name,
    profile: policy.profile,
    minVersion: policy.minVersion,
    maxVersion: policy.maxVersion,
    tls13Suites: policy.tls13Suites.map(({ name }) => name),
    suites: policy.minVersion === 'TLSv1.3' ? [] : policy.suites.map(({ name }) => name),
    groups: policy.groups.map(({ name }) => name),
    signatureSchemes: policy.signatureSchemes.map(({ name }) => name),
    enabledFeatures: policy.enabledFeatures,
    warnings: policy.warnings,
    certificateCollection: certificateCollection(proxy),
    sni: serverName,
    clients: clients.map((client) => {
      const { name, title, origin } = client;
      const prediction = predictFor(proxy, client.hello(serverName), policy, nowMs);
      return {
        ok: prediction.ok,
        name,
        title,
        origin,
        certificate: prediction.ok ? prediction.certificate.name : null,
        negotiated: negotiatedTerms(prediction),
        failure: prediction.ok ? null : { reason: prediction.reason, detail: prediction.detail },
      };
    }),
  };
}

/** A name that the proxy's first certificate covers, for clients to ask for. */
export function usualName(proxy: LinkedTlsProxy): string | null {
  const names = proxy.certificates[0]?.hostNames ?? [];
  const name = names.find((candidate) => candidate.includes('.')) ?? names[0]; // a common name without a dot is hardly asked for
  return name === undefined ? null : name.replace(/^\*/, 'www');
}

export function policyText(explanation: PolicyExplanation): string {
  const name = explanation.sslPolicy === null ? 'none attached' : `sslPolicies/${explanation.sslPolicy}`;
  let text = `${explanation.collection}/${explanation.proxy}: ${name}\n`;
  text += table([
    ['profile', explanation.profile],
    ['versions', `${explanation.minVersion} to ${explanation.maxVersion}`],
    ['TLS 1.3 suites', explanation.tls13Suites.join(', ')],
    ...listRows('TLS <= 1.2 suites', explanation.suites),
    ['groups', explanation.groups.join(', ')],
    ...listRows('signatures', explanation.signatureSchemes),
    ['enabledFeatures', `${explanation.enabledFeatures.length} suites, as the original counts them`],
  ]);
  text += '  (each list in the order of server preference)\n';
  for (const { code, message } of explanation.warnings) text += `warning ${code}: ${message}\n`;
  if (explanation.clients.length === 0) return text;
  text += `\nclients that ask for ${explanation.sni ?? 'no name'}:\n`;
  const [only] = explanation.clients;
  if (explanation.clients.length === 1 && only !== undefined) return text + oneClientText(only, explanation);
  text += table(explanation.clients.map(clientRow));
  const connected = explanation.clients.filter(({ ok }) => ok);
  const postQuantum = connected.filter(({ negotiated }) => isPostQuantum(negotiated?.group ?? null)).length;
  const shown = counted(explanation.clients.length, 'client');
  return `${text}${connected.length} of ${shown} connect, ${postQuantum} with post-quantum key exchange\n`;
}

/** Hybrids of ML-KEM, and Kyber before it. */
export function isPostQuantum(group: string | null): boolean {
  return group !== null && /MLKEM|Kyber/i.test(group);
}

function listRows(title: string, items: readonly string[]): readonly (readonly string[])[] {
  if (items.length === 0) return [[title, 'none']];
  return items.map((item, index) => [index === 0 ? title : '', item]);
}

function clientRow({ name, negotiated, certificate, failure }: ClientOutcome): readonly string[] {
  if (failure !== null) return [name, 'fails', `${failure.reason}: ${failure.detail}`];
  const { version, suite, group, alpn } = negotiated!;
  return [
    name,
    version,
    `${suite}, ${group ?? 'RSA key exchange'}, ${certificate}, ${alpn === 'none' ? 'no ALPN' : alpn}`,
  ];
}

function oneClientText(
  { title, origin, negotiated, certificate, failure }: ClientOutcome,
  { certificateCollection: collection }: PolicyExplanation,
): string {
  const outcome =
    failure === null
      ? table([
          ['negotiates', termsText(negotiated!)],
          ['certificate', `${collection}/${certificate}`],
          ['ALPN', negotiated!.alpn === 'none' ? 'none' : negotiated!.alpn],
        ])
      : table([['fails', `${failure.reason}: ${failure.detail}`]]);
  return `  ${title} (${origin})\n${outcome}`;
}
