import type { ConnectionOptions } from 'node:tls';
import { CertificateMap, type CertificateMapEntry } from '#src/tls/certificate-map.ts';
import { certificateEntry, startTlsDoor, type TlsDoor } from './_tls-door.ts';

let door: TlsDoor;
let entries: readonly CertificateMapEntry[];
beforeAll(async () => {
  entries = [
    { name: 'site', hostname: 'pets.example', certificates: [await certificateEntry('site', ['pets.example'])] },
    { name: 'any', hostname: '*.pets.example', certificates: [await certificateEntry('any', ['*.pets.example'])] },
  ];
});
afterEach(() => door.close());

test('a certificate map serves by exact name, by wildcard and by PRIMARY', async () => {
  const primary = { name: 'rest', hostname: null, certificates: [await certificateEntry('rest', ['rest.example'])] };
  door = await startTlsDoor({ certificates: new CertificateMap('m', [...entries, primary]) });
  expect(await subject({ servername: 'pets.example' })).toBe('CN=pets.example');
  expect(await subject({ servername: 'cats.pets.example' })).toBe('CN=*.pets.example');
  expect(await subject({ servername: 'elsewhere.example' })).toBe('CN=rest.example');
  expect(await subject({ servername: '' })).toBe('CN=rest.example');
});

test.each([
  ['TLSv1.3', 'elsewhere.example', 'ERR_SSL_TLSV1_UNRECOGNIZED_NAME', /no entry for the name/],
  ['TLSv1.2', 'elsewhere.example', 'ERR_SSL_TLSV1_UNRECOGNIZED_NAME', /no entry for the name/],
  ['TLSv1.3', '', 'ERR_SSL_TLSV13_ALERT_MISSING_EXTENSION', /no SNI/], // RFC 8446 §9.2
  ['TLSv1.2', '', 'ERR_SSL_TLSV1_UNRECOGNIZED_NAME', /no SNI/],
] as const)('without PRIMARY a %s client that asks for "%s" gets %s', async (version, servername, code, detail) => {
  door = await startTlsDoor({ certificates: new CertificateMap('m', entries) });
  expect(await subject({ servername, minVersion: version, maxVersion: version })).toBe(code);
  await door.recorder.until(() => door.recorder.handshakeFailures.length > 0);
  expect(door.recorder.handshakeFailures[0]).toMatchObject({ reason: 'sni_unknown', side: 'proxy' });
  expect(door.recorder.handshakeFailures[0]?.detail).toMatch(detail);
});

/** The served certificate's subject, or the error's code. */
function subject(options: ConnectionOptions): Promise<string | undefined> {
  return new Promise((resolve) => {
    const client = door.connect(options);
    client.on('secureConnect', () => resolve(client.getPeerX509Certificate()?.subject));
    client.on('error', (error: NodeJS.ErrnoException) => resolve(error.code));
  });
}
