import type { LinkedTlsProxy } from '../config/linked.ts';
import type { CertificateEntry } from '../tls/certificate-entry.ts';
import { matchOf, type SniMatch } from '../tls/choose-certificate.ts';
import { ja4 } from '../tls/ja4.ts';
import type { Prediction } from '../tls/predict.ts';
import { effectivePolicy } from '../tls/ssl-policy.ts';
import type { ExplainedClient } from './client.ts';
import { predictFor } from './predict-for.ts';
import { instant, table } from './text.ts';

export interface CertificateExplanation {
  /** The handshake gets to a certificate and agrees on everything. */
  readonly ok: boolean;
  readonly collection: LinkedTlsProxy['kind'];
  readonly proxy: string;
  /** null: none attached. */
  readonly sslPolicy: string | null;
  readonly client: { readonly name: string; readonly title: string; readonly origin: string; readonly ja4: string };
  /** What the hello asks for; null: no SNI. */
  readonly sni: string | null;
  readonly steps: readonly string[];
  readonly certificate: ServedCertificate | null;
  readonly negotiated: NegotiatedTerms | null;
  readonly failure: { readonly reason: string; readonly detail: string } | null;
  /** What the proxy does not mind, but the client may. */
  readonly notes: readonly string[];
}

export interface ServedCertificate {
  readonly name: string;
  readonly collection: 'sslCertificates' | 'certificates';
  readonly keyType: string;
  readonly keyBits: number;
  readonly hostNames: readonly string[];
  /** ISO 8601. */
  readonly notBefore: string;
  readonly notAfter: string;
  readonly match: SniMatch;
}

export interface NegotiatedTerms {
  readonly version: string;
  readonly suite: string;
  /** null: key exchange by RSA. */
  readonly group: string | null;
  /** null below TLS 1.2. */
  readonly signatureScheme: string | null;
  readonly helloRetryRequest: boolean;
  /** 'none': the client sends no ALPN, hence HTTP/1.1; or the proxy carries streams and answers none. */
  readonly alpn: string;
}

/** Which certificate the proxy shows to this client for this name, and why. `serverName` undefined: what the client's hello asks for. */
export function explainCertificate(
  proxy: LinkedTlsProxy,
  client: ExplainedClient,
  serverName: string | null | undefined,
  nowMs: number,
): CertificateExplanation {
  const hello = client.hello(serverName);
  const steps: string[] = [];
  const prediction = predictFor(proxy, hello, effectivePolicy(proxy.sslPolicy, nowMs), nowMs, steps);
  return {
    ok: prediction.ok,
    collection: proxy.kind,
    proxy: proxy.name,
    sslPolicy: proxy.sslPolicy?.name ?? null,
    client: { name: client.name, title: client.title, origin: client.origin, ja4: ja4(hello) },
    sni: hello.serverName,
    steps,
    certificate: prediction.ok ? servedCertificate(prediction.certificate, proxy, prediction.match) : null,
    negotiated: negotiatedTerms(prediction),
    failure: prediction.ok ? null : { reason: prediction.reason, detail: prediction.detail },
    notes: notesOf(prediction, hello.serverName, serverName ?? null, nowMs),
  };
}

export function negotiatedTerms(prediction: Prediction): NegotiatedTerms | null {
  if (!prediction.ok) return null;
  return {
    version: prediction.version,
    suite: prediction.suite.name,
    group: prediction.group?.name ?? null,
    signatureScheme: prediction.scheme?.name ?? null,
    helloRetryRequest: prediction.helloRetryRequest,
    alpn: prediction.alpn,
  };
}

/** Of the certificates that the proxy may serve. */
export function certificateCollection({ certificateMap }: LinkedTlsProxy): ServedCertificate['collection'] {
  return certificateMap === null ? 'sslCertificates' : 'certificates';
}

export function certificateText(explanation: CertificateExplanation, nowMs: number): string {
  const { client, certificate, negotiated, failure } = explanation;
  const policy = explanation.sslPolicy === null ? 'no SSL policy' : `sslPolicies/${explanation.sslPolicy}`;
  let text = `${explanation.collection}/${explanation.proxy} (${policy}), asked by ${client.title} for ${explanation.sni ?? 'no name (no SNI)'}\n`;
  text += `  hello: ${client.origin}; JA4 ${client.ja4}\n\n`;
  text += explanation.steps.map((step, index) => `${String(index + 1).padStart(3)}. ${step}\n`).join('');
  if (certificate !== null && negotiated !== null) {
    text += `\nserves ${certificate.collection}/${certificate.name}\n`;
    text += table([
      ['key', `${certificate.keyType === 'RSA' ? `RSA ${certificate.keyBits}` : certificate.keyType}`],
      ['names', certificate.hostNames.join(', ')],
      ['until', instant(Date.parse(certificate.notAfter), nowMs)],
      ['negotiates', termsText(negotiated)],
      ['ALPN', negotiated.alpn === 'none' ? 'none' : negotiated.alpn],
    ]);
  }
  if (failure !== null) text += `\nthe handshake fails: ${failure.reason} (${failure.detail})\n`;
  return text + explanation.notes.map((note) => `note: ${note}\n`).join('');
}

/** 'TLSv1.2 SUITE, group P-256, signature …'. */
export function termsText(terms: NegotiatedTerms): string {
  const group = terms.group === null ? 'key exchange by RSA' : `group ${terms.group}`;
  const signature = terms.signatureScheme === null ? '' : `, signature ${terms.signatureScheme}`;
  const retry = terms.helloRetryRequest ? ', after a HelloRetryRequest' : '';
  return `${terms.version} ${terms.suite}, ${group}${signature}${retry}`;
}

/** Field by field: the entry has the private key beside them. */
function servedCertificate(entry: CertificateEntry, proxy: LinkedTlsProxy, match: SniMatch): ServedCertificate {
  return {
    name: entry.name,
    collection: certificateCollection(proxy),
    keyType: entry.keyType,
    keyBits: entry.keyBits,
    hostNames: entry.hostNames,
    notBefore: new Date(entry.notBeforeMs).toISOString(),
    notAfter: new Date(entry.notAfterMs).toISOString(),
    match,
  };
}

function notesOf(prediction: Prediction, sent: string | null, wanted: string | null, nowMs: number): readonly string[] {
  const notes: string[] = [];
  if (sent === null && wanted !== null)
    notes.push(`this client sends no SNI: the proxy cannot know that it wants ${wanted}`);
  if (!prediction.ok) return notes;
  const { certificate, match } = prediction;
  const name = sent ?? wanted;
  if (match === 'default' && name !== null && matchOf(certificate, name) === null) {
    notes.push(`${certificate.name} does not cover ${name}: a client that checks names will refuse it`);
  }
  if (nowMs > certificate.notAfterMs)
    notes.push(`${certificate.name} has expired: a client that checks will refuse it`);
  if (nowMs < certificate.notBeforeMs)
    notes.push(`${certificate.name} is not valid yet: a client that checks will refuse it`);
  return notes;
}
