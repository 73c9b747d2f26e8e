import { isIPv6 } from 'node:net';
import fc from 'fast-check';
import { networkOf } from '#src/http/client-network.ts';

test.each([
  ['203.0.113.7', '203.0.113.0/24'],
  ['127.0.0.1', '127.0.0.0/24'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1::/48'],
  ['2001:DB8:0001:2::6', '2001:db8:1::/48'],
  ['2001:db8::6', '2001:db8::/48'],
  ['2001:0:1::', '2001:0:1::/48'],
  ['::1', '::/48'],
  ['::', '::/48'],
  ['fe80::1%eth0', 'fe80::/48'],
  ['::ffff:192.0.2.1', '192.0.2.0/24'],
  ['::FFFF:192.0.2.1', '192.0.2.0/24'],
  ['::ffff:0:192.0.2.1', '::/48'],
  ['64:ff9b::192.0.2.1', '64:ff9b::/48'],
  ['0:0:1:2:3:4:192.0.2.1', '0:0:1::/48'],
  ['', ''],
  ['not an address', ''],
])('`networkOf()` cuts %s to %s', (address, network) => {
  expect(networkOf(address)).toBe(network);
});

test('`networkOf()` depends on nothing after the first 48 bits of an IPv6 address', () => {
  const group = fc.nat(0xffff).map((value) => value.toString(16));
  const groups = (length: number) => fc.array(group, { minLength: length, maxLength: length });
  fc.assert(
    fc.property(groups(3), groups(5), (network, host) => {
      const shown = networkOf([...network, ...host].join(':'));
      expect(shown).toBe(networkOf([...network, '0', '0', '0', '0', '1'].join(':')));
      expect(isIPv6(shown.slice(0, -'/48'.length))).toBe(true);
    }),
  );
});
