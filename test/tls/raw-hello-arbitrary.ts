import fc from 'fast-check';
import type { RawHello } from './raw-hello.ts';

const SUITES = [
  0x1301, 0x1302, 0x1303, 0x1304, 0xcca9, 0xcca8, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xc009, 0xc013, 0xc00a, 0xc014,
  0x009c, 0x009d, 0x002f, 0x0035, 0x000a, 0xc024, 0x009f, 0xccaa, 0xcc14, 0x00ff, 0x5600, 0x2a2a,
];
const GROUPS = [0x11ec, 0x001d, 0x0017, 0x0018, 0x0019, 0x001e, 0x0100, 0x3a3a];
const SCHEMES = [
  0x0403, 0x0503, 0x0603, 0x0804, 0x0805, 0x0806, 0x0401, 0x0501, 0x0601, 0x0201, 0x0203, 0x0807, 0x0809, 0x080a,
];

/** Most of the time nearly everything, so that many hellos succeed; else any part of it. */
function someOf(values: readonly number[]): fc.Arbitrary<number[]> {
  const few = fc.shuffledSubarray([...values], { minLength: 1 });
  const many = fc.shuffledSubarray([...values], { minLength: values.length - 2 });
  return fc.oneof({ arbitrary: few, weight: 1 }, { arbitrary: many, weight: 1 });
}

const groupsAndShares = fc.option(someOf(GROUPS), { freq: 12 }).chain((groups) =>
  fc.record({
    groups: fc.constant(groups),
    keyShares: fc.option(fc.subarray((groups ?? []).filter((group) => group !== 0x0100 && group !== 0x3a3a)), {
      freq: 12,
    }),
  }),
);

const versions = fc.oneof(
  fc.constantFrom([0x0304, 0x0303], [0x0304], [0x0303], [0x0302, 0x0301], null, null),
  fc.shuffledSubarray([0x0304, 0x0303, 0x0302, 0x0301, 0x0300, 0x7f1c, 0x5a5a], { minLength: 1 }),
);

/** Hellos of every kind that parses: missing extensions, foreign codes and GREASE included. */
export const rawHellos: fc.Arbitrary<RawHello> = fc
  .record({
    legacyVersion: fc.constantFrom(0x0303, 0x0303, 0x0303, 0x0302, 0x0301, 0x0300),
    versions,
    suites: fc
      .tuple(someOf(SUITES), fc.boolean())
      .map(([suites, fallback]) => suites.filter((s) => s !== 0x5600 || fallback)),
    exchange: groupsAndShares,
    schemes: fc.option(someOf(SCHEMES), { freq: 12 }),
    schemesCert: fc.oneof({ arbitrary: fc.constant(null), weight: 6 }, { arbitrary: someOf(SCHEMES), weight: 1 }),
    pointFormats: fc.constantFrom([0], [0], null),
  })
  .filter(({ suites }) => suites.length > 0)
  .map(({ exchange, ...rest }) => ({ ...rest, ...exchange }));
