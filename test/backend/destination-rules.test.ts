import { isIP } from 'node:net';
import fc from 'fast-check';
import { addressBytes, prohibition, rangeOf } from '#src/backend/destination-rules.ts';

const NOWHERE = { allowedNames: [], ownDoors: [] };
const refused = (address: string) => prohibition('a.example', address, 443, NOWHERE);

test.each([
  ['127.0.0.1', 'loopback'],
  ['127.255.255.254', 'loopback'],
  ['::1', 'loopback'],
  ['0.0.0.0', 'unspecified'],
  ['0.1.2.3', 'unspecified'],
  ['::', 'unspecified'],
  ['169.254.169.254', 'link-local'],
  ['fe80::1', 'link-local'],
  ['febf::1%eth0', 'link-local'],
  ['224.0.0.1', 'multicast'],
  ['239.255.255.250', 'multicast'],
  ['ff02::1', 'multicast'],
  ['240.0.0.1', 'reserved or broadcast'],
  ['255.255.255.255', 'reserved or broadcast'],
  ['::ffff:127.0.0.1', 'loopback'],
  ['::ffff:7f00:1', 'loopback'],
  ['::ffff:169.254.169.254', 'link-local'],
  ['::127.0.0.1', 'loopback'],
  ['::e000:1', 'multicast'],
  ['64:ff9b::127.0.0.1', 'loopback'],
  ['64:ff9b::a9fe:a9fe', 'link-local'],
  ['64:ff9b:1::1', 'a translation prefix of this network'],
  ['2002:7f00:1::1', 'loopback'],
  ['2002:a9fe:a9fe::', 'link-local'],
  ['2001:0:1:2:3:4:80ff:fffe', 'loopback'], // Teredo: 127.0.0.1, every bit turned
  ['100.100.100.200', 'a cloud metadata service'],
  ['192.0.0.192', 'a cloud metadata service'],
  ['fd00:ec2::254', 'a cloud metadata service'],
  ['fd20:ce::254', 'a cloud metadata service'],
  ['fd00:c1::a9fe:a9fe', 'a cloud metadata service'],
  ['64:ff9b::100.100.100.200', 'a cloud metadata service'],
])('%s is refused: %s', (address, reason) => {
  expect(refused(address)).toBe(reason);
});

test.each([
  '8.8.8.8',
  '10.0.0.1',
  '172.16.0.1',
  '192.168.0.1',
  '100.64.0.1',
  '126.255.255.255',
  '128.0.0.1',
  '169.253.255.255',
  '169.255.0.0',
  '223.255.255.255',
  'fd00::1',
  '2001:db8::1',
  'fe00::1',
  'fec0::1',
  '::2:0:0:1',
  '64:ff9b::8.8.8.8',
  '2002:808:808::1',
  '::ffff:10.0.0.1',
])('%s is where a backend may be', (address) => {
  expect(refused(address)).toBeNull();
});

test('an allowed name may lead to all of them, another may not', () => {
  const terms = { allowedNames: ['b.example'], ownDoors: [] };
  expect(prohibition('b.example', '127.0.0.1', 443, terms)).toBeNull();
  expect(prohibition('a.example', '127.0.0.1', 443, terms)).toBe('loopback');
});

test.each([
  ['10.0.0.5', '10.0.0.5'],
  ['10.0.0.5', '::ffff:10.0.0.5'],
  ['10.0.0.5', '64:ff9b::10.0.0.5'],
  ['2001:db8::5', '2001:db8:0:0::5'],
  ['0.0.0.0', '127.0.0.1'],
  ['::', '127.0.0.53'],
  ['0.0.0.0', '::ffff:127.0.0.1'],
])('what listens on %s is not to be reached as %s, on its port', (address, dialled) => {
  const terms = { allowedNames: ['a.example'], ownDoors: [{ address, port: 8443 }] };
  expect(prohibition('a.example', dialled, 8443, terms)).toBe('an address of this proxy');
  expect(prohibition('a.example', dialled, 8444, terms)).toBeNull();
});

test('bytes of every address are those of the address', () => {
  fc.assert(
    fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (address) => {
      const bytes = addressBytes(address)!;
      expect([4, 16]).toContain(bytes.length);
      const text = Buffer.from(bytes).toString('hex').match(/.{4}/g)!.join(':');
      const again = bytes.length === 4 ? [...bytes].join('.') : text;
      expect(isIP(again)).toBe(bytes.length === 4 ? 4 : 6);
      expect(addressBytes(again)).toEqual(bytes);
      if (isIP(address) === 4) expect(again).toBe(address);
    }),
  );
});

test('an IPv4 address is judged alike in every form that carries it', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(255), { minLength: 4, maxLength: 4 }), ([a, b, c, d]) => {
      const plain = rangeOf(Uint8Array.of(a!, b!, c!, d!));
      const dotted = [a, b, c, d].join('.');
      const hex = Buffer.from([a!, b!, c!, d!]).toString('hex');
      for (const form of [`::ffff:${dotted}`, `64:ff9b::${dotted}`, `2002:${hex.slice(0, 4)}:${hex.slice(4)}::1`]) {
        expect([form, rangeOf(addressBytes(form)!)]).toEqual([form, plain]);
      }
    }),
  );
});

test.each(['', 'a.example', '127.1', '1.2.3.4.5', '::1::', '0x7f000001', '2130706433'])('%j is no address', (text) => {
  expect(addressBytes(text)).toBeNull();
  expect(refused(text)).toBe('no address');
});
