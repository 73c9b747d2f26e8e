// hot path: compared after every handshake.
import { alpnFor } from './alpn.ts';
import type { ClientHello } from './client-hello.ts';
import type { HandshakeFailureReason } from './handshake-failure-reason.ts';
import type { Negotiation } from './negotiate.ts';

/** OpenSSL did something else than negotiate() and alpnFor() said: a defect of the model, or a change of OpenSSL. */
export interface Misprediction {
  /** `version`, `cipher`: another one was negotiated. `succeeded`: it should have failed. `failed`: it should not have. */
  readonly kind: 'version' | 'cipher' | 'succeeded' | 'failed';
  readonly predicted: string;
  readonly found: string;
}

/** What was agreed on, as node:tls tells it. */
export interface Agreed {
  readonly protocol: string;
  readonly cipher: string;
  readonly resumed: boolean;
}

/** A handshake that succeeded against its prediction; null: as predicted, or the hello that we read did not decide it. */
export function mispredictedSuccess(
  hello: ClientHello,
  negotiation: Negotiation,
  { protocol, cipher, resumed }: Agreed,
): Misprediction | null {
  if (resumed) return null; // the session brings its own suite
  if (!negotiation.ok) return { kind: 'succeeded', predicted: negotiation.reason, found: `${protocol} ${cipher}` };
  if (negotiation.helloRetryRequest) return null; // the second hello decided, and nobody read it
  const { version, suite } = negotiation;
  if (alpnFor(hello, negotiation) === null) {
    return { kind: 'succeeded', predicted: 'alpn_mismatch', found: `${protocol} ${cipher}` };
  }
  if (version === protocol && suite.name === cipher) return null;
  const predicted = `${version} ${suite.name}`;
  return { kind: version === protocol ? 'cipher' : 'version', predicted, found: `${protocol} ${cipher}` };
}

/** One that OpenSSL refused for a reason which the prediction should have found; null as above. */
export function mispredictedFailure(
  hello: ClientHello,
  negotiation: Negotiation,
  reason: HandshakeFailureReason,
): Misprediction | null {
  if (!negotiation.ok || negotiation.helloRetryRequest || !PREDICTABLE.has(reason)) return null;
  if (hello.ticketKeyName !== null || hello.hasPreSharedKey) return null; // it may have failed while resuming
  if (reason === 'alpn_mismatch' && alpnFor(hello, negotiation) === null) return null;
  return { kind: 'failed', predicted: `${negotiation.version} ${negotiation.suite.name}`, found: reason };
}

/** Without malformed_hello: OpenSSL looks inside extensions that our reader leaves alone. */
const PREDICTABLE: ReadonlySet<HandshakeFailureReason> = new Set<HandshakeFailureReason>([
  'unsupported_version',
  'no_shared_cipher',
  'no_shared_group',
  'no_shared_signature_algorithm',
  'certificate_key_type_mismatch',
  'alpn_mismatch',
]);
