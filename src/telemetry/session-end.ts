import type { ConnectionFacts } from '../http/exchange.ts';

/**
 * Why an HTTP/2 session was ended against its client's will. A closed list, because it is a metric label:
 * - `resets`: streams taken back, or broken so that we take them back (CVE-2023-44487, CVE-2025-8671);
 * - `overhead`: bytes that moved no request: pings, settings, window updates of one byte, empty or refused frames;
 * - `held_responses`: windows kept shut over more response bytes than a session may hold;
 * - `head_timeout`, `settings_timeout`: a head, or SETTINGS or their acknowledgement, that did not come to its end;
 * - `flood`, `protocol_error`: what nghttp2 ended by its own rules.
 */
export type SessionEndReason =
  | 'resets'
  | 'overhead'
  | 'held_responses'
  | 'head_timeout'
  | 'settings_timeout'
  | 'flood'
  | 'protocol_error';

export interface SessionEnd {
  readonly connection: ConnectionFacts;
  readonly reason: SessionEndReason;
  /** For the log only. */
  readonly detail: string;
}
