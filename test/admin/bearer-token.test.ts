import fc from 'fast-check';
import { checkBearerToken } from '#src/admin/bearer-token.ts';

const TOKEN = '0123456789abcdef0123456789ABCDEF-._~+/==';

test.each([
  [[], 'absent'],
  [[`Bearer ${TOKEN}`], 'right'],
  [[`bEARER   ${TOKEN}`], 'right'],
  [[`Bearer ${TOKEN.toLowerCase()}`], 'wrong'],
  [[`Bearer ${TOKEN.slice(0, -1)}`], 'wrong'],
  [[`Bearer ${TOKEN}=`], 'wrong'],
  [[`Bearer ${TOKEN}, Bearer ${TOKEN}`], 'wrong'],
  [[`Bearer\t${TOKEN}`], 'wrong'],
  [[`Bearer${TOKEN}`], 'wrong'],
  [['Bearer '], 'wrong'],
  [[''], 'wrong'],
  [[`Basic ${TOKEN}`], 'wrong'],
  [[`Bearer ${TOKEN}`, `Bearer ${TOKEN}`], 'wrong'],
])('of Authorization fields %j `checkBearerToken()` says %s', (fields, expected) => {
  expect(checkBearerToken(fields, TOKEN)).toBe(expected);
});

test('no other field is right, whatever a stranger writes', () => {
  const near = fc.string().map((text) => `Bearer ${text}`);
  const cut = fc.nat(TOKEN.length - 1).map((length) => `Bearer ${TOKEN.slice(0, length)}`);
  fc.assert(
    fc.property(fc.oneof(fc.string({ unit: 'binary' }), near, cut), (field) => {
      expect(checkBearerToken([field], TOKEN)).toBe('wrong');
    }),
  );
});
