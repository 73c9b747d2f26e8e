import { isIP } from 'node:net';
import fc from 'fast-check';
import { addressesCollide, addressReaches, normalAddress, singlePort } from '#src/config/address.ts';

test.each([
  ['127.0.0.1', '127.0.0.1'],
  ['0:0:0::1', '::1'],
  ['2001:DB8::00ff', '2001:db8::ff'],
  ['::FFFF:127.0.0.1', '127.0.0.1'],
  ['::ffff:7f00:1', '127.0.0.1'],
  ['fe80::1%eth0', 'fe80::1%eth0'],
  ['localhost', null],
  ['[::1]', null],
  ['127.1', null],
  ['', null],
])('normalAddress(%j) is %j', (text, address) => {
  expect(normalAddress(text)).toBe(address);
});

test('normalAddress() keeps its own answers', () => {
  fc.assert(
    fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (text) => {
      const address = normalAddress(text) ?? '';
      expect(isIP(address)).not.toBe(0);
      expect(normalAddress(address)).toBe(address);
    }),
  );
});

test.each([
  ['127.0.0.1', '127.0.0.1', true],
  ['127.0.0.1', '127.0.0.2', false],
  ['0.0.0.0', '127.0.0.1', true],
  ['127.0.0.1', '0.0.0.0', true],
  ['0.0.0.0', '::1', false],
  ['::', '127.0.0.1', true],
  ['::1', '::', true],
  ['::1', '127.0.0.1', false],
])('addressesCollide(%j, %j) is %j', (a, b, collide) => {
  expect(addressesCollide(a, b)).toBe(collide);
});

test.each([
  ['8443', 8443],
  [8443, 8443],
  ['8443-8443', 8443],
  ['0', 0],
  ['65535', 65_535],
  ['65536', null],
  ['1-2', null],
  [' 1', null],
  ['1e3', null],
  [-1, null],
  ['', null],
])('singlePort(%j) is %j', (range, port) => {
  expect(singlePort(range)).toBe(port);
});

test.each([
  ['10.0.0.1', '10.0.0.1', true],
  ['10.0.0.1', '10.0.0.2', false],
  ['127.0.0.1', '127.0.0.2', false],
  ['0.0.0.0', '127.0.0.2', true],
  ['0.0.0.0', '10.0.0.1', false],
  ['0.0.0.0', '::1', false],
  ['::', '::1', true],
  ['::', '127.0.0.1', true],
  ['::', '127::1', false],
])('what listens on %j is reached as %j: %j', (listening, dialled, reaches) => {
  expect(addressReaches(listening, dialled)).toBe(reaches);
});
