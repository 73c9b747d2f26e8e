import { summarizeHello } from '#src/tls/hello-summary.ts';
import { parsedHello } from './captured-hello.ts';
import { helloBytes, helloMessage, records } from './raw-hello.ts';

test('`summarizeHello()` names what was offered', () => {
  const hello = parsedHello(
    helloBytes({
      suites: [0x1301, 0xc02f, 0x000a, 0x00ff, 0xd001],
      versions: [0x0304, 0x0303, 0x7f1c],
      groups: [0x11ec, 0x001d, 0x9999],
      alpn: ['h2'],
      serverName: 'a.test',
    }),
  );
  expect(summarizeHello(hello)).toEqual({
    sni: 'a.test',
    offeredVersions: ['TLSv1.3', 'TLSv1.2', '0x7f1c'],
    offeredCiphers: [
      'TLS_AES_128_GCM_SHA256',
      'TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256',
      'TLS_RSA_WITH_3DES_EDE_CBC_SHA',
      'TLS_EMPTY_RENEGOTIATION_INFO_SCSV',
      '0xd001',
    ],
    offeredGroups: ['X25519MLKEM768', 'X25519', '0x9999'],
    alpn: ['h2'],
  });
});

test('`summarizeHello()` stays under 4 KiB whatever a stranger sends (security rule 6)', () => {
  const message = helloMessage({
    suites: Array.from({ length: 8000 }, (_, i) => 0xc000 + (i % 0x60)),
    versions: Array.from({ length: 100 }, () => 0x0303),
    groups: Array.from({ length: 2000 }, () => 0x11ec),
    alpn: Array.from({ length: 100 }, () => 'x'.repeat(255)),
    serverName: 'x'.repeat(253),
  });
  const hello = parsedHello(records(message, 16_384));
  expect(JSON.stringify(summarizeHello(hello)).length).toBeLessThanOrEqual(4096);
});
