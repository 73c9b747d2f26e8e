import type { LogLine } from '../harness/run-sallyport.ts';
import { type RealClientDoors, SERVER_NAME } from './real-client-doors.ts';

/** What the log must say of a handshake that succeeded. */
export interface Served {
  readonly protocol: string;
  readonly cipher: string;
  readonly group?: string;
  readonly certificate: 'ecdsa' | 'rsa';
  /** The beginning of the client's JA4: transport, version, SNI, then the ALPN at its end. */
  readonly ja4: RegExp;
  readonly alpn?: string;
  readonly http?: string;
}

export interface Refused {
  readonly door: string;
  readonly reason: string;
  readonly side: 'client' | 'proxy' | 'network';
  readonly ja4: RegExp;
}

/** The request log's line, the handshake log's line of the same client, and that the two agree. */
export async function expectServed(
  doors: RealClientDoors,
  door: string,
  path: string,
  expected: Served,
): Promise<LogLine> {
  const { protocol, cipher, group, certificate, ja4, alpn, http } = expected;
  const line = await doors.requestLine(path);
  expect(line).toMatchObject({ targetProxy: door, forwardingRule: door, statusDetails: 'response_sent_by_backend' });
  expect(line['httpRequest']).toMatchObject({ status: 200, protocol: http ?? 'HTTP/1.1', remoteIp: '127.0.0.1' });
  const facts = {
    protocol,
    cipher,
    ...(group && { group }),
    sni: SERVER_NAME,
    ...(alpn && { alpn }),
    resumed: false,
    ja4: expect.stringMatching(ja4),
  };
  expect(line['tls']).toEqual(facts);
  const handshake = await doors.successLine(door, (line['tls'] as { ja4: string }).ja4);
  expect(handshake['tls']).toEqual({ ...facts, certificate, offer: expect.any(String) });
  return line;
}

export async function expectRefused(doors: RealClientDoors, { door, reason, side, ja4 }: Refused): Promise<void> {
  const line = await doors.failureLine(door, reason);
  expect(line).toMatchObject({ forwardingRule: door, remoteIp: '127.0.0.1', side, detail: expect.stringMatching(/./) });
  expect(line['tls']).toMatchObject({
    sni: SERVER_NAME,
    ja3: expect.stringMatching(/^[0-9a-f]{32}$/),
    ja4: expect.stringMatching(ja4),
    offeredVersions: expect.arrayContaining([expect.stringMatching(/^TLSv1/)]),
    offeredCiphers: expect.arrayContaining([expect.stringMatching(/^TLS_/)]),
  });
}

/** For clients that only carry bytes. */
export function request(path: string): string {
  return `GET ${path} HTTP/1.1\r\nHost: ${SERVER_NAME}\r\nConnection: close\r\n\r\n`;
}

/** A path that only this test asks for. */
export function pathOf(client: string, name: string): string {
  return `/${client}/${name.replaceAll(/[^\w.]+/g, '-')}`;
}
