import fc from 'fast-check';
import { HandshakeLog } from '#src/telemetry/handshake-log.ts';
import { RecentFailures } from '#src/telemetry/recent-failures.ts';
import { connectionFacts, handshakeFailure, Lines, StillClock } from './support.ts';

function handshakeLog() {
  const lines = new Lines();
  const clock = new StillClock();
  return { log: new HandshakeLog(lines, clock), lines, clock };
}

/** How many failures the lines stand for. */
function accounted(lines: Lines): number {
  return lines.parsed.reduce((sum, line) => {
    const suppressed = (line['suppressed'] as number | undefined) ?? 0;
    return sum + suppressed + (line['msg'] === 'handshake' ? 1 : 0);
  }, 0);
}

describe('HandshakeLog', () => {
  test('writes who, why and what was offered', () => {
    const { log, lines } = handshakeLog();
    log.failed(handshakeFailure({ statusDetails: 'client_cert_not_provided', ja4: 't11d' }));
    log.close();
    expect(lines.parsed).toEqual([
      {
        time: '2026-11-21T12:00:00.000Z',
        level: 'info',
        msg: 'handshake',
        targetProxy: 'web',
        forwardingRule: 'https',
        remoteIp: '203.0.113.7',
        remotePort: 50_000,
        reason: 'unsupported_protocol',
        side: 'client',
        statusDetails: 'client_cert_not_provided',
        detail: 'the client offers TLS 1.1 at most',
        latency: '0.001500s',
        tls: {
          sni: 'a.example',
          ja4: 't11d',
          offeredVersions: ['TLSv1.1'],
          offeredCiphers: ['TLS_RSA_WITH_AES_128_CBC_SHA'],
        },
      },
    ]);
  });

  test('writes the share of successful handshakes that is asked for, with the offer', () => {
    const lines = new Lines();
    const draws = [0.2, 0.5, 0.49];
    const random = () => draws.shift() ?? 1;
    const log = new HandshakeLog(lines, new StillClock(), { successSampleRate: 0.5, random });
    const order: string[] = [];
    const tls = {
      ...connectionFacts().tls!,
      get offer() {
        order.push('offer');
        return '771,4865,,,|0304|001d|0403|-|h2';
      },
      get ja4() {
        order.push('ja4');
        return 't13d';
      },
    };
    for (let i = 0; i < 3; i++) log.succeeded(connectionFacts(), tls, 1.5);
    log.close();
    expect(lines.parsed).toHaveLength(2);
    expect(order.slice(0, 2)).toEqual(['offer', 'ja4']); // the fingerprint lets the hello go
    expect(lines.parsed[0]).toMatchObject({
      level: 'info',
      msg: 'handshake',
      latency: '0.001500s',
      tls: { protocol: tls.protocol, cipher: tls.cipher, ja4: 't13d', offer: '771,4865,,,|0304|001d|0403|-|h2' },
    });
    expect(lines.parsed[0]).not.toHaveProperty('reason');
  });

  test('writes no successful handshake unless asked to, and the offer of a failed one', () => {
    const { log, lines } = handshakeLog();
    log.succeeded(connectionFacts(), connectionFacts().tls!, 1);
    log.failed(handshakeFailure({ offer: '769,47,,,|-|-|-|-|-' }));
    log.close();
    expect(lines.parsed).toHaveLength(1);
    expect(lines.parsed[0]!['tls']).toMatchObject({ offer: '769,47,,,|-|-|-|-|-' });
  });

  test('writes a failure that repeats once, then its count', () => {
    const { log, lines, clock } = handshakeLog();
    for (let i = 0; i < 100; i++) log.failed(handshakeFailure());
    expect(lines.all).toHaveLength(1);
    clock.advance(11_000);
    log.failed(handshakeFailure({ reason: 'other' }));
    expect(lines.parsed.map((line) => [line['reason'], line['suppressed']])).toEqual([
      ['unsupported_protocol', undefined],
      ['unsupported_protocol', 98],
      ['other', undefined],
    ]);
    log.close();
  });

  test('limits the lines of a flood from many addresses, and remembers few of them', () => {
    const { log, lines } = handshakeLog();
    for (let i = 0; i < 20_000; i++) log.failed(handshakeFailure({ remoteAddress: `2001:db8::${i.toString(16)}` }));
    expect(lines.all.length).toBeLessThanOrEqual(50);
    log.close();
    expect(lines.all.length).toBeLessThanOrEqual(51);
    expect(accounted(lines)).toBe(20_000);
  });

  test('accounts for every failure, whatever comes when', () => {
    const event = fc.record({ address: fc.integer({ min: 0, max: 300 }), waitMs: fc.integer({ min: 0, max: 500 }) });
    fc.assert(
      fc.property(fc.array(event, { maxLength: 500 }), (events) => {
        const { log, lines, clock } = handshakeLog();
        for (const { address, waitMs } of events) {
          clock.advance(waitMs);
          log.failed(handshakeFailure({ remoteAddress: `10.0.0.${address}` }));
        }
        log.close();
        expect(accounted(lines)).toBe(events.length);
      }),
    );
  });

  test('escapes and caps what the hello says', () => {
    const { log, lines } = handshakeLog();
    const evil = '\u001b[2J\r\n"\u2028'.repeat(1000);
    log.failed(
      handshakeFailure({
        sni: evil,
        detail: evil,
        alpn: Array(5000).fill(evil),
        offeredCiphers: Array(30_000).fill(evil),
      }),
    );
    log.close();
    expect(lines.all).toHaveLength(1);
    expect(lines.all[0]).toMatch(/^[ -~]+$/);
    expect(lines.all[0]!.length).toBeLessThan(16_384);
  });
});

describe('RecentFailures', () => {
  test('keeps the last 500, newest first', () => {
    const recent = new RecentFailures();
    for (let i = 0; i < 1234; i++) recent.add(handshakeFailure({ connectionId: `c${i}` }), i);
    const ids = recent.newestFirst().map((failure) => failure.connectionId);
    expect(ids).toEqual(Array.from({ length: 500 }, (_, i) => `c${1233 - i}`));
  });

  test('keeps some 4 KiB of a hello, not 64', () => {
    const recent = new RecentFailures();
    const long = 'x'.repeat(255);
    recent.add(
      handshakeFailure({
        offeredCiphers: Array(30_000).fill(long),
        alpn: Array(9000).fill(long),
        detail: long.repeat(9),
      }),
      0,
    );
    expect(JSON.stringify(recent.newestFirst()[0]).length).toBeLessThan(6000);
  });
});
