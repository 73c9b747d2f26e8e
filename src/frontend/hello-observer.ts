// hot path: once for every handshake whose hello was read, when it is over.
import type { ClientHello } from '../tls/client-hello.ts';
import type { HandshakeFailureCause, HandshakeFailureReason } from '../tls/handshake-failure-reason.ts';
import { type Agreed, mispredictedFailure, mispredictedSuccess } from '../tls/misprediction.ts';
import type { Negotiation } from '../tls/negotiate.ts';
import { shadowVerdicts } from '../tls/shadow-policies.ts';
import type { ClientConnection } from './client-connection.ts';
import type { TlsTermination } from './contract.ts';

/** The hello of a handshake that OpenSSL completed. */
export function observeSecured(
  connection: ClientConnection,
  tls: TlsTermination,
  hello: ClientHello,
  negotiation: Negotiation,
  agreed: Agreed,
  nowMs: number,
): void {
  connection.events.onHello(connection, hello, {
    outcome: 'connected',
    shadows: shadowVerdicts(hello, tls.shadowPolicies, tls.certificates, nowMs),
    misprediction: mispredictedSuccess(hello, negotiation, agreed),
  });
}

/** The hello of one that failed, wherever; `negotiation` null: no certificate was chosen, so OpenSSL was never asked. */
export function observeFailed(
  connection: ClientConnection,
  tls: TlsTermination,
  hello: ClientHello,
  negotiation: Negotiation | null,
  cause: HandshakeFailureCause,
  reason: HandshakeFailureReason,
  nowMs: number,
): void {
  const isOpensslsWord = negotiation !== null && cause.how === 'error';
  connection.events.onHello(connection, hello, {
    outcome: 'failed',
    shadows: shadowVerdicts(hello, tls.shadowPolicies, tls.certificates, nowMs),
    misprediction: isOpensslsWord ? mispredictedFailure(hello, negotiation, reason) : null,
  });
}
