// biome-ignore-all lint/suspicious/noTemplateCurlyInString: ${…} is the configuration's own syntax
import { execFileSync } from 'node:child_process';
import { renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { relative } from 'node:path';
import fc from 'fast-check';
import { formatDiagnostic } from '#src/config/diagnostic.ts';
import type { LinkedConfiguration } from '#src/config/linked.ts';
import { loadConfiguration } from '#src/config/load.ts';
import { issue } from '#src/pki/issue/issue.ts';
import { testPki } from '../harness/pki.ts';
import { makeTempFolder, type TempFolder } from '../harness/temp-folder.ts';

let folder: TempFolder;
beforeEach(async () => {
  folder = makeTempFolder();
  const { root, server, client } = await testPki();
  folder.write('root.crt', root.certificatePem);
  folder.write('server.crt', server.certificatePem);
  folder.write('server.key', server.privateKeyPem);
  folder.write('client.crt', client.certificatePem);
  folder.write('client.key', client.privateKeyPem);
});
afterEach(() => folder.remove());

describe('loadConfiguration()', () => {
  test('gives a deep-frozen graph and every file that it read', async () => {
    const configuration = await loaded(CONFIGURATION);
    expect(unfrozen(configuration)).toEqual([]);
    const files = configuration.files.map((file) => relative(folder.path, file));
    expect(files.sort()).toEqual([
      'client.crt',
      'client.key',
      'root.crt',
      'sallyport.yaml',
      'server.crt',
      'server.key',
    ]);
  });

  test('names every file that it wanted when it fails, so that a watcher can wait for the repair', async () => {
    const path = folder.write(
      'sallyport.yaml',
      CONFIGURATION.replace('root.crt', 'later.crt').replace('MODERN', 'MODREN'),
    );
    const outcome = await loadConfiguration({ path, env: {}, nowMs: Date.now() });
    expect(outcome.ok).toBe(false);
    if (outcome.ok) return;
    expect(outcome.files).toEqual(expect.arrayContaining([path, folder.file('later.crt'), folder.file('server.key')]));
    expect(outcome.diagnostics).toHaveLength(2);
  });

  test('of a folder, the folder itself is among the files: a new file in it counts', async () => {
    folder.write('conf/a.yaml', CONFIGURATION.replaceAll('File: ', 'File: ../'));
    const outcome = await loadConfiguration({ path: folder.file('conf'), env: {}, nowMs: Date.now() });
    expect(outcome.ok && outcome.configuration.files).toEqual(
      expect.arrayContaining([folder.file('conf'), folder.file('conf/a.yaml')]),
    );
  });

  test.each([
    ['a path that does not exist', 'nothing.yaml', 'found no such file'],
    ['a symbolic link to nowhere', 'dangling.yaml', 'found a symbolic link that leads nowhere'],
    ['a pipe, which would block for ever', 'pipe.yaml', 'found no regular file'],
  ])('%s is a diagnostic', async (_, name, found) => {
    symlinkSync('nowhere', folder.file('dangling.yaml'));
    execFileSync('mkfifo', [folder.file('pipe.yaml')]);
    const outcome = await loadConfiguration({ path: folder.file(name), env: {}, nowMs: Date.now() });
    expect(!outcome.ok && outcome.diagnostics.map(({ message }) => message)).toEqual([
      `Cannot read the configuration: ${found}, expected a readable YAML or JSON file`,
    ]);
    expect(!outcome.ok && outcome.files).toEqual([folder.file(name)]);
  });

  test('reads through symbolic links, and watches the link (Kubernetes swaps ..data)', async () => {
    folder.write('..v1/sallyport.yaml', CONFIGURATION.replaceAll('File: ', 'File: ../'));
    symlinkSync('..v1', folder.file('..data'));
    symlinkSync('..data/sallyport.yaml', folder.file('linked.yaml'));
    const text = CONFIGURATION.replaceAll('File: ', `File: ${folder.path}/`);
    folder.write('..v1/sallyport.yaml', text);
    const outcome = await loadConfiguration({ path: folder.file('linked.yaml'), env: {}, nowMs: Date.now() });
    expect(outcome.ok && outcome.configuration.files).toContain(folder.file('linked.yaml'));
  });

  test('numbers and booleans may come from variables, quoted or not', async () => {
    const text = `${CONFIGURATION}\nsallyport: { workers: "\${W}", drain: { delaySec: "\${D}" }, admin: { dangerExposeDetails: "\${E}" } }\n`;
    const { settings } = await loaded(text, { W: '1', D: '7', E: 'true' });
    expect([settings.workers, settings.drain.delaySec, settings.admin.dangerExposeDetails]).toEqual([1, 7, true]);
  });

  test('settings have every default, and the log file is relative to the YAML file', async () => {
    const { settings } = await loaded(`${CONFIGURATION}\nsallyport: { accessLog: { destination: logs/access.log } }\n`);
    expect(settings).toEqual({
      admin: { address: '127.0.0.1', port: 9901, hosts: [], dangerExposeDetails: false },
      workers: 'auto',
      drain: { delaySec: 5, timeoutSec: 30 },
      dns: { servers: [], timeoutSec: 2, minTtlSec: 1, maxTtlSec: 60, dangerAllowPrivateNames: [] },
      proxyProtocol: [],
      sessionTickets: { rotationSec: 28_800, dangerTls12Tickets: false },
      accessLog: {
        format: 'json',
        destination: folder.file('logs/access.log'),
        sampleRate: 1,
        handshakeSampleRate: 0,
        redactQueryValues: false,
        requestHeaders: [],
      },
      tracing: null,
      limits: {
        connections: 20_000,
        connectionsPerAddress: 1000,
        unfinishedHandshakes: 2000,
        requestsPerConnection: 10_000,
        concurrentStreams: 128,
        minBodyBytesPerSec: 240,
        minBodyRateWindowSec: 30,
      },
      forwardedHeader: 'none',
      dangerBackendMinTlsVersion: null,
    });
  });

  test('dangerBackendMinTlsVersion lowers the floor towards backends, which is TLS 1.2', async () => {
    const { backendServices } = await loaded(CONFIGURATION);
    expect(backendServices[0]?.tls?.minTlsVersion).toBe('TLSv1.2');
    const lowered = await loaded(`${CONFIGURATION}\nsallyport: { dangerBackendMinTlsVersion: TLS_1_0 }\n`);
    expect(lowered.backendServices[0]?.tls?.minTlsVersion).toBe('TLSv1');
  });
});

describe('a certificate', () => {
  test('knows its names, key, dates and file', async () => {
    const configuration = await loaded(CONFIGURATION);
    const site = configuration.certificates.find(({ name }) => name === 'site');
    expect(site).toMatchObject({
      collection: 'sslCertificates',
      role: 'server',
      keyType: 'P-256',
      keyBits: 256,
      hostNames: ['localhost', '*.localhost', 'backend.example'],
      subject: 'CN=test server',
      file: folder.file('server.crt'),
    });
    expect(site?.sha256).toMatch(/^[0-9a-f]{64}$/);
    expect((site?.notAfterMs ?? 0) - (site?.notBeforeMs ?? 0)).toBeGreaterThan(0);
  });

  test('stays one digest when its file is only written anew, and gets another with another key', async () => {
    const before = await loaded(CONFIGURATION);
    const { server, issuing } = await testPki();
    writeFileSync(folder.file('server.crt'), `# a comment\n${server.certificatePem.replaceAll('\n', '\r\n')}`);
    const rewritten = await loaded(CONFIGURATION);
    expect(rewritten.digest).toBe(before.digest);
    const renewed = await issue({ subject: 'CN=test server', issuer: issuing, dnsNames: ['localhost'] });
    writeFileSync(folder.file('server.crt'), renewed.certificatePem);
    writeFileSync(folder.file('server.key'), renewed.privateKeyPem);
    const after = await loaded(CONFIGURATION);
    expect(after.digest).not.toBe(before.digest);
    expect(after.listeners[0]?.proxy.digest).not.toBe(before.listeners[0]?.proxy.digest);
    expect(after.backendServices[0]?.digest).toBe(before.backendServices[0]?.digest);
  });

  test('whose file holds the key too is linked without the key among its certificates', async () => {
    const { server } = await testPki();
    folder.write('server.crt', server.privateKeyPem + server.certificatePem);
    const { certificates } = await loaded(CONFIGURATION);
    for (const { certificatePem } of certificates) expect(certificatePem).not.toContain('PRIVATE KEY');
  });
});

describe('digests', () => {
  test.each([
    [
      'a trust anchor',
      (text: string) => text.replace('pemCertificateFile: root.crt', 'pemCertificateFile: server.crt'),
      true,
    ],
    ['the client certificate', (text: string) => text.replace(/, clientCertificate: to-backends/, ''), true],
    ['sni', (text: string) => text.replace('sni: backend.example', 'sni: other.example'), true],
    ['timeoutSec', (text: string) => text.replace('protocol: HTTPS', 'protocol: HTTPS\n    timeoutSec: 7'), false],
    ['an endpoint', (text: string) => text.replace('port: 9443', 'port: 9444'), false],
  ] as const)('of a backend service change with %s', async (_, change, changesIdentity) => {
    const before = await loaded(CONFIGURATION);
    const after = await loaded(change(CONFIGURATION));
    const [one] = before.backendServices;
    const [other] = after.backendServices;
    expect(other?.digest).not.toBe(one?.digest);
    expect(other?.tls?.digest !== one?.tls?.digest).toBe(changesIdentity);
    expect(after.listeners[0]?.proxy.digest).toBe(before.listeners[0]?.proxy.digest);
  });

  test('stay the same when only order of fields, names of files and descriptions change', async () => {
    const before = await loaded(CONFIGURATION);
    renameSync(folder.file('root.crt'), folder.file('anchor.pem'));
    const after = await loaded(
      CONFIGURATION.replace('root.crt', 'anchor.pem')
        .replace('profile: MODERN, minTlsVersion: TLS_1_2', 'minTlsVersion: TLS_1_2, description: x, profile: MODERN')
        .replace('  - { name: internal,', '  - { description: y, name: internal,'),
    );
    expect(after.digest).toBe(before.digest);
  });
});

describe('secrets (security rule 12)', () => {
  test('`redacted` has neither PEM nor expanded variables, and diagnostics have neither', async () => {
    const { server, root } = await testPki();
    const inline = CONFIGURATION.replace(
      '{ certificateFile: server.crt, privateKeyFile: server.key }',
      JSON.stringify({ certificate: server.certificatePem, privateKey: server.privateKeyPem }),
    )
      .replace('pemCertificateFile: root.crt', `pemCertificate: ${JSON.stringify(root.certificatePem)}`)
      .replace('port: 9443', 'port: "${PORT}"')
      .replace('name: modern,', 'name: modern, description: "${DESCRIPTION}",');
    const configuration = await loaded(inline, { PORT: '9443', DESCRIPTION: 'very secret' });
    const shown = JSON.stringify(configuration.redacted);
    expect(shown).not.toContain('very secret');
    expect(shown).not.toContain('BEGIN');
    expect(shown).not.toContain(server.privateKeyPem.split('\n')[1]);
    expect(shown).toContain('"port":"${PORT}"');
    expect(shown).toContain('"privateKey":"(not shown)"');
    expect(configuration.certificates.some(({ privateKeyPem }) => privateKeyPem.includes('BEGIN'))).toBe(true);
  });

  test('wherever a private key lands by mistake, no line of it is shown', async () => {
    const { server } = await testPki();
    const lines = server.privateKeyPem.split('\n').filter((line) => line.length === 64 && !line.startsWith('-'));
    const places = [
      'MODERN',
      'sslPolicies/modern',
      'backendServices/api',
      '127.0.0.1',
      '"8443"',
      'HTTPS',
      'server.key',
      'backend.example',
      'CLIENT_AUTH',
      'name: api',
      'urlMap:',
      'targetHttpsProxies:',
      '9443',
    ];
    for (const place of places) {
      for (const key of [server.privateKeyPem, lines[0] ?? '']) {
        const isField = place.endsWith(':');
        const value = place.startsWith('name: ') ? `name: ${JSON.stringify(key)}` : JSON.stringify(key);
        const text = CONFIGURATION.replace(place, isField ? `${value}:` : value);
        const path = folder.write('sallyport.yaml', text);
        const outcome = await loadConfiguration({ path, env: {}, nowMs: Date.now() });
        expect(outcome.ok).toBe(false);
        const shown = outcome.ok ? '' : outcome.diagnostics.map(formatDiagnostic).join('\n');
        for (const line of lines.slice(0, 2)) expect(shown).not.toContain(line);
        expect(shown).not.toContain('BEGIN');
      }
    }
  });
});

describe('limits (spec 2.4)', () => {
  test.each([
    [200, 0, 0, null],
    [201, 0, 0, 'found 201 trust anchors and intermediates, expected at most 200'],
    [100, 100, 0, null],
    [101, 100, 0, 'found 201 trust anchors and intermediates, expected at most 200'],
    [0, 101, 0, 'intermediateCas: found 101, expected at most 100'],
    [1, 0, 500, null],
    [1, 0, 501, 'found a list of 501, expected at most 500 certificates'],
  ] as const)('%i anchors, %i intermediates, %i allowlisted', async (anchors, intermediates, allowlisted, problem) => {
    const list = (count: number) => Array.from({ length: count }, () => '{ pemCertificateFile: root.crt }').join(', ');
    const store = `trustStores: [{ trustAnchors: [${list(anchors)}], intermediateCas: [${list(intermediates)}] }], allowlistedCertificates: [${list(allowlisted)}]`;
    const path = folder.write('sallyport.yaml', CONFIGURATION.replace(/trustStores: .*\}\]/, store));
    const outcome = await loadConfiguration({ path, env: {}, nowMs: Date.now() });
    const messages = outcome.ok ? [] : outcome.diagnostics.map(({ message }) => message);
    expect(messages.filter((message) => message.includes('expected at most'))).toEqual(
      problem === null ? [] : [expect.stringContaining(problem)],
    );
  });

  test.each([
    [1000, 'hosts', null],
    [1001, 'hosts', 'expected at most 1000 hosts'],
    [1001, 'hostRules', 'expected at most 1000 host rules'],
    [1001, 'pathMatchers', 'expected at most 1000 path matchers'],
    [1001, 'pathRules', 'expected at most 1000 rules'],
  ] as const)('%i %s in a URL map', async (count, what, problem) => {
    const numbers = Array.from({ length: count }, (_, index) => index);
    const one = (field: typeof what, item: (index: number) => string) =>
      (field === what ? numbers : [0]).map(item).join(',');
    const map = `  - name: web
    defaultService: api
    hostRules: [${one('hostRules', (r) => `{hosts: [${one('hosts', (h) => `h${r}-${h}`)}], pathMatcher: m0}`)}]
    pathMatchers: [${one('pathMatchers', (m) => `{name: m${m}, defaultService: api, pathRules: [${one('pathRules', (p) => `{paths: [/${p}], service: api}`)}]}`)}]`;
    const path = folder.write('sallyport.yaml', CONFIGURATION.replace(/ {2}- \{ name: web, defaultService: .*\}/, map));
    const outcome = await loadConfiguration({ path, env: {}, nowMs: Date.now() });
    expect(outcome.ok ? [] : outcome.diagnostics.map(({ message }) => message)).toEqual(
      problem === null ? [] : [expect.stringContaining(problem)],
    );
  });

  test('a URL map of more than 64 KiB', async () => {
    const hosts = Array.from({ length: 700 }, (_, index) => `${'a'.repeat(60)}.${'b'.repeat(40)}${index}`).join(',');
    const map = `  - { name: web, defaultService: api, hostRules: [{ hosts: [${hosts}], pathMatcher: m }], pathMatchers: [{ name: m, defaultService: api }] }`;
    const path = folder.write('sallyport.yaml', CONFIGURATION.replace(/ {2}- \{ name: web, defaultService: .*\}/, map));
    const outcome = await loadConfiguration({ path, env: {}, nowMs: Date.now() });
    expect(outcome.ok ? [] : outcome.diagnostics.map(({ message }) => message)).toEqual([
      expect.stringMatching(/found \d+ bytes \(as JSON\), expected at most 65536/),
    ]);
  });
});

