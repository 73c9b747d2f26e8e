import type { Misprediction } from '../tls/misprediction.ts';
import type { ShadowVerdict } from '../tls/shadow-policies.ts';

/** What was made of one whole ClientHello, once its handshake is over; made by the frontend. */
export interface HelloObservation {
  /** Under the policy that is enforced. */
  readonly outcome: 'connected' | 'failed';
  /** One for each shadow policy of the proxy. */
  readonly shadows: readonly ShadowVerdict[];
  /** null: OpenSSL did as predicted, or the prediction says nothing of such a handshake. */
  readonly misprediction: Misprediction | null;
}
