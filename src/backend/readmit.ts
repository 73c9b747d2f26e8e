// hot path
import type { Refused } from '../pki/verdict.ts';
import type { AcceptedConnection, BackendIdentity, ConnectTerms } from './connect.ts';
import type { CloseReason } from './events.ts';

/** What a verdict let in, a connection or a TLS session, and what it takes to judge it again: later verdicts have no handshake to look at. */
export interface Admission {
  /** As the backend sent it, DER, leaf first; empty for plain TCP. */
  readonly chain: readonly Uint8Array[];
  /** `BackendIdentity.crls` at the verdict. */
  crls: string;
  /** Wall milliseconds: the earliest notAfter of the path that admitted it, or nextUpdate of a CRL that cleared it. */
  notAfterMs: number;
}

/**
 * Why CRLs that came after it take an admission back, or null. Costs nothing while the CRLs are the same. What was used in spite of a
 * refusal (REPORT_ONLY) was never admitted, and stays.
 */
export function readmit(identity: BackendIdentity | null, admission: Admission): Refused | null {
  if (identity === null || identity.crls === admission.crls || identity.reportOnly) return null;
  const verdict = identity.judge(admission.chain);
  if (!verdict.ok) return verdict;
  admission.crls = identity.crls;
  admission.notAfterMs = verdict.notAfterMs;
  return null;
}

/** Why a pooled connection takes no further exchange, or null. What CRLs take back is reported. */
export function reasonToClose(
  { identity, service, events, clock }: ConnectTerms,
  accepted: AcceptedConnection,
): CloseReason | null {
  const revoked = readmit(identity, accepted);
  if (revoked !== null) {
    events.onRevoked(service, accepted.fresh.endpoint, revoked);
    return 'revocation';
  }
  const { notAfterMs } = accepted;
  return notAfterMs !== Number.POSITIVE_INFINITY && notAfterMs <= clock.wallMs() ? 'expired' : null;
}
