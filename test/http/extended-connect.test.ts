import { readHttp2Head } from '#src/http/request-head.ts';

const CONNECT = [':method', 'CONNECT', ':protocol', 'websocket', ':scheme', 'https', ':path', '/c', ':authority', 'a'];

function changed(name: string, value: string | null): string[] {
  const list: string[] = [];
  for (let i = 0; i < CONNECT.length; i += 2) {
    if (CONNECT[i] !== name) list.push(CONNECT[i]!, CONNECT[i + 1]!);
    else if (value !== null) list.push(name, value);
  }
  return list;
}

describe('an extended CONNECT (RFC 8441)', () => {
  test('is read as the GET with Upgrade that it stands for', () => {
    const head = readHttp2Head([...CONNECT, 'sec-websocket-version', '13', 'sec-websocket-key', 'x'], false);
    expect(head).toMatchObject({
      method: 'GET',
      target: '/c',
      authority: 'a',
      isWebSocket: true,
      contentLength: 0,
      rejection: null,
    });
    expect(head.headers).toEqual(['sec-websocket-version', '13']);
  });

  test.each([
    ['another protocol', () => readHttp2Head(changed(':protocol', 'connect-udp'), false)],
    ['websocket in capitals', () => readHttp2Head(changed(':protocol', 'WebSocket'), false)],
    ['another method', () => readHttp2Head(changed(':method', 'GET'), false)],
    ['no :scheme', () => readHttp2Head(changed(':scheme', null), false)],
    ['no :path', () => readHttp2Head(changed(':path', null), false)],
    ['no :authority', () => readHttp2Head([...changed(':authority', null), 'host', 'a'], false)],
    ['a stream that has ended', () => readHttp2Head(CONNECT, true)],
    ['a body of known length', () => readHttp2Head([...CONNECT, 'content-length', '5'], false)],
    ['an empty body of known length', () => readHttp2Head([...CONNECT, 'content-length', '0'], false)],
  ])('%s: upgrade_header_rejected', (_name, read) => {
    expect(read()).toMatchObject({ isWebSocket: false, rejection: { code: 'upgrade_header_rejected' } });
  });

  test('a plain CONNECT stays refused', () => {
    const head = readHttp2Head([':method', 'CONNECT', ':authority', 'a:443'], false);
    expect(head.rejection?.code).toBe('unsupported_method');
    expect(head.isWebSocket).toBe(false);
  });
});
