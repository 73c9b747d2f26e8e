import type { ClientHello } from '../tls/client-hello.ts';
import { helloOffer } from '../tls/hello-offer.ts';
import { summarizeHello } from '../tls/hello-summary.ts';
import { ja3 } from '../tls/ja3.ts';
import { ja4 } from '../tls/ja4.ts';
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
    statusDetails: null,
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

const NOTHING_OFFERED = {
  sni: null,
  offeredVersions: [],
  offeredCiphers: [],
  offeredGroups: [],
  alpn: [],
};