test('a mutated configuration never throws, and is loaded or has a diagnostic with a place', async () => {
  const words = [...new Set(CONFIGURATION.split(/[\s,:{}[\]]+/))].filter((word) => word !== '');
  const mutation = fc.record({
    at: fc.nat(CONFIGURATION.length),
    length: fc.nat(12),
    text: fc.oneof(
      fc.constantFrom(
        ...words,
        '{',
        '}',
        '[',
        ']',
        ':',
        ',',
        '\n',
        '  ',
        '- ',
        '"',
        '*x',
        '&x',
        '${X}',
        '${',
        'null',
        '0',
        '-1',
        '1e999',
        '.nan',
        '~',
        '[]',
        '{}',
      ),
      fc.string({ maxLength: 5 }),
    ),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(mutation, { minLength: 1, maxLength: 4 }), async (mutations) => {
      let text = CONFIGURATION;
      for (const { at, length, text: piece } of mutations) text = text.slice(0, at) + piece + text.slice(at + length);
      const path = folder.write('sallyport.yaml', text);
      const outcome = await loadConfiguration({ path, env: { X: 'x' }, nowMs: Date.now() });
      if (outcome.ok) return;
      expect(outcome.diagnostics.length).toBeGreaterThan(0);
      for (const { file, message } of outcome.diagnostics) {
        expect(file).toBe(path);
        expect(message).not.toContain('undefined');
        expect(message).not.toContain('[object');
      }
    }),
    { numRuns: 400 },
  );
});

