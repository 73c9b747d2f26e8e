import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FileReader } from '#src/config/file-reader.ts';
import { readCrls } from '#src/config/read-crls.ts';
import { parseCertificate } from '#src/pki/certificate.ts';
import { type Crl, parseCrls } from '#src/pki/crl.ts';
import type { Issued } from '#src/pki/issue/contract.ts';
import { crlPem, issueCrl } from '#src/pki/issue/crl.ts';
import { issue } from '#src/pki/issue/issue.ts';

const ENTRIES = 40_000;
let ca: Issued;
let large: Buffer;
let small: Buffer;

beforeAll(async () => {
  ca = await issue({ subject: 'CN=CA', ca: true });
  const revoked = Array.from({ length: ENTRIES }, (_, index) => ({
    serialHex: (0x100000 + index).toString(16).padStart(16, '0').replace(/^00/, '11'),
  }));
  large = issueCrl({ issuer: ca, revoked, number: 2 });
  small = issueCrl({ issuer: ca, revoked: [{ serialHex: '0102', reasonCode: 1 }] });
});

test('a large file, parsed in a thread, gives the lists that it gives here', async () => {
  expect(large.length).toBeGreaterThan(1024 * 1024);
  for (const file of [large, Buffer.from(crlPem(small) + crlPem(large))]) {
    const crls = (await readCrls(file)) as readonly Crl[];
    const here = parseCrls(file);
    expect(crls.map(({ sha256, count, label }) => ({ sha256, count, label }))).toEqual(
      here.map(({ sha256, count, label }) => ({ sha256, count, label })),
    );
    const list = crls.at(-1)!;
    for (let index = 0; index < ENTRIES; index += 997) {
      const serial = Buffer.from((0x100000 + index).toString(16).padStart(16, '0').replace(/^00/, '11'), 'hex');
      expect(list.revoked(serial)).toEqual(here.at(-1)!.revoked(serial));
      expect(list.revoked(serial)).not.toBeNull();
    }
    expect(list.revoked(Buffer.from('0102', 'hex'))).toBeNull();
    expect(list.isSignedBy(parseCertificate(ca.der))).toBe(true);
  }
});

test('while a thread parses, this one goes on', async () => {
  let turns = 0;
  const timer = setInterval(() => turns++, 1);
  await readCrls(Buffer.concat([Buffer.from(crlPem(large)), Buffer.from('\n')]));
  clearInterval(timer);
  expect(turns).toBeGreaterThan(0);
});

test('what is wrong with a file is said, whichever thread finds it', async () => {
  expect(await readCrls(large.subarray(0, -9))).toMatch(/^value of \d+ bytes at offset/);
  expect(await readCrls(small.subarray(0, -9))).toMatch(/^value of \d+ bytes at offset/);
  expect(await readCrls(Buffer.alloc(2 * 1024 * 1024, 'x'))).toBe('neither DER nor an X509 CRL block in PEM');
});

test('the contents of a file that is in use are not parsed again', async () => {
  const first = await readCrls(large);
  expect(await readCrls(Buffer.from(large))).toBe(first);
  expect(await readCrls(issueCrl({ issuer: ca, number: 3 }))).not.toBe(first);
});

test('files may have a limit of their own', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'crl-'));
  await writeFile(join(folder, 'a.crl'), small);
  const { problem } = await new FileReader().readBytes(join(folder, 'a.crl'), small.length - 1);
  expect(problem).toBe(`found ${small.length} bytes, expected at most ${small.length - 1}`);
  await rm(folder, { recursive: true });
});
