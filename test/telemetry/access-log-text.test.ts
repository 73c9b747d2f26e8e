import type { ConnectionFacts, TlsFacts } from '#src/http/exchange.ts';
import { ConnectionText } from '#src/telemetry/access-log-text.ts';
import { connectionFacts, tlsFacts } from './support.ts';

const FIRST = { protocol: 'TLSv1.3', cipher: 'first', group: 'x25519', sni: 'first.example', alpn: 'h2', ja4: 'first' };

test.each<[Partial<TlsFacts>, Record<string, unknown>]>([
  [{ protocol: 'TLSv1.2' }, { protocol: 'TLSv1.2' }],
  [{ cipher: 'second' }, { cipher: 'second' }],
  [{ group: null }, { group: undefined }],
  [{ sni: 'second.example' }, { sni: 'second.example' }],
  [{ sni: null }, { sni: undefined }],
  [{ alpn: 'http/1.1' }, { alpn: 'http/1.1' }],
  [{ alpn: null }, { alpn: undefined }],
  [{ resumed: true }, { resumed: true }],
  [{ ja4: 'second' }, { ja4: 'second' }],
])('a connection whose TLS differs from that of the last one by %j says so', (other, shown) => {
  const first = tlsOf({});
  expect(first).toMatchObject({ ...FIRST, resumed: false });
  expect(tlsOf(other)).toEqual({ ...first, ...shown });
  expect(tlsOf({})).toEqual(first);
});

test('what a client certificate adds stays with its connection', () => {
  const leaf = null;
  const clientCertificate = { present: true, verified: false, error: null, reason: 'why', chain: [], leaf };
  expect(tlsOf({ clientCertificate })).toMatchObject({ clientCertPresent: true, clientCertReason: 'why' });
  expect(tlsOf({})).not.toHaveProperty('clientCertPresent');
});

test('connections of two proxies and rules in turn each name their own', () => {
  for (const [targetProxy, forwardingRule] of [
    ['a', 'one'],
    ['b', 'one'],
    ['b', 'two'],
    ['a', 'one'],
  ] as const) {
    const { proxy } = new ConnectionText(connectionFacts({ targetProxy, forwardingRule }));
    expect(JSON.parse(`{${proxy.slice(1)}}`)).toEqual({ targetProxy, forwardingRule });
  }
});

function tlsOf(facts: Partial<TlsFacts>): Record<string, unknown> {
  const connection: ConnectionFacts = connectionFacts({ tls: tlsFacts({ ...FIRST, resumed: false, ...facts }) });
  return (JSON.parse(`{${new ConnectionText(connection).tls.slice(1)}}`) as { tls: Record<string, unknown> }).tls;
}
