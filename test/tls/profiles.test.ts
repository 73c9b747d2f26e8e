import { getCiphers } from 'node:tls';
import { FEATURES, featureByName, type SslProfile, suitesOf } from '#src/tls/profiles.ts';

// Spec 1.1, row by row: IANA value, feature, OpenSSL's name, minimum protocol, then C(OMPATIBLE) M(ODERN) R(ESTRICTED) F(IPS).
const TABLE = `
  cca9 TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256 ECDHE-ECDSA-CHACHA20-POLY1305 1.2 CMR-
  cca8 TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256 ECDHE-RSA-CHACHA20-POLY1305 1.2 CMR-
  c02b TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 ECDHE-ECDSA-AES128-GCM-SHA256 1.2 CMRF
  c02f TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 ECDHE-RSA-AES128-GCM-SHA256 1.2 CMRF
  c02c TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 ECDHE-ECDSA-AES256-GCM-SHA384 1.2 CMRF
  c030 TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 ECDHE-RSA-AES256-GCM-SHA384 1.2 CMRF
  c009 TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA ECDHE-ECDSA-AES128-SHA 1.0 CM--
  c013 TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA ECDHE-RSA-AES128-SHA 1.0 CM--
  c00a TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA ECDHE-ECDSA-AES256-SHA 1.0 CM--
  c014 TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA ECDHE-RSA-AES256-SHA 1.0 CM--
  009c TLS_RSA_WITH_AES_128_GCM_SHA256 AES128-GCM-SHA256 1.2 C---
  009d TLS_RSA_WITH_AES_256_GCM_SHA384 AES256-GCM-SHA384 1.2 C---
  002f TLS_RSA_WITH_AES_128_CBC_SHA AES128-SHA 1.0 C---
  0035 TLS_RSA_WITH_AES_256_CBC_SHA AES256-SHA 1.0 C---
  000a TLS_RSA_WITH_3DES_EDE_CBC_SHA DES-CBC3-SHA 1.0 C---`
  .trim()
  .split('\n')
  .map((row) => row.trim());

const PROFILES: readonly SslProfile[] = ['COMPATIBLE', 'MODERN', 'RESTRICTED', 'FIPS_202205'];

test('`FEATURES` is the table of the specification', () => {
  const rows = FEATURES.map(({ suite, profiles }) => {
    const marks = PROFILES.map((profile) => (profiles.includes(profile) ? profile[0] : '-')).join('');
    const version = suite.minVersion === 'TLSv1' ? '1.0' : '1.2';
    return `${suite.code.toString(16).padStart(4, '0')} ${suite.name} ${suite.opensslName} ${version} ${marks}`;
  });
  expect(rows).toEqual(TABLE);
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
