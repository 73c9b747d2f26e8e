import { existsSync, readFileSync, statSync } from 'node:fs';
import { sallyportOnce } from '../harness/run-sallyport.ts';
import { makeTempFolder } from '../harness/temp-folder.ts';

describe('sallyport pki', () => {
  test('writes what the manifest lists, prints the paths, and refuses to overwrite without --force', async () => {
    using folder = makeTempFolder();
    folder.write('pki.yaml', 'certificates: [{ name: a, subject: CN=a, dnsNames: [a.example] }]');
    const args = ['pki', '--manifest', 'pki.yaml', '--out', 'out'];
    const cwd = folder.path;
    expect(await sallyportOnce(args, { cwd })).toMatchObject({ code: 0, stdout: 'out/a.crt\nout/a.key\n', stderr: '' });
    expect(statSync(folder.file('out/a.key')).mode & 0o777).toBe(0o600);
    const first = readFileSync(folder.file('out/a.crt'), 'utf8');

    const second = await sallyportOnce(args, { cwd });
    expect(second).toMatchObject({ code: 1, stdout: '' });
    expect(second.stderr).toBe(
      'Cannot write out/a.crt, out/a.key: already there; remove them, choose another --out or pass --force\n',
    );
    expect(readFileSync(folder.file('out/a.crt'), 'utf8')).toBe(first);

    expect(await sallyportOnce([...args, '--force'], { cwd })).toMatchObject({ code: 0 });
    expect(readFileSync(folder.file('out/a.crt'), 'utf8')).not.toBe(first);
  });

  test('prints every problem of the manifest with its place, and writes nothing', async () => {
    using folder = makeTempFolder();
    folder.write(
      'pki.yaml',
      'certificates:\n  - { name: a, subject: CN=a, issuer: b }\n  - { name: c/d, subject: CN=c }\n',
    );
    const run = await sallyportOnce(['pki', '--manifest', 'pki.yaml', '--out', 'out'], { cwd: folder.path });
    expect(run).toMatchObject({ code: 1, stdout: '' });
    expect(run.stderr).toBe(
      "pki.yaml:3:13: Cannot read 'name': found 'c/d', expected letters, digits, '.', '_' or '-'\n" +
        "pki.yaml:2:5: a: Cannot find the issuer 'b': no certificate has that name\n",
    );
    expect(existsSync(folder.file('out'))).toBe(false);
  });
});
