// hot path: once per request, before anything is routed.
import { ProxyError } from '../base/errors.ts';
import { coversAuthority } from '../http/covers-authority.ts';
import type { ConnectionFacts, Exchange, HeaderList } from '../http/exchange.ts';
import { viaCount } from '../http/forwarding-headers.ts';
import { inspectPath } from '../http/normalize-path.ts';

/** Why a request is not routed: the frontend refused its head, or one of the rules below does. `redirect`: its path has dot segments. */
export function judgeHead(exchange: JudgedHead): ProxyError | 'redirect' | null {
  if (exchange.rejection !== null) return exchange.rejection;
  if (exchange.target === '*') {
    return new ProxyError('config_not_found', { phase: 'route', detail: 'OPTIONS * has no path that could be routed' });
  }
  const served = exchange.connection?.tls?.servedNames;
  if (served && !coversAuthority(served, exchange.authority)) {
    return new ProxyError('misdirected_request', {
      phase: 'head',
      detail: 'the served certificate is not for this authority',
    });
  }
  const path = inspectPath(exchange.target);
  if (path === 'malformed') {
    const code = exchange.protocol === 'HTTP/2' ? 'invalid_http2_client_request_path' : 'invalid_request_headers';
    const detail = 'the path has a bad percent-encoding, %00, a backslash, or a byte that no URI has';
    return new ProxyError(code, { phase: 'head', detail });
  }
  if (exchange.isWebSocket && !hasWebSocketKey(exchange.headers)) {
    const detail = 'expected exactly one Sec-WebSocket-Key of 16 bytes in base64 (RFC 6455 section 4.1)';
    return new ProxyError('upgrade_header_rejected', { phase: 'head', detail });
  }
  if (viaCount(exchange.headers) >= LONGEST_CHAIN) {
    const detail = `Via names this kind of proxy ${LONGEST_CHAIN} times or more`;
    return new ProxyError('request_loop_detected', { phase: 'route', detail });
  }
  return path === 'dot-segments' ? 'redirect' : null;
}

type JudgedHead = Pick<Exchange, 'rejection' | 'authority' | 'target' | 'protocol' | 'isWebSocket' | 'headers'> & {
  /** Absent: not received by anybody (`explain route`). */
  readonly connection?: Pick<ConnectionFacts, 'tls'>;
};

function hasWebSocketKey(headers: HeaderList): boolean {
  let keys = 0;
  for (let i = 0; i < headers.length; i += 2) {
    if (headers[i] !== 'sec-websocket-key') continue;
    const key = headers[i + 1]!;
    if (key.length !== 24 || Buffer.from(key, 'base64').length !== 16) return false;
    keys++;
  }
  return keys === 1;
}

/** Edge, gateway, sidecar out and sidecar in make four; a loop passes this bound on its next turns and ends here. */
const LONGEST_CHAIN = 5;
