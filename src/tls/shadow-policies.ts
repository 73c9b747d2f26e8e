// hot path: for every hello at a proxy that has shadow policies; nothing is made where it has none.
import type { ClientHello } from './client-hello.ts';
import { type PredictedFailure, predict } from './predict.ts';
import type { ServedCertificates } from './served-certificates.ts';
import type { EffectivePolicy } from './ssl-policy.ts';

/** What a policy that is not enforced would have done with a hello. */
export interface ShadowVerdict {
  /** The SSL policy's name. */
  readonly policy: string;
  /** null: it would have accepted. */
  readonly refusal: PredictedFailure | null;
}

/** One verdict for each policy. The same prediction as `explain policy` gives, for a full handshake with the certificates that are served now. */
export function shadowVerdicts(
  hello: ClientHello,
  policies: readonly EffectivePolicy[],
  certificates: ServedCertificates,
  nowMs: number,
): readonly ShadowVerdict[] {
  if (policies.length === 0) return NO_VERDICTS;
  const verdicts: ShadowVerdict[] = [];
  for (let i = 0; i < policies.length; i++) {
    const policy = policies[i]!;
    const prediction = predict(hello, policy, certificates, nowMs);
    verdicts.push({ policy: policy.name ?? '', refusal: prediction.ok ? null : prediction });
  }
  return verdicts;
}

const NO_VERDICTS: readonly ShadowVerdict[] = [];
