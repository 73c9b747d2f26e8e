import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import type { Issued } from '#src/pki/issue/contract.ts';
import { issue } from '#src/pki/issue/issue.ts';
import { EventLog, exchange, makeService, makeTls, type TlsOptions } from '../backend/support.ts';
import { freePort } from '../harness/free-port.ts';
import { chainPem, type TestPki, testPki } from '../harness/pki.ts';
import { makeTempFolder, type TempFolder } from '../harness/temp-folder.ts';

let pki: TestPki;
let folder: TempFolder;
const children: ChildProcess[] = [];

beforeAll(async () => {
  pki = await testPki();
  folder = makeTempFolder();
  folder.write('server.pem', chainPem(pki.server, pki.issuing));
  folder.write('server.key', pki.server.privateKeyPem);
  folder.write('clients.pem', chainPem(pki.root, pki.issuing));
});

afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill('SIGKILL');
    await once(child, 'close');
  }
});

afterAll(() => folder.remove());

async function start(command: string, args: readonly string[], port: number): Promise<ChildProcess> {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  children.push(child);
  child.stdout.resume();
  child.stderr.resume();
  for (let attempt = 0; attempt < 200; attempt++) {
    if (child.exitCode !== null) break;
    if (await accepts(port)) return child;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  throw new Error(`Cannot start ${command}: nothing listens on port ${port}`);
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

/** nginx with TLS; `lines` go into its server block. Returns the port. */
async function startNginx(lines: string, protocol: 'HTTPS' | 'HTTP2' = 'HTTPS'): Promise<number> {
  const port = await freePort();
  const config = folder.write(
    `nginx-${port}.conf`,
    `daemon off; master_process off; pid ${folder.file(`nginx-${port}.pid`)}; error_log /dev/null;
    events { worker_connections 64; }
    http {
      access_log off;
      client_body_temp_path ${folder.file('body')}; proxy_temp_path ${folder.file('proxy')};
      fastcgi_temp_path ${folder.file('fastcgi')}; uwsgi_temp_path ${folder.file('uwsgi')}; scgi_temp_path ${folder.file('scgi')};
      server {
        listen 127.0.0.1:${port} ssl${protocol === 'HTTP2' ? ' http2' : ''};
        ssl_certificate ${folder.file('server.pem')}; ssl_certificate_key ${folder.file('server.key')};
        ${lines}
        location / { default_type text/plain; return 200 "$ssl_client_s_dn $ssl_session_reused $server_protocol"; }
      }
    }`,
  );
  await start('/usr/sbin/nginx', ['-c', config, '-p', folder.path], port);
  return port;
}

async function startOpenssl(args: readonly string[]): Promise<number> {
  const port = await freePort();
  const files = [
    '-cert',
    folder.file('server.pem'),
    '-key',
    folder.file('server.key'),
    '-cert_chain',
    folder.file('server.pem'),
  ];
  await start('openssl', ['s_server', '-accept', `127.0.0.1:${port}`, '-www', '-quiet', ...files, ...args], port);
  return port;
}

function serviceTo(port: number, tls: TlsOptions, protocol: 'HTTPS' | 'HTTP2' = 'HTTPS', events = new EventLog()) {
  return makeService({
    protocol,
    ports: [port],
    events,
    tls: makeTls({ anchors: [pki.root], sni: 'backend.example', ...tls }),
  });
}

const wrongClient = (): Promise<Issued> =>
  issue({ subject: 'CN=wrong client', issuer: pki.stranger, extendedKeyUsage: ['clientAuth'] });

describe('nginx', () => {
  test.each(['HTTPS', 'HTTP2'] as const)('over %s: verified, and connections are used again', async (protocol) => {
    const port = await startNginx('', protocol);
    const service = serviceTo(port, {}, protocol);
    const first = await exchange(service);
    expect(first).toMatchObject({ status: 200, connection: { reused: false, tls: { verdict: 'verified' } } });
    expect(first.body).toContain(protocol === 'HTTP2' ? 'HTTP/2.0' : 'HTTP/1.1');
    expect((await exchange(service)).connection?.reused).toBe(true);
    await service.retire();
  });

  test.each(['TLSv1.2', 'TLSv1.3'])('resumes a session over %s', async (version) => {
    const port = await startNginx(`ssl_protocols ${version}; ssl_session_cache shared:a:1m;`);
    const service = serviceTo(port, {});
    await exchange(service, { method: 'HEAD' });
    const second = await exchange(service);
    expect(second.connection?.tls).toMatchObject({ protocol: version, resumed: true, verdict: 'resumed' });
    expect(second.body).toContain(' r ');
    await service.retire();
  });

  test('sees our client certificate', async () => {
    const port = await startNginx(
      `ssl_verify_client on; ssl_verify_depth 3; ssl_client_certificate ${folder.file('clients.pem')};`,
    );
    const service = serviceTo(port, { client: [pki.client, pki.issuing] });
    expect((await exchange(service)).body).toContain('CN=test client');
    await service.retire();
  });

  test('answers a missing or wrong client certificate with 400, which passes through', async () => {
    const port = await startNginx(
      `ssl_verify_client on; ssl_verify_depth 3; ssl_client_certificate ${folder.file('clients.pem')};`,
    );
    for (const client of [undefined, [await wrongClient()]]) {
      const service = serviceTo(port, client === undefined ? {} : { client });
      const outcome = await exchange(service);
      expect(outcome).toMatchObject({ status: 400, error: null });
      expect(outcome.body).toContain('SSL');
      await service.retire();
    }
  });

  test.each([
    [{ anchors: 'stranger' }, 'ssl_certificate_chain_verification_failed'],
    [{ sni: 'other.example' }, 'ssl_certificate_san_verification_failed'],
  ] as const)('is refused with %j', async (change, code) => {
    const port = await startNginx('');
    const tls = 'anchors' in change ? { anchors: [pki.stranger] } : change;
    const outcome = await exchange(serviceTo(port, tls));
    expect(outcome.error).toMatchObject({ code, phase: 'verify' });
    expect(outcome.order).toEqual(['onError']);
  });
});

describe('openssl s_server', () => {
  const demanding = () => ['-Verify', '3', '-verify_return_error', '-CAfile', folder.file('clients.pem')];

  test.each(['-tls1_2', '-tls1_3'])('accepts our client certificate (%s)', async (version) => {
    const port = await startOpenssl([version, ...demanding()]);
    const service = serviceTo(port, { client: [pki.client, pki.issuing] });
    expect(await exchange(service)).toMatchObject({ status: 200, error: null });
    await service.retire();
  });

  // TLS 1.3 tells only after our side believes the handshake done (platform: a late alert).
  test.each([
    ['-tls1_2', 'none', 'handshake_failure'],
    ['-tls1_3', 'none', 'certificate_required'],
    ['-tls1_2', 'wrong', 'unknown_ca'],
    ['-tls1_3', 'wrong', 'unknown_ca'],
  ])('refuses in TLS %s a client certificate that is %s: %s', async (version, which, alert) => {
    const port = await startOpenssl([version, ...demanding()]);
    const service = serviceTo(port, which === 'none' ? {} : { client: [await wrongClient()] });
    const { error } = await exchange(service);
    expect(error?.code).toBe('backend_tls_alert');
    expect(error?.detail).toContain(`TLS alert ${alert}`);
    await service.retire();
  });

  test.each(['none', 'wrong'])(
    'refuses in TLS 1.3 a client certificate that is %s although the request has a body',
    async (which) => {
      const port = await startOpenssl(['-tls1_3', ...demanding()]);
      const service = serviceTo(port, which === 'none' ? {} : { client: [await wrongClient()] });
      const { error } = await exchange(service, { body: 'x'.repeat(100_000) });
      expect(error?.code).toBe('backend_tls_alert');
      await service.retire();
    },
  );

  test('refuses over HTTP/2, too', async () => {
    const port = await startOpenssl(['-tls1_3', '-alpn', 'h2', ...demanding()]);
    const service = serviceTo(port, {}, 'HTTP2');
    const { error } = await exchange(service);
    expect(error?.code).toBe('backend_tls_alert');
    expect(error?.detail).toContain('TLS alert certificate_required');
    await service.retire();
  });

  test.each(['ECDHE-ECDSA-AES128-GCM-SHA256', 'ECDHE-ECDSA-CHACHA20-POLY1305', 'ECDHE-ECDSA-AES256-SHA'])(
    'is connected to with %s (COMPATIBLE suites)',
    async (cipher) => {
      const port = await startOpenssl(['-tls1_2', '-cipher', `${cipher}:@SECLEVEL=0`]);
      const service = serviceTo(port, {});
      expect((await exchange(service)).status).toBe(200);
      await service.retire();
    },
  );
});
