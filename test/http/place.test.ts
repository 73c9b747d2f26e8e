import fc from 'fast-check';
import { placeOf } from '#src/http/place.ts';

const MOUNTAIN_VIEW = {
  country: { iso_code: 'US' },
  subdivisions: [{ iso_code: 'CA' }, { iso_code: 'XX' }],
  city: { names: { de: 'anders', en: 'Mountain View' } },
  location: { latitude: 37.386051, longitude: -122.083851 },
  traits: { autonomous_system_number: 15_169 },
};
const NOTHING = { region: '', subdivision: '', city: '', latLong: '', asn: '' };

test('a record of a city database is a place in the words of spec 4.1', () => {
  expect(placeOf(MOUNTAIN_VIEW)).toEqual({
    region: 'US',
    subdivision: 'USCA',
    city: 'Mountain View',
    latLong: '37.386051,-122.083851',
    asn: '15169',
  });
});

test.each([
  ['of an ASN database', { autonomous_system_number: 64_496 }, { asn: '64496' }],
  ['whose country is only registered', { registered_country: { iso_code: 'FR' } }, { region: 'FR' }],
  ['with a subdivision of no country', { subdivisions: [{ iso_code: 'CA' }] }, {}],
  ['with whole degrees', { location: { latitude: 1, longitude: 0 } }, { latLong: '1.000000,0.000000' }],
  ['with a place that is none', { location: { latitude: 91, longitude: 0 } }, {}],
  ['with no number for a place', { location: { latitude: Number.NaN, longitude: 0 } }, {}],
  ['with members of other types', { country: 'US', city: { names: 'x' }, subdivisions: {}, traits: 3 }, {}],
  ['with no number for a system', { autonomous_system_number: 'AS1' }, {}],
])('a record %s', (_what, record, expected) => {
  expect(placeOf(record)).toEqual({ ...NOTHING, ...expected });
});

test.each([null, undefined, 'US', 1])('%j is no record', (record) => {
  expect(placeOf(record)).toBeNull();
});

test('whatever a database holds, a place is strings', () => {
  const names = fc.constantFrom(...Object.keys(MOUNTAIN_VIEW), 'iso_code', 'names', 'en', 'latitude', 'longitude');
  fc.assert(
    fc.property(fc.anything({ key: names, maxDepth: 4, withNullPrototype: true, withBigInt: true }), (record) => {
      const place = placeOf(record);
      for (const value of Object.values(place ?? {})) expect(typeof value).toBe('string');
    }),
  );
});
