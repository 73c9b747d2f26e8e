// `npm start`'s promise, without curl or openssl: what the five printed commands show, seen by Node's own clients. The commands
// themselves are pasted in test/interop/demo.test.ts.

import { once } from 'node:events';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { connect as connectHttp2 } from 'node:http2';
import { request } from 'node:https';
import { createServer } from 'node:net';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import { freePort } from '../harness/free-port.ts';
import { sallyportOnce, spawnSallyport } from '../harness/run-sallyport.ts';
import { makeTempFolder, type TempFolder } from '../harness/temp-folder.ts';

describe('sallyport demo', () => {
  let folder: TempFolder;
  let port: number;
  let adminPort: number;
  let demo: ReturnType<typeof spawnSallyport>;
  let ca: string;

  beforeAll(async () => {
    folder = makeTempFolder();
    [port, adminPort] = [await freePort(), await freePort()];
    demo = spawnSallyport(['demo', '--port', `${port}`, '--admin-port', `${adminPort}`, '--dir', folder.path]);
    await demo.waitForLog((line) => line.msg === 'listening', 20_000);
    await demo.waitForText('Ctrl-C');
    ca = readFileSync(folder.file('certs/root.crt'), 'utf8');
  }, 30_000);
  afterAll(async () => {
    await demo.stop('SIGKILL');
    folder.remove();
  });

  test('answers https://localhost with 200 from a backend that saw the proxy certificate', async () => {
    const { status, body } = await fetchPath('/');
    expect(status).toBe(200);
    expect(body).toContain('Hello from the cats backend.');
    expect(body).toContain('CN=Sallyport demo proxy');
  });

  test('routes another name over HTTP/2 to another backend', async () => {
    const session = connectHttp2(`https://dogs.pets.localhost:${port}`, {
      ca,
      lookup: loopback,
      servername: 'dogs.pets.localhost',
    } as never);
    const stream = session.request({ ':path': '/' });
    const [headers] = (await once(stream, 'response')) as [Record<string, unknown>];
    let body = '';
    stream.setEncoding('utf8');
    for await (const chunk of stream) body += String(chunk);
    session.close();
    expect(headers[':status']).toBe(200);
    expect(body).toContain('Hello from the dogs backend.');
  });

  test('shows the certificate of the name, ECDSA first and RSA to a client that knows nothing else', async () => {
    const ecdsa = await handshake({ servername: 'cats.pets.localhost' });
    expect([ecdsa.subjectaltname, ecdsa.asn1Curve]).toEqual(['DNS:*.pets.localhost', 'prime256v1']);
    const rsa = await handshake({
      servername: 'cats.pets.localhost',
      maxVersion: 'TLSv1.2',
      sigalgs: 'RSA-PSS+SHA256:RSA+SHA256',
    });
    expect([rsa.subjectaltname, rsa.bits]).toEqual(['DNS:*.pets.localhost', 2048]);
  });

  test('refuses TLS 1.1 and says why in the log', async () => {
    const old = {
      servername: 'localhost',
      minVersion: 'TLSv1',
      maxVersion: 'TLSv1.1',
      ciphers: 'DEFAULT@SECLEVEL=0',
    } as const;
    await expect(handshake(old)).rejects.toMatchObject({ code: 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION' });
    await demo.waitForLog((line) => line.msg === 'handshake' && JSON.stringify(line).includes('version'));
  });

  test('answers 502 for the backend whose certificate ended yesterday, and logs the rule', async () => {
    const { status, body } = await fetchPath('/expired');
    expect(status).toBe(502);
    expect(body).not.toMatch(/certificate|expired/i);
    const line = await demo.waitForLog(
      (entry) => entry.msg === 'request' && entry['statusDetails'] === 'ssl_certificate_chain_verification_failed',
    );
    expect(line['backendTls']).toMatchObject({ rule: 'validity' });
  });

  test('is alive and ready on its admin port', async () => {
    for (const path of ['/livez', '/readyz']) {
      expect((await fetch(`http://127.0.0.1:${adminPort}${path}`)).status).toBe(200);
    }
  });

  test('writes keys that nobody else reads, and none for the authorities', () => {
    const keys = readdirSync(folder.file('certs')).filter((name) => name.endsWith('.key'));
    expect(keys).not.toContain('root.key');
    expect(keys).not.toContain('issuing.key');
    for (const key of keys) expect(statSync(folder.file(`certs/${key}`)).mode & 0o777).toBe(0o600);
  });

  test('prints five commands with its own port and root certificate', () => {
    const commands = demo.text().match(/^ {3}(?:curl|openssl) .*$/gm) ?? [];
    expect(commands).toHaveLength(5);
    for (const command of commands) expect(command).toContain(`:${port}`);
  });

  test('says clearly that a port is in use', async () => {
    const other = spawnSallyportOnce(['--port', `${port}`, '--admin-port', `${await freePort()}`]);
    await expect(other).resolves.toEqual({
      code: 1,
      stderr: expect.stringMatching(/^Cannot start the demo: 127\.0\.0\.1 port \d+ is in use; .*--port/),
    });
    const blocker = createServer().listen(0, '127.0.0.1');
    await once(blocker, 'listening');
    const { port: taken } = blocker.address() as { port: number };
    const admin = spawnSallyportOnce(['--port', `${await freePort()}`, '--admin-port', `${taken}`]);
    await expect(admin).resolves.toEqual({ code: 1, stderr: expect.stringContaining('--admin-port') });
    blocker.close();
  });

  test('uses its certificates again, and ends with 0 on SIGTERM', async () => {
    expect((await demo.stop('SIGTERM')).code).toBe(0);
    const again = spawnSallyport(['demo', '--port', `${port}`, '--admin-port', `${adminPort}`, '--dir', folder.path]);
    await again.waitForLog((line) => line.msg === 'listening', 20_000);
    expect(readFileSync(folder.file('certs/root.crt'), 'utf8')).toBe(ca);
    expect((await again.stop('SIGINT')).code).toBe(0);
  });

  async function spawnSallyportOnce(args: readonly string[]): Promise<{ code: number | null; stderr: string }> {
    const { code, stderr } = await sallyportOnce(['demo', ...args, '--dir', folder.file('other')]);
    return { code, stderr };
  }

  function fetchPath(path: string): Promise<{ status: number; body: string }> {
    return new Promise((resolve, reject) => {
      const options = { host: 'localhost', port, path, ca, agent: false, lookup: loopback } as const;
      const outgoing = request(options as never, (response) => {
        let body = '';
        response.setEncoding('utf8').on('data', (chunk: string) => (body += chunk));
        response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
      });
      outgoing.on('error', reject).end();
    });
  }

  async function handshake(options: ConnectionOptions): Promise<ReturnType<TLSSocket['getPeerCertificate']>> {
    const socket = connect({ host: '127.0.0.1', port, ca, ...options });
    try {
      await once(socket, 'secureConnect');
      return socket.getPeerCertificate();
    } finally {
      socket.destroy();
    }
  }
});

/** Names under .localhost are this machine (RFC 6761 §6.3), also where the resolver does not say so. */
function loopback(
  _host: string,
  options: { readonly all?: boolean },
  done: (error: null, address: string | readonly { address: string; family: number }[], family?: number) => void,
): void {
  if (options.all === true) done(null, [{ address: '127.0.0.1', family: 4 }]);
  else done(null, '127.0.0.1', 4);
}
