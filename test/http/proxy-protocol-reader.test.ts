import fc from 'fast-check';
import { ProxyHeaderReader } from '#src/http/proxy-protocol-reader.ts';
import { binaryHeader, tcp4, textHeader } from './_proxy-header.ts';

const latin1 = (text: string) => Buffer.from(text, 'latin1');

function read(bytes: Buffer): ProxyHeaderReader {
  const reader = new ProxyHeaderReader();
  reader.push(bytes);
  return reader;
}

describe('version 1', () => {
  test.each([
    ['PROXY TCP4 198.51.100.7 203.0.113.9 54321 443\r\n', '198.51.100.7', 54321, '203.0.113.9', 443],
    ['PROXY TCP4 0.0.0.0 255.255.255.255 0 65535\r\n', '0.0.0.0', 0, '255.255.255.255', 65535],
    ['PROXY TCP6 2001:DB8:0::7 2001:0db8::0009 1 2\r\n', '2001:db8::7', 1, '2001:db8::9', 2],
    ['PROXY TCP6 ::ffff:198.51.100.7 ::1 1 2\r\n', '198.51.100.7', 1, '::1', 2],
    [
      'PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n',
      'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff',
      65535,
      'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff',
      65535,
    ],
  ])('%j conveys its addresses', (text, sourceAddress, sourcePort, destinationAddress, destinationPort) => {
    const reader = read(latin1(`${text}rest`));
    expect(reader.status).toBe('conveyed');
    expect(reader.addresses).toEqual({ sourceAddress, sourcePort, destinationAddress, destinationPort });
    expect(reader.rest.toString('latin1')).toBe('rest');
  });

  test.each(['PROXY UNKNOWN\r\n', `PROXY UNKNOWN ${'f'.repeat(91)}\r\n`])('%j: the socket address stays', (text) => {
    const reader = read(latin1(text));
    expect(reader.status).toBe('local');
    expect(reader.addresses).toBeNull();
  });

  test.each([
    ['another protocol', 'GET / HTTP/1.1\r\n'],
    ['lower case', 'proxy TCP4 1.2.3.4 5.6.7.8 1 2\r\n'],
    ['no space after the first word', 'PROXYTCP4 1.2.3.4 5.6.7.8 1 2\r\n'],
    ['a bare LF', 'PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n'],
    ['UNKNOWN with a bare LF', 'PROXY UNKNOWN\n'],
    ['another family', 'PROXY UDP4 1.2.3.4 5.6.7.8 1 2\r\n'],
    ['UNKNOWN with letters behind it', 'PROXY UNKNOWNS 1.2.3.4 5.6.7.8 1 2\r\n'],
    ['two spaces', 'PROXY TCP4  1.2.3.4 5.6.7.8 1 2\r\n'],
    ['a tab', 'PROXY TCP4\t1.2.3.4 5.6.7.8 1 2\r\n'],
    ['a space at the end', 'PROXY TCP4 1.2.3.4 5.6.7.8 1 2 \r\n'],
    ['a CR inside', 'PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\r\n'],
    ['a port too few', 'PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n'],
    ['a word too many', 'PROXY TCP4 1.2.3.4 5.6.7.8 1 2 3\r\n'],
    ['an octal address', 'PROXY TCP4 010.2.3.4 5.6.7.8 1 2\r\n'],
    ['an address of three parts', 'PROXY TCP4 1.2.3 5.6.7.8 1 2\r\n'],
    ['an address over 255', 'PROXY TCP4 1.2.3.256 5.6.7.8 1 2\r\n'],
    ['IPv6 in TCP4', 'PROXY TCP4 ::1 ::2 1 2\r\n'],
    ['IPv4 in TCP6', 'PROXY TCP6 1.2.3.4 5.6.7.8 1 2\r\n'],
    ['a zone', 'PROXY TCP6 fe80::1%eth0 ::2 1 2\r\n'],
    ['a port over 65535', 'PROXY TCP4 1.2.3.4 5.6.7.8 65536 2\r\n'],
    ['a port of six digits', 'PROXY TCP4 1.2.3.4 5.6.7.8 000001 2\r\n'],
    ['a port with a leading zero', 'PROXY TCP4 1.2.3.4 5.6.7.8 01 2\r\n'],
    ['a signed port', 'PROXY TCP4 1.2.3.4 5.6.7.8 +1 2\r\n'],
    ['107 bytes without an end', `PROXY UNKNOWN ${'f'.repeat(93)}`],
    ['an end after 107 bytes', `PROXY UNKNOWN ${'f'.repeat(92)}\r\n`],
  ])('%s is malformed', (_name, text) => {
    const reader = read(latin1(text));
    expect(reader.status).toBe('malformed');
    expect(reader.detail).not.toBe('');
    expect(reader.addresses).toBeNull();
  });
});

