// The five commands that `sallyport demo` prints, pasted into a shell as they stand.
import { spawnSync } from 'node:child_process';
import { freePort } from '../harness/free-port.ts';
import { spawnSallyport } from '../harness/run-sallyport.ts';
import { makeTempFolder, type TempFolder } from '../harness/temp-folder.ts';

describe('the commands of sallyport demo', () => {
  let folder: TempFolder;
  let demo: ReturnType<typeof spawnSallyport>;
  let commands: readonly string[];

  beforeAll(async () => {
    folder = makeTempFolder();
    const [port, adminPort] = [await freePort(), await freePort()];
    const options = { cwd: folder.path };
    demo = spawnSallyport(['demo', '--port', `${port}`, '--admin-port', `${adminPort}`, '--dir', 'a folder'], options);
    await demo.waitForLog((line) => line.msg === 'listening', 20_000);
    await demo.waitForText('Ctrl-C');
    commands = (demo.text().match(/^ {3}(?:curl|openssl) .*$/gm) ?? []).map((line) => line.trim());
    expect(commands).toHaveLength(5);
  }, 30_000);
  afterAll(async () => {
    await demo.stop('SIGKILL');
    folder.remove();
  });

  test('1: 200 from a backend that admits only the proxy', () => {
    const { status, output } = paste(0);
    expect(status).toBe(0);
    expect(output).toMatch(/^HTTP\/(?:2|1\.1) 200/m);
    expect(output).toContain('Hello from the cats backend.');
    expect(output).toContain('CN=Sallyport demo proxy');
  });

  test('2: HTTP/2, another name, another backend', () => {
    const { status, output } = paste(1);
    expect(status).toBe(0);
    expect(output).toMatch(/^HTTP\/2 200/m);
    expect(output).toContain('Hello from the dogs backend.');
  });

  test('3: the RSA certificate for a client that verifies nothing else', () => {
    const { status, output } = paste(2);
    expect(status).toBe(0);
    expect(output).toContain('Protocol version: TLSv1.2');
    expect(output).toMatch(/Signature type: RSA(?:-PSS)?/);
    expect(output).toContain('Verification: OK');
  });

  test('4: TLS 1.1 is refused with the alert that the text promises', () => {
    const { status, output } = paste(3);
    expect(status).toBe(1);
    expect(output).toMatch(/alert protocol version/);
  });

  test('5: 502 because a backend certificate ended yesterday', async () => {
    const { status, output } = paste(4);
    expect(status).toBe(0);
    expect(output).toMatch(/^HTTP\/(?:2|1\.1) 502/m);
    await demo.waitForLog((line) => line['statusDetails'] === 'ssl_certificate_chain_verification_failed');
  });

  function paste(index: number): { status: number | null; output: string } {
    const run = spawnSync('bash', ['-c', commands[index] ?? 'false'], {
      cwd: folder.path,
      encoding: 'utf8',
      timeout: 20_000,
    });
    return { status: run.status, output: run.stdout + run.stderr };
  }
});
