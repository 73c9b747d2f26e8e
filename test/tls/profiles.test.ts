import { getCiphers } from 'node:tls';
import { FEATURES, featureByName, type SslProfile, suitesOf } from '#src/tls/profiles.ts';
import { SPEC_TABLE } from './spec-table.ts';

const PROFILES: readonly SslProfile[] = ['COMPATIBLE', 'MODERN', 'RESTRICTED', 'FIPS_202205'];

test('`FEATURES` is the table of the specification', () => {
  const rows = FEATURES.map(({ suite, profiles }) => {
    const marks = PROFILES.map((profile) => (profiles.includes(profile) ? profile[0] : '-')).join('');
    const version = suite.minVersion === 'TLSv1' ? '1.0' : '1.2';
    return `${suite.code.toString(16).padStart(4, '0')} ${suite.name} ${suite.opensslName} ${version} ${marks}`;
  });
  expect(rows).toEqual(SPEC_TABLE);
});

test('`suitesOf()` counts 15, 10, 6 and 4; CUSTOM holds none by itself', () => {
  expect(PROFILES.map((profile) => suitesOf(profile).length)).toEqual([15, 10, 6, 4]);
  expect(suitesOf('CUSTOM')).toEqual([]);
});

test('`available` says what this OpenSSL can do: everything but 3DES', () => {
  const known = getCiphers();
  for (const { suite } of FEATURES) {
    expect([suite.name, suite.available]).toEqual([suite.name, known.includes(suite.opensslName.toLowerCase())]);
  }
});

test('`featureByName()` finds by IANA name only', () => {
  expect(featureByName('TLS_RSA_WITH_AES_128_CBC_SHA')?.suite.code).toBe(0x002f);
  expect(featureByName('AES128-SHA')).toBeNull();
  expect(featureByName('TLS_AES_128_GCM_SHA256')).toBeNull();
});