async function loaded(text: string, env: Record<string, string> = {}): Promise<LinkedConfiguration> {
  const path = folder.write('sallyport.yaml', text);
  const outcome = await loadConfiguration({ path, env, nowMs: Date.now() });
  if (!outcome.ok) throw new Error(outcome.diagnostics.map(formatDiagnostic).join('\n'));
  return outcome.configuration;
}

/** Paths of objects that could be changed. */
function unfrozen(value: unknown, path = ''): readonly string[] {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return [];
  const inside = Object.entries(value).flatMap(([key, member]) => unfrozen(member, `${path}.${key}`));
  return Object.isFrozen(value) ? inside : [path, ...inside];
}

const CONFIGURATION = `
forwardingRules:
  - { name: https, IPAddress: 127.0.0.1, portRange: "8443", target: targetHttpsProxies/web }
targetHttpsProxies:
  - { name: web, urlMap: urlMaps/web, sslCertificates: [sslCertificates/site], sslPolicy: sslPolicies/modern }
sslPolicies:
  - { name: modern, profile: MODERN, minTlsVersion: TLS_1_2 }
sslCertificates:
  - { name: site, selfManaged: { certificateFile: server.crt, privateKeyFile: server.key } }
urlMaps:
  - { name: web, defaultService: backendServices/api }
backendServices:
  - name: api
    protocol: HTTPS
    backends: [{ group: networkEndpointGroups/api }]
    tlsSettings: { sni: backend.example, authenticationConfig: api }
networkEndpointGroups:
  - { name: api, networkEndpointType: NON_GCP_PRIVATE_IP_PORT, endpoints: [{ ipAddress: 127.0.0.1, port: 9443 }] }
backendAuthenticationConfigs:
  - { name: api, trustConfig: internal, clientCertificate: to-backends }
trustConfigs:
  - { name: internal, trustStores: [{ trustAnchors: [{ pemCertificateFile: root.crt }] }] }
certificates:
  - { name: to-backends, scope: CLIENT_AUTH, selfManaged: { pemCertificateFile: client.crt, pemPrivateKeyFile: client.key } }
`;
