import fc from 'fast-check';
import { addressesIn, hostsFileAddresses } from '#src/backend/hosts-file.ts';

const TEXT = `127.0.0.1 localhost
# 10.0.0.9 shop.example
10.0.0.1\tshop.example SHOP2.example   # shop3.example
10.0.0.1 shop.example
  fe80::1%eth0 shop.example
::1 shop.example\r
300.0.0.1 shop.example
10.0.0.2`;

test('all addresses of a name, in any case, in order and once', () => {
  expect(addressesIn(TEXT, 'Shop.example')).toEqual(['10.0.0.1', 'fe80::1%eth0', '::1']);
  expect(addressesIn(TEXT, 'shop2.example')).toEqual(['10.0.0.1']);
});

test('no part of a name, no comment, no line without a name', () => {
  for (const name of ['shop3.example', 'example', 'hop.example', '10.0.0.1', '', '#'])
    expect(addressesIn(TEXT, name)).toEqual([]);
});

test('a file that cannot be read has no names', async () => {
  expect(await hostsFileAddresses('/nowhere/hosts', 'localhost')).toEqual([]);
});

test('any text gives addresses only', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      for (const address of addressesIn(`${text}\n10.0.0.7 a.example`, 'a.example')) expect(address).not.toBe('');
      expect(addressesIn(`${text}\n10.0.0.7 a.example`, 'a.example')).toContain('10.0.0.7');
    }),
  );
});
