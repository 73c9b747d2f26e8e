import { isIPv6 } from 'node:net';
import fc from 'fast-check';
import { type ConveyedConnection, proxyHeader } from '#src/http/proxy-protocol-encode.ts';

function from(sourceAddress: string, destinationAddress: string, more: Partial<ConveyedConnection> = {}) {
  return { sourceAddress, sourcePort: 40_000, destinationAddress, destinationPort: 443, tls: null, ...more };
}

describe('proxyHeader()', () => {
  test.each([
    [from('192.0.2.1', '198.51.100.2'), 'PROXY TCP4 192.0.2.1 198.51.100.2 40000 443\r\n'],
    [from('2001:db8::1', '2001:db8::2'), 'PROXY TCP6 2001:db8::1 2001:db8::2 40000 443\r\n'],
    [from('2001:db8::1', '198.51.100.2'), 'PROXY TCP6 2001:db8::1 ::ffff:198.51.100.2 40000 443\r\n'],
    [from('', '198.51.100.2'), 'PROXY UNKNOWN\r\n'],
    [from('fe80::1%eth0', 'fe80::2%eth0'), 'PROXY UNKNOWN\r\n'],
    [null, 'PROXY UNKNOWN\r\n'],
  ])('version 1: %j', (connection, text) => {
    expect(proxyHeader('PROXY_V1', connection).toString('latin1')).toBe(text);
  });

  test.each([
    [from('192.0.2.1', '198.51.100.2'), '2111000cc0000201c63364029c4001bb'],
    [
      from('2001:db8::1', '198.51.100.2'),
      '2121002420010db800000000000000000000000100000000000000000000ffffc63364029c4001bb',
    ],
    [null, '20000000'],
    [from('', ''), '20000000'],
  ])('version 2: %j', (connection, hex) => {
    expect(proxyHeader('PROXY_V2', connection).toString('hex')).toBe(`0d0a0d0a000d0a515549540a${hex}`);
  });

  test('version 2 tells the name that the client asked for and its TLS version', () => {
    const header = proxyHeader(
      'PROXY_V2',
      from('192.0.2.1', '198.51.100.2', { tls: { protocol: 'TLSv1.3', sni: 'a.b' } }),
    );
    expect(header.subarray(28).toString('hex')).toBe(
      `020003${Buffer.from('a.b').toString('hex')}20000f010000000121 0007${Buffer.from('TLSv1.3').toString('hex')}`.replaceAll(
        ' ',
        '',
      ),
    );
    expect(header.readUInt16BE(14)).toBe(header.length - 16);
  });

  test('every address is within 107 bytes, and its bytes are those of inet_pton', () => {
    fc.assert(
      fc.property(fc.ipV6(), fc.ipV4(), (six, four) => {
        fc.pre(isIPv6(six));
        expect(proxyHeader('PROXY_V1', from(six, four)).length).toBeLessThanOrEqual(107);
        const bytes = proxyHeader('PROXY_V2', from(six, four)).subarray(16, 32);
        const groups = [];
        for (let i = 0; i < 16; i += 2) groups.push(bytes.readUInt16BE(i).toString(16));
        expect(new URL(`http://[${groups.join(':')}]/`).hostname).toBe(new URL(`http://[${six}]/`).hostname);
      }),
    );
  });
});
