import { type AlpnProtocol, alpnFor } from './alpn.ts';
import type { CertificateEntry } from './certificate-entry.ts';
import type { ChoiceFailure, SniMatch } from './choose-certificate.ts';
import type { ClientHello } from './client-hello.ts';
import { type Negotiated, negotiate } from './negotiate.ts';
import { chooseServedCertificate, type ServedCertificates } from './served-certificates.ts';
import type { EffectivePolicy } from './ssl-policy.ts';

export type Prediction = PredictedHandshake | PredictedFailure;

export interface PredictedHandshake extends Negotiated {
  readonly certificate: CertificateEntry;
  readonly match: SniMatch;
  /** 'none': the client sent no ALPN and will speak HTTP/1.1. */
  readonly alpn: AlpnProtocol | 'none';
}

export interface PredictedFailure {
  readonly ok: false;
  readonly reason: ChoiceFailure | 'alpn_mismatch';
  readonly detail: string;
  /** What would have been served; null: the choice itself failed. */
  readonly certificate: CertificateEntry | null;
}

/**
 * What a full handshake of this hello ends in at a proxy with this policy and these certificates: the same steps that the frontend
 * takes, without a socket. Says nothing of what comes after the proxy's answer: whether the client trusts the certificate.
 * `steps`, if given, is filled with one line for each decision about the certificate.
 */
export function predict(
  hello: ClientHello,
  policy: EffectivePolicy,
  certificates: ServedCertificates,
  nowMs: number,
  steps: string[] | null = null,
): Prediction {
  const choice = chooseServedCertificate(hello, policy, certificates, nowMs, steps);
  if (choice.entry === null) {
    return { ok: false, reason: choice.reason, detail: choice.detail, certificate: null };
  }
  const { entry: certificate, match } = choice;
  const negotiation = negotiate(hello, policy, certificate);
  if (!negotiation.ok) return { ok: false, reason: negotiation.reason, detail: negotiation.detail, certificate };
  const alpn = alpnFor(hello, negotiation);
  if (alpn !== null) return { ...negotiation, certificate, match, alpn };
  const offered = hello.alpn!.slice(0, MAX_PROTOCOLS_SHOWN).map(shownProtocol);
  const detail = `the client offers ${offered.join(', ')}, the proxy speaks h2 and http/1.1`;
  return { ok: false, reason: 'alpn_mismatch', detail, certificate };
}

/** A stranger's bytes: printable ASCII, and not much of it. */
function shownProtocol(protocol: string): string {
  return `'${protocol.slice(0, MAX_PROTOCOL_CHARACTERS).replaceAll(/[^ -~]/g, '?')}'`;
}

const MAX_PROTOCOLS_SHOWN = 8;
const MAX_PROTOCOL_CHARACTERS = 32;