describe('version 2', () => {
  test('TCP over IPv4, TLVs skipped unread (security rule 35)', () => {
    const reader = read(
      Buffer.concat([tcp4('198.51.100.7', 54321, Buffer.from([0x20, 0xff, 0xff, 1])), latin1('rest')]),
    );
    expect(reader.status).toBe('conveyed');
    expect(reader.addresses).toEqual({
      sourceAddress: '198.51.100.7',
      sourcePort: 54321,
      destinationAddress: '203.0.113.9',
      destinationPort: 443,
    });
    expect(reader.rest.toString('latin1')).toBe('rest');
  });

  test('TCP over IPv6, an IPv4-mapped source being IPv4', () => {
    const source = Buffer.from('00000000000000000000ffffc6336407', 'hex');
    const destination = Buffer.from('20010db8000000000000000000000009', 'hex');
    const reader = read(binaryHeader(0x21, 0x21, Buffer.concat([source, destination, Buffer.from([0, 1, 0, 2])])));
    expect(reader.addresses).toEqual({
      sourceAddress: '198.51.100.7',
      sourcePort: 1,
      destinationAddress: '2001:db8::9',
      destinationPort: 2,
    });
  });

  test.each([
    ['LOCAL', binaryHeader(0x20, 0x00, Buffer.alloc(0))],
    ['LOCAL with addresses', binaryHeader(0x20, 0x11, Buffer.alloc(12, 9))],
    ['UNSPEC', binaryHeader(0x21, 0x00, Buffer.alloc(7))],
    ['a UNIX socket', binaryHeader(0x21, 0x31, Buffer.alloc(216))],
    ['exactly 1 KiB', binaryHeader(0x20, 0x00, Buffer.alloc(1024 - 16))],
  ])('%s: the socket address stays', (_name, bytes) => {
    const reader = read(Buffer.concat([bytes, latin1('x')]));
    expect(reader.status).toBe('local');
    expect(reader.addresses).toBeNull();
    expect(reader.rest.toString('latin1')).toBe('x');
  });

  test.each([
    ['a wrong signature', Buffer.concat([latin1('\r\n\r\n\0\r\nQUIZ\n'), Buffer.alloc(4)])],
    ['version 1 in binary', binaryHeader(0x11, 0x11, Buffer.alloc(12))],
    ['an unknown command', binaryHeader(0x22, 0x11, Buffer.alloc(12))],
    ['a datagram', binaryHeader(0x21, 0x12, Buffer.alloc(12))],
    ['an unknown family', binaryHeader(0x21, 0x41, Buffer.alloc(216))],
    ['fewer bytes than two IPv4 addresses', binaryHeader(0x21, 0x11, Buffer.alloc(11))],
    ['fewer bytes than two IPv6 addresses', binaryHeader(0x21, 0x21, Buffer.alloc(35))],
    ['more than 1 KiB', binaryHeader(0x20, 0x00, Buffer.alloc(1024 - 15))],
    ['more than 1 KiB announced, before it comes', binaryHeader(0x20, 0x00, Buffer.alloc(65535)).subarray(0, 16)],
  ])('%s is malformed', (_name, bytes) => {
    expect(read(bytes).status).toBe('malformed');
  });
});

test('however it is cut into chunks, the answer is the same and no byte behind it is lost', () => {
  const headers = fc.oneof(
    fc.tuple(fc.ipV4(), fc.nat(65535)).map(([address, port]) => textHeader(address, port)),
    fc
      .tuple(fc.ipV4(), fc.nat(65535), fc.uint8Array({ maxLength: 200 }))
      .map(([address, port, tlvs]) => tcp4(address, port, Buffer.from(tlvs))),
    fc.constant(latin1('PROXY UNKNOWN\r\n')),
    fc.constant(binaryHeader(0x20, 0, Buffer.alloc(3))),
    fc.uint8Array({ minLength: 1, maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
    fc.uint8Array({ maxLength: 120 }).map((bytes) => Buffer.concat([latin1('PROXY TCP4 '), bytes])),
  );
  fc.assert(
    fc.property(
      headers,
      fc.uint8Array({ maxLength: 40 }),
      fc.array(fc.integer({ min: 1, max: 9 })),
      (header, tail, sizes) => {
        const bytes = Buffer.concat([header, tail]);
        const whole = read(bytes);
        const parts = new ProxyHeaderReader();
        let at = 0;
        for (let i = 0; at < bytes.length && parts.status === 'need-more'; i++) {
          const size = sizes[i % sizes.length] ?? 1;
          parts.push(bytes.subarray(at, at + size));
          at += size;
        }
        expect(parts.status).toBe(whole.status);
        expect(parts.addresses).toEqual(whole.addresses);
        if (whole.status === 'conveyed' || whole.status === 'local') {
          expect(Buffer.concat([parts.rest, bytes.subarray(at)])).toEqual(whole.rest);
        }
      },
    ),
    { numRuns: 2000 },
  );
});

test('what is conveyed is what was written', () => {
  fc.assert(
    fc.property(fc.ipV4(), fc.nat(65535), fc.boolean(), (address, port, binary) => {
      const reader = read(binary ? tcp4(address, port) : textHeader(address, port));
      expect(reader.addresses).toMatchObject({ sourceAddress: address, sourcePort: port, destinationPort: 443 });
    }),
  );
  fc.assert(
    fc.property(fc.ipV6(), fc.ipV6(), (source, destination) => {
      const reader = read(latin1(`PROXY TCP6 ${source} ${destination} 1 2\r\n`));
      expect(reader.status).toBe('conveyed');
      // the canonical spelling is stable: an address counts once, however it is written
      const { sourceAddress, destinationAddress } = reader.addresses!;
      if (!sourceAddress.includes(':') || !destinationAddress.includes(':')) return;
      const again = read(latin1(`PROXY TCP6 ${sourceAddress} ${destinationAddress} 1 2\r\n`));
      expect(again.addresses).toEqual(reader.addresses);
    }),
  );
});

test('never more than 1 KiB is held (security rule 35)', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1024, maxLength: 1100 }), fc.boolean(), (bytes, text) => {
      const start = text ? latin1('PROXY ') : latin1('\r\n\r\n\0\r\nQUIT\n');
      expect(read(Buffer.concat([start, bytes])).status).not.toBe('need-more');
    }),
  );
});
