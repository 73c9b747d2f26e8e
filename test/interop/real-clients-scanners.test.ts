// What the scanners of other people report about a running proxy is the specification's policy table (1.1 to 1.3), no more and no less.
import { runTool } from '../harness/run-tool.ts';
import { SPEC_TABLE } from '../tls/spec-table.ts';
import { type RealClientDoors, SERVER_NAME, startRealClientDoors } from './real-client-doors.ts';

type Version = '1.0' | '1.1' | '1.2' | '1.3';
/** Enabled versions, each with its suites by IANA name, sorted. A version without a suite is not there. */
type Report = Readonly<Record<string, readonly string[]>>;

interface ScannedDoor {
  readonly sslPolicy: Readonly<Record<string, unknown>>;
  /** The oldest version that can connect. */
  readonly oldest: Version;
  readonly allows: (row: Row) => boolean;
  readonly tls13: readonly string[];
  /** Of those that sslscan knows: X25519MLKEM768 is not one. */
  readonly groups: readonly string[];
  /** `groups` unless given. */
  readonly tls12Groups?: readonly string[];
}

const TLS13 = ['TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256'];
const GROUPS = ['0x0017', '0x0018', '0x001d']; // P-256, P-384, X25519
const CUSTOM = ['TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384', 'TLS_RSA_WITH_AES_128_CBC_SHA'];
const DOORS: Readonly<Record<string, ScannedDoor>> = {
  compatible: {
    sslPolicy: { profile: 'COMPATIBLE', minTlsVersion: 'TLS_1_0' },
    oldest: '1.0',
    allows: (row) => row.profiles.includes('C'),
    tls13: TLS13,
    groups: GROUPS,
  },
  modern: {
    sslPolicy: { profile: 'MODERN', minTlsVersion: 'TLS_1_0' },
    oldest: '1.0',
    allows: (row) => row.profiles.includes('M'),
    tls13: TLS13,
    groups: GROUPS,
  },
  'modern-from-1-2': {
    sslPolicy: { profile: 'MODERN', minTlsVersion: 'TLS_1_2' },
    oldest: '1.2',
    allows: (row) => row.profiles.includes('M'),
    tls13: TLS13,
    groups: GROUPS,
  },
  restricted: {
    sslPolicy: { profile: 'RESTRICTED', minTlsVersion: 'TLS_1_0' },
    oldest: '1.2', // no suite of it works below 1.2
    allows: (row) => row.profiles.includes('R'),
    tls13: TLS13,
    groups: GROUPS,
  },
  'restricted-from-1-3': {
    sslPolicy: { profile: 'RESTRICTED', minTlsVersion: 'TLS_1_3' },
    oldest: '1.3',
    allows: () => false,
    tls13: TLS13,
    groups: GROUPS,
  },
  fips: {
    sslPolicy: { profile: 'FIPS_202205', minTlsVersion: 'TLS_1_2' },
    oldest: '1.2',
    allows: (row) => row.profiles.includes('F'),
    tls13: ['TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384'],
    groups: ['0x0017', '0x0018'],
  },
  custom: {
    sslPolicy: { profile: 'CUSTOM', minTlsVersion: 'TLS_1_1', customFeatures: CUSTOM },
    oldest: '1.1',
    allows: (row) => CUSTOM.includes(row.feature),
    tls13: TLS13,
    groups: GROUPS,
    // Its one ECDHE suite needs the P-256 certificate, and that a client which knows its curve (RFC 8422 §5.1).
    tls12Groups: ['0x0017'],
  },
};
const NAMES = Object.keys(DOORS);

let doors: RealClientDoors;
beforeAll(async () => {
  doors = await startRealClientDoors(DOORS);
});
afterAll(async () => {
  await doors?.stop();
});

describe('sslscan reports the policy table', () => {
  test.each(NAMES)('%s', async (name) => {
    const door = DOORS[name]!;
    const xml = await sslscan(name);
    const expected = expectedReport(door);
    expect(sslscanVersions(xml)).toEqual(Object.keys(expected));
    expect(sslscanSuites(xml)).toEqual(expected);
    expect(sslscanGroups(xml)).toEqual(expectedGroups(door));
    // sslscan completes every handshake it reports, so the log must tell the same story.
    expect(await loggedSuites(name, expected)).toEqual(expected);
    expect(await doors.failureLine(name, 'not_tls')).toMatchObject({
      side: 'client',
      detail: 'an SSLv2-style ClientHello',
    });
    const tooOld = await doors.failureLine(name, 'unsupported_version');
    expect(tooOld).toMatchObject({ side: 'proxy', detail: expect.stringContaining('the client offers SSLv3') });
    expect(tooOld['tls']).toMatchObject({ offeredVersions: ['SSLv3'], ja4: expect.stringMatching(/^ts3i/) });
  });
});

describe('nmap ssl-enum-ciphers reports the policy table', () => {
  test.each(NAMES)('%s', async (name) => {
    const report = nmapReport(await nmap(name));
    expect(report.suites).toEqual(expectedReport(DOORS[name]!));
    // Two suites at least are needed to find out whose preference counts; it is the server's.
    for (const [version, suites] of Object.entries(report.suites))
      expect([version, report.preference[version]]).toEqual([version, suites.length > 1 ? 'server' : 'indeterminate']);
    expect(report.warnings).toEqual(name === 'custom' ? ['Forward Secrecy not supported by any cipher'] : []);
  });
});

