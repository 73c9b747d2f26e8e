import type { Clock } from '#src/base/clock.ts';
import type { ConnectionFacts, Exchange, TlsFacts } from '#src/http/exchange.ts';
import type { ExchangeRecord } from '#src/http/exchange-record.ts';
import type { HandshakeFailure } from '#src/telemetry/handshake-failure.ts';
import type { LineSink } from '#src/telemetry/line-writer.ts';

/** Keeps the lines instead of writing them. */
export class Lines implements LineSink {
  readonly all: string[] = [];
  line(text: string): void {
    this.all.push(text);
  }
  get parsed(): Record<string, unknown>[] {
    return this.all.map((line) => JSON.parse(line) as Record<string, unknown>);
  }
}

/** A clock that stands still until it is moved. */
export class StillClock implements Clock {
  nowMs = 1000;
  wall = Date.parse('2026-11-21T12:00:00.000Z');
  monotonicMs(): number {
    return this.nowMs;
  }
  wallMs(): number {
    return this.wall;
  }
  advance(ms: number): void {
    this.nowMs += ms;
    this.wall += ms;
  }
}

export function tlsFacts(facts: Partial<TlsFacts> = {}): TlsFacts {
  return {
    protocol: 'TLSv1.3',
    cipher: 'TLS_AES_128_GCM_SHA256',
    cipherCode: '1301',
    group: 'X25519MLKEM768',
    sni: 'a.example',
    alpn: 'h2',
    resumed: false,
    ja3: 'ja3',
    ja4: 't13d1516h2_8daaf6152771_b0da82dd1658',
    certificate: 'pets',
    sslPolicy: null,
    ...facts,
  };
}

export function connectionFacts(facts: Partial<ConnectionFacts> = {}): ConnectionFacts {
  return {
    id: 'c1',
    remoteAddress: '203.0.113.7',
    remotePort: 50_000,
    localAddress: '127.0.0.1',
    localPort: 8443,
    targetProxy: 'web',
    forwardingRule: 'https',
    tls: tlsFacts(),
    ...facts,
  };
}

/** Only what telemetry reads of an exchange. */
export function exchange(facts: Partial<Exchange> = {}): Exchange {
  return {
    connection: connectionFacts(),
    protocol: 'HTTP/2',
    method: 'GET',
    scheme: 'https',
    authority: 'a.example',
    target: '/pets?x=1',
    headers: ['user-agent', 'test/1', 'referer', 'https://b.example/'],
    startedAtMs: 990,
    ...facts,
  } as Exchange;
}

export function exchangeRecord(facts: Partial<ExchangeRecord> = {}): ExchangeRecord {
  return {
    exchange: exchange(),
    status: 200,
    statusDetails: 'response_sent_by_backend',
    proxyStatus: null,
    error: null,
    urlMap: 'map',
    hostRule: null,
    pathRule: null,
    backendService: 'api',
    backend: '127.0.0.1:9443',
    attempts: 1,
    backendTls: {
      protocol: 'TLSv1.3',
      cipher: 'TLS_AES_256_GCM_SHA384',
      resumed: true,
      verdict: 'verified',
      rule: null,
      depth: -1,
      reason: null,
    },
    span: null,
    trace: '0af7651916cd43dd8448eb211c80319c',
    requestBytes: 3,
    responseBytes: 1024,
    latencyMs: 10.5,
    backendLatencyMs: 9,
    droppedTrailers: 0,
    truncatable: false,
    ...facts,
  };
}

export function handshakeFailure(facts: Partial<HandshakeFailure> = {}): HandshakeFailure {
  return {
    connectionId: 'c1',
    targetProxy: 'web',
    forwardingRule: 'https',
    remoteAddress: '203.0.113.7',
    remotePort: 50_000,
    reason: 'unsupported_protocol',
    side: 'client',
    statusDetails: null,
    detail: 'the client offers TLS 1.1 at most',
    sni: 'a.example',
    ja3: null,
    ja4: null,
    offeredVersions: ['TLSv1.1'],
    offeredCiphers: ['TLS_RSA_WITH_AES_128_CBC_SHA'],
    offeredGroups: [],
    alpn: [],
    durationMs: 1.5,
    ...facts,
  };
}
