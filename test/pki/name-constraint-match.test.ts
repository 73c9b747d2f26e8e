import type { GeneralName } from '#src/pki/general-name.ts';
import { comparableBase, comparableName, matchesConstraint } from '#src/pki/name-constraint-match.ts';

type TextKind = 'dns' | 'email' | 'uri';

describe('`matchesConstraint()`', () => {
  test.each<[TextKind, string, string, boolean]>([
    ['dns', 'example.com', 'example.com', true],
    ['dns', 'A.Example.COM', 'example.com', true],
    ['dns', 'notexample.com', 'example.com', false],
    ['dns', 'a.example.com', '.example.com', true],
    ['dns', 'example.com', '.example.com', false],
    ['dns', 'anything.test', '', true],
    ['dns', '*.example.com', 'example.com', true],
    ['dns', '*.example.com', 'foo.example.com', false],
    ['email', 'a@host.test', 'a@host.test', true],
    ['email', 'A@host.test', 'a@host.test', false],
    ['email', 'a@HOST.test', 'a@host.test', true],
    ['email', 'a@host.test', 'host.test', true],
    ['email', 'a@sub.host.test', 'host.test', false],
    ['email', 'a@sub.host.test', '.host.test', true],
    ['email', 'a@host.test', '.host.test', false],
    ['uri', 'https://host.test/x', 'host.test', true],
    ['uri', 'https://user@HOST.test:8443/x', 'host.test', true],
    ['uri', 'https://sub.host.test', 'host.test', false],
    ['uri', 'https://sub.host.test', '.host.test', true],
    ['uri', 'https://host.test@evil.test/', 'host.test', false],
    ['uri', 'spiffe://a.test/b', 'a.test', true],
  ])('%s: %s inside %s: %p', (kind, name, base, inside) => {
    expect(matches({ kind, text: name }, { kind, text: base }, 'permitted')).toBe(inside);
  });

  test('an exclusion catches the wildcard that stands for it (CVE-2025-61727)', () => {
    const excludes = (base: string) => matches(dns('*.example.com'), dns(base), 'excluded');
    expect(['bar.example.com', 'example.com', 'a.bar.example.com', 'bar.example.org'].map(excludes)).toEqual([
      true,
      true,
      false,
      false,
    ]);
  });

  test.each([
    ['0a010203', '0a000000ff000000', true],
    ['0b010203', '0a000000ff000000', false],
    ['c0a80181', 'c0a80180ffffff80', true],
    ['c0a80101', 'c0a80180ffffff80', false],
    ['00000000000000000000000000000001', '0a000000ff000000', false],
  ])('IP %s in %s: %p', (address, range, inside) => {
    const [name, base] = [address, range].map((hex): GeneralName => ({ kind: 'ip', address: Buffer.from(hex, 'hex') }));
    expect(matches(name!, base!, 'permitted')).toBe(inside);
  });

  test('forms without comparison rules are excluded wholly and permitted never', () => {
    const other: GeneralName = { kind: 'other', der: Buffer.of(0xa0, 0) };
    expect(matches(other, other, 'excluded')).toBe(true);
    expect(matches(other, other, 'permitted')).toBe(false);
  });
});

test.each<[TextKind, string, boolean]>([
  ['dns', '', true],
  ['dns', '.example.com', true],
  ['dns', '*.example.com', false],
  ['dns', '..example.com', false],
  ['dns', 'example.com.', false],
  ['dns', 'a b', false],
  ['email', 'a@b.test', true],
  ['email', 'a@b@c.test', false],
  ['email', '@b.test', false],
  ['uri', 'https://host', false],
])('`comparableBase()` reads %s %p: %p', (kind, text, readable) => {
  expect(comparableBase({ kind, text }) !== null).toBe(readable);
});

test('`comparableBase()` wants a prefix as the mask', () => {
  const range = (hex: string): GeneralName => ({ kind: 'ip', address: Buffer.from(hex, 'hex') });
  const masks = ['ffffff00', 'fffffe00', '00000000', 'ffffffff', 'ff00ff00', 'fffffd00', '00000001'];
  expect(masks.map((mask) => comparableBase(range(`0a000000${mask}`)) !== null)).toEqual([
    true,
    true,
    true,
    true,
    false,
    false,
    false,
  ]);
});

test.each<[TextKind, string, boolean]>([
  ['dns', '*.example.com', true],
  ['dns', 'a.*.com', false],
  ['dns', 'example.com.', false],
  ['uri', 'urn:uuid:1', false],
  ['uri', 'https://192.0.2.1/', false],
  ['uri', 'https://[::1]/', false],
  ['email', 'nobody', false],
])('`comparableName()` reads %s %p: %p', (kind, text, readable) => {
  expect(comparableName({ kind, text }) !== null).toBe(readable);
});

function dns(text: string): GeneralName {
  return { kind: 'dns', text };
}

function matches(name: GeneralName, base: GeneralName, side: 'permitted' | 'excluded'): boolean {
  return matchesConstraint(comparableName(name)!, comparableBase(base)!, side);
}