interface Row {
  readonly code: string;
  readonly feature: string;
  readonly minVersion: Version;
  readonly profiles: string;
}

function expectedReport(door: ScannedDoor): Report {
  const report: Record<string, readonly string[]> = {};
  for (const version of ['1.0', '1.1', '1.2'] as const) {
    if (version < door.oldest) continue;
    const rows = ROWS.filter((row) => row.minVersion <= version && door.allows(row));
    report[version] = rows.map((row) => row.feature).toSorted();
  }
  return { ...report, '1.3': door.tls13 };
}

function expectedGroups(door: ScannedDoor): Report {
  if (door.oldest === '1.3') return { '1.3': door.groups };
  return { '1.2': door.tls12Groups ?? door.groups, '1.3': door.groups };
}

async function sslscan(door: string): Promise<string> {
  // Its 3 s for an answer can be little where everything runs at once; a suite without one would be missing in its report.
  const args = ['--no-colour', '--timeout=20', `--sni-name=${SERVER_NAME}`, '--xml=-', `127.0.0.1:${doors.port(door)}`];
  const { stdout } = await runTool('sslscan', args);
  expect(stdout).toContain('</document>');
  return stdout;
}

function sslscanVersions(xml: string): readonly string[] {
  const enabled: string[] = [];
  for (const [, type, version, on] of xml.matchAll(/<protocol type="(\w+)" version="([\d.]+)" enabled="(\d)"/g))
    if (on === '1') enabled.push(type === 'tls' ? version! : `SSL ${version}`);
  return enabled;
}

function sslscanSuites(xml: string): Report {
  const found = [...xml.matchAll(/<cipher status="\w+" sslversion="TLSv([\d.]+)".*? cipher="([^"]+)" id="0x(\w+)"/g)];
  return collect(
    found.map(([, version, name, code]) => [version!, featureOf.get(code!.toLowerCase()) ?? (name as string)]),
  );
}

function sslscanGroups(xml: string): Report {
  const found = [...xml.matchAll(/<group sslversion="TLSv([\d.]+)".*? id="(\w+)"/g)];
  return collect(found.map(([, version, id]) => [version!, id!]));
}

async function loggedSuites(door: string, expected: Report): Promise<Report> {
  const negotiated = await doors.negotiated(door, Object.values(expected).flat().length);
  const pairs = [...negotiated].map((text) => text.split(' ') as [string, string]);
  return collect(pairs.map(([protocol, suite]) => [protocol === 'TLSv1' ? '1.0' : protocol.slice(4), suite]));
}

async function nmap(door: string): Promise<string> {
  const port = String(doors.port(door));
  // -sT: needs no raw socket, whoever runs the tests.
  const args = ['-sT', '-n', '-Pn', '-p', port, '--script', 'ssl-enum-ciphers', '-oX', '-', '127.0.0.1'];
  const { stdout } = await runTool('nmap', args);
  expect(stdout).toContain('</nmaprun>');
  return stdout;
}

interface NmapReport {
  readonly suites: Report;
  readonly preference: Readonly<Record<string, string>>;
  readonly warnings: readonly string[];
}

/** The outermost tables are the versions; nmap writes one element a line. */
function nmapReport(xml: string): NmapReport {
  const found: [string, string][] = [];
  const preference: Record<string, string> = {};
  const warnings: string[] = [];
  let version = '';
  let isWarning = false;
  for (const line of xml.split('\n')) {
    const table = /<table key="(TLSv|SSLv)([\d.]+)">/.exec(line);
    if (table !== null) version = table[1] === 'TLSv' ? table[2]! : `SSL ${table[2]}`;
    else if (line.startsWith('<table')) isWarning = line === '<table key="warnings">';
    const suite = /<elem key="name">(\w+)</.exec(line)?.[1];
    if (suite !== undefined) found.push([version, suite.replace('TLS_AKE_WITH_', 'TLS_')]);
    const whose = /<elem key="cipher preference">(\w+)</.exec(line)?.[1];
    if (whose !== undefined) preference[version] = whose;
    const warning = /^<elem>(.*)<\/elem>$/.exec(line)?.[1];
    if (isWarning && warning !== undefined) warnings.push(warning);
  }
  return { suites: collect(found), preference, warnings };
}

/** By version, sorted, without repetition. */
function collect(pairs: readonly (readonly [string, string])[]): Report {
  const byVersion = new Map<string, Set<string>>();
  for (const [version, item] of pairs) {
    const items = byVersion.get(version) ?? new Set();
    byVersion.set(version, items.add(item));
  }
  return Object.fromEntries([...byVersion].map(([version, items]) => [version, [...items].toSorted()]));
}

/** Without 3DES, which the runtime cannot negotiate (spec 10.1). */
const ROWS: readonly Row[] = SPEC_TABLE.map((row) => {
  const [code, feature, , minVersion, profiles] = row.split(' ');
  return { code: code!, feature: feature!, minVersion: minVersion as Version, profiles: profiles! };
}).filter((row) => row.feature !== 'TLS_RSA_WITH_3DES_EDE_CBC_SHA');
const featureOf: ReadonlyMap<string, string> = new Map(ROWS.map((row) => [row.code, row.feature]));
