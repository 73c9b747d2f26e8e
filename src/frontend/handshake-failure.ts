import type { ErrorCode } from '../base/errors.ts';
import type { ClientHello } from '../tls/client-hello.ts';
import { helloOffer } from '../tls/hello-offer.ts';
import { summarizeHello } from '../tls/hello-summary.ts';
import { ja3 } from '../tls/ja3.ts';
import { ja4 } from '../tls/ja4.ts';
import type { Refusal } from './admission.ts';
import type { ClientConnection } from './client-connection.ts';
import type { HandshakeFailure } from './contract.ts';

/** One report for a handshake that failed, with what the client had offered. */
export function reportHandshakeFailure(
  connection: ClientConnection,
  hello: ClientHello | null,
  verdict: Pick<HandshakeFailure, 'reason' | 'side' | 'detail'>,
  durationMs: number,
): void {
  const summary = hello === null ? NOTHING_OFFERED : summarizeHello(hello);
  connection.events.onHandshakeFailure({
    connectionId: connection.id,
    targetProxy: connection.targetProxy,
    forwardingRule: connection.forwardingRule,
    remoteAddress: connection.remoteAddress,
    remotePort: connection.remotePort,
    reason: verdict.reason,
    side: verdict.side,
    statusDetails: isClientCertificateWord(verdict.reason) ? verdict.reason : null,
    detail: verdict.detail,
    sni: summary.sni,
    ja3: hello === null ? null : ja3(hello),
    ja4: hello === null ? null : ja4(hello),
    offeredVersions: summary.offeredVersions,
    offeredCiphers: summary.offeredCiphers,
    offeredGroups: summary.offeredGroups,
    alpn: summary.alpn,
    offer: hello === null ? null : helloOffer(hello),
    durationMs,
  });
}

/** A connection that is closed before TLS, or where there is none: what was found, and nothing is said to it. */
export function refuseConnection(
  connection: ClientConnection,
  reason: RefusalReason,
  detail: string,
  durationMs: number,
): void {
  connection.rawSocket.on('error', ignore);
  connection.rawSocket.destroy();
  reportHandshakeFailure(connection, null, { reason, side: REFUSAL_SIDES[reason], detail }, durationMs);
}

function ignore(): void {}

/** The words of the closed list for client certificates are the log words of base/error-codes.ts. */
function isClientCertificateWord(reason: string): reason is ErrorCode {
  return reason.startsWith('client_cert_');
}

export type RefusalReason =
  | Refusal
  | 'peer_closed'
  /** Plaintext HTTP: no request began in time; a ClientHello came instead. */
  | 'first_bytes_timeout'
  | 'tls_on_plain_port'
  /** The PROXY protocol is expected: who connects may not speak for others; or speaks it wrongly, or not, or not in time. */
  | 'proxy_protocol_untrusted'
  | 'proxy_protocol_malformed'
  | 'proxy_protocol_timeout';

const REFUSAL_SIDES: Readonly<Record<RefusalReason, HandshakeFailure['side']>> = {
  connection_limit: 'proxy',
  address_limit: 'proxy',
  handshake_limit: 'proxy',
  peer_closed: 'network',
  first_bytes_timeout: 'network',
  tls_on_plain_port: 'client',
  proxy_protocol_untrusted: 'client',
  proxy_protocol_malformed: 'client',
  proxy_protocol_timeout: 'network',
};

const NOTHING_OFFERED = {
  sni: null,
  offeredVersions: [],
  offeredCiphers: [],
  offeredGroups: [],
  alpn: [],
};
