import { createPrivateKey, X509Certificate } from 'node:crypto';
import { existsSync, lstatSync, readdirSync, readFileSync, readlinkSync, statSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { writePki } from '#src/pki/issue/write-pki.ts';
import { makeTempFolder, type TempFolder } from '../../harness/temp-folder.ts';

const MANIFEST = `certificates:
  - { name: leaf, issuer: issuing, subject: CN=leaf, dnsNames: [a.example], chain: true }
  - { name: issuing, issuer: root, subject: CN=issuing, ca: true }
  - { name: root, subject: CN=root, ca: true, writeKey: false }
`;

describe('writePki()', () => {
  let folder: TempFolder;
  let manifestFile: string;
  let outFolder: string;

  beforeEach(() => {
    folder = makeTempFolder();
    manifestFile = folder.write('pki.yaml', MANIFEST);
    outFolder = folder.file('out');
  });
  afterEach(() => folder.remove());

  test('writes certificates, chains without the root, and keys that only their owner reads', async () => {
    const written = await writePki({ manifestFile, outFolder, existing: 'refuse' });
    const names = ['leaf.crt', 'leaf.key', 'issuing.crt', 'issuing.key', 'root.crt'];
    expect(written).toEqual(names.map((name) => join(outFolder, name)));
    expect(readdirSync(outFolder).sort()).toEqual([...names].sort());
    const [leaf, issuing, ...more] = certificates(join(outFolder, 'leaf.crt'));
    const [root] = certificates(join(outFolder, 'root.crt'));
    expect(more).toEqual([]);
    expect(leaf?.checkIssued(issuing as X509Certificate)).toBe(true);
    expect(issuing?.verify((root as X509Certificate).publicKey)).toBe(true);
    expect(leaf?.checkPrivateKey(createPrivateKey(readFileSync(join(outFolder, 'leaf.key'))))).toBe(true);
    expect(statSync(join(outFolder, 'leaf.key')).mode & 0o777).toBe(0o600);
  });

  test('gives no certificate a longer life than its issuer asked for as long', async () => {
    await writePki({ manifestFile, outFolder, existing: 'refuse' });
    const ends = ['leaf', 'root'].map((name) => certificates(join(outFolder, `${name}.crt`))[0]?.validTo);
    expect(ends[0]).toBe(ends[1]);
  });

  test('writes nothing at all where one file is already there', async () => {
    folder.write('out/issuing.key', 'mine');
    await expect(writePki({ manifestFile, outFolder, existing: 'refuse' })).rejects.toThrow(
      /issuing\.key: already there/,
    );
    expect(readdirSync(outFolder)).toEqual(['issuing.key']);
    expect(readFileSync(join(outFolder, 'issuing.key'), 'utf8')).toBe('mine');
  });

  test('replaces files where told to, with fresh modes', async () => {
    folder.write('out/leaf.key', 'old', 0o644);
    await writePki({ manifestFile, outFolder, existing: 'replace' });
    expect(readFileSync(join(outFolder, 'leaf.key'), 'utf8')).toContain('BEGIN PRIVATE KEY');
    expect(statSync(join(outFolder, 'leaf.key')).mode & 0o777).toBe(0o600);
    expect(readdirSync(outFolder)).toHaveLength(5); // no temporary file stays
  });

  // Security: keys are made with O_EXCL and O_NOFOLLOW.
  test.each(['refuse', 'replace'] as const)('never writes a key through a link (%s)', async (existing) => {
    const target = folder.write('elsewhere', 'untouched');
    folder.write('out/.keep', '');
    symlinkSync(target, join(outFolder, 'leaf.key'));
    const result = writePki({ manifestFile, outFolder, existing });
    if (existing === 'refuse') {
      await expect(result).rejects.toThrow(/leaf\.key: already there/);
      expect(readlinkSync(join(outFolder, 'leaf.key'))).toBe(target);
    } else {
      await result;
      expect(lstatSync(join(outFolder, 'leaf.key')).isFile()).toBe(true);
    }
    expect(readFileSync(target, 'utf8')).toBe('untouched');
  });

  test('refuses a dangling link as well', async () => {
    folder.write('out/.keep', '');
    symlinkSync(folder.file('nowhere'), join(outFolder, 'leaf.key'));
    await expect(writePki({ manifestFile, outFolder, existing: 'refuse' })).rejects.toThrow(/already there/);
    expect(existsSync(folder.file('nowhere'))).toBe(false);
  });

  test('names the certificate that cannot be issued', async () => {
    folder.write('pki.yaml', 'certificates: [{ name: odd, subject: XX=1 }]');
    await expect(writePki({ manifestFile, outFolder, existing: 'refuse' })).rejects.toThrow(
      "Cannot issue 'odd': Cannot read the name 'XX=1'",
    );
  });
});

function certificates(file: string): X509Certificate[] {
  const blocks = readFileSync(file, 'utf8').match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  return blocks.map((pem) => new X509Certificate(pem));
}

describe('the demo manifest', () => {
  test('makes a root that speaks for this machine only, for 30 days, and throws its key away (security rule 13)', async () => {
    using folder = makeTempFolder();
    const outFolder = folder.path;
    await writePki({ manifestFile: 'certs/demo.yaml', outFolder, existing: 'refuse' });
    const [root] = certificates(join(outFolder, 'root.crt'));
    const der = (root as X509Certificate).raw;
    // nameConstraints (2.5.29.30), critical: permitted localhost, 127.0.0.0/8 and ::1/128, nothing else.
    const localhost = Buffer.from('localhost').toString('hex');
    const permitted = `300b8209${localhost}300a87087f000000ff00000030228720${'0'.repeat(31)}1${'f'.repeat(32)}`;
    expect(der.toString('hex')).toContain(`0603551d1e0101ff0441303fa03d${permitted}`);
    const lifeMs = (root?.validToDate.getTime() ?? 0) - (root?.validFromDate.getTime() ?? 0);
    expect(lifeMs).toBe(30 * 86_400_000);
    const keys = readdirSync(outFolder).filter((name) => name.endsWith('.key'));
    expect(keys).not.toContain('root.key');
    expect(keys).not.toContain('issuing.key');
    expect(keys).toHaveLength(8);
  });
});
