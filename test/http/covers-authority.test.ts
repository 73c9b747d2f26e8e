import { coversAuthority } from '#src/http/covers-authority.ts';

describe('coversAuthority()', () => {
  const names = ['pets.example', '*.pets.example', '192.0.2.1', '2001:db8::1'];

  test.each([
    'pets.example',
    'PETS.example:8443',
    'pets.example.',
    'cats.pets.example',
    '192.0.2.1:443',
    '[2001:db8::1]:443',
  ])('covers %s', (authority) => {
    expect(coversAuthority(names, authority)).toBe(true);
  });

  test.each([
    'example',
    'dogs.example',
    'a.cats.pets.example',
    '.pets.example',
    '192.0.2.2',
    '[2001:db8::2]',
    'pets.example.evil',
    '',
  ])('does not cover %s', (authority) => {
    expect(coversAuthority(names, authority)).toBe(false);
  });
});
