// TLS 1.2 and 1.3 × RSA and ECDSA × resumption on and off, against four TLS implementations; and chains as s_server can send them.
import { type ChildProcess, spawn } from 'node:child_process';
import { constants } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:https';
import { connect } from 'node:net';
import type { Issued } from '#src/pki/issue/contract.ts';
import { issue } from '#src/pki/issue/issue.ts';
import { exchange, listen, makeService, makeTls, type TlsOptions } from '../backend/support.ts';
import { freePort } from '../harness/free-port.ts';
import { chainPem, type TestPki, testPki } from '../harness/pki.ts';
import { makeTempFolder, type TempFolder } from '../harness/temp-folder.ts';

type Version = 'TLSv1.2' | 'TLSv1.3';
type Key = 'RSA' | 'ECDSA';
type Resumption = 'on' | 'off';

let pki: TestPki;
let folder: TempFolder;
const leaves = new Map<Key, Issued>();
const cleanups: (() => unknown)[] = [];

beforeAll(async () => {
  pki = await testPki();
  folder = makeTempFolder();
  leaves.set('ECDSA', pki.server);
  const rsa = { subject: 'CN=rsa server', issuer: pki.issuing, dnsNames: ['backend.example'] };
  leaves.set('RSA', await issue({ ...rsa, keyType: 'rsa-2048', extendedKeyUsage: ['serverAuth'] }));
  for (const [key, leaf] of leaves) {
    folder.write(`${key}.crt`, chainPem(leaf, pki.issuing));
    folder.write(`${key}.key`, leaf.privateKeyPem);
    folder.write(`${key}.pem`, `${chainPem(leaf, pki.issuing)}${leaf.privateKeyPem}`);
  }
});

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

afterAll(() => folder.remove());

async function start(command: string, args: readonly string[], port: number): Promise<void> {
  const child: ChildProcess = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (said += text));
  cleanups.push(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'close');
  });
  for (let attempt = 0; attempt < 200; attempt++) {
    if (child.exitCode !== null) break;
    if (await accepts(port)) return;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  throw new Error(`Cannot start ${command}: nothing listens on port ${port}; it said: ${said}`);
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

const SERVERS: Readonly<Record<string, (version: Version, key: Key, resumption: Resumption) => Promise<number>>> = {
  async nginx(version, key, resumption) {
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
          listen 127.0.0.1:${port} ssl;
          ssl_certificate ${folder.file(`${key}.crt`)}; ssl_certificate_key ${folder.file(`${key}.key`)};
          ssl_protocols ${version};
          ${resumption === 'on' ? 'ssl_session_cache shared:a:1m;' : 'ssl_session_cache off; ssl_session_tickets off;'}
          location / { return 200 ok; }
        }
      }`,
    );
    await start('/usr/sbin/nginx', ['-c', config, '-p', folder.path], port);
    return port;
  },
  async haproxy(version, key, resumption) {
    const port = await freePort();
    const only = version === 'TLSv1.2' ? 'force-tlsv12' : 'force-tlsv13';
    const config = folder.write(
      `haproxy-${port}.cfg`,
      `global
  ${resumption === 'on' ? '' : 'tune.ssl.cachesize 0'}
defaults
  mode http
  timeout client 10s
  timeout connect 1s
  timeout server 1s
frontend f
  bind 127.0.0.1:${port} ssl crt ${folder.file(`${key}.pem`)} ${only} ${resumption === 'on' ? '' : 'no-tls-tickets'}
  http-request return status 200 content-type text/plain string ok
`,
    );
    await start('/usr/sbin/haproxy', ['-db', '-q', '-f', config], port);
    return port;
  },
  async node(version, key, resumption) {
    const leaf = leaves.get(key)!;
    const server = createServer(
      {
        cert: chainPem(leaf, pki.issuing),
        key: leaf.privateKeyPem,
        minVersion: version,
        maxVersion: version,
        ...(resumption === 'off' && { secureOptions: constants.SSL_OP_NO_TICKET }),
      },
      (_request, response) => response.end('ok'),
    );
    cleanups.push(() => {
      server.closeAllConnections();
      server.close();
    });
    return await listen(server);
  },
  async 'openssl s_server'(version, key, resumption) {
    const port = await freePort();
    const file = folder.file(`${key}.crt`);
    const args = ['-cert', file, '-cert_chain', file, '-key', folder.file(`${key}.key`)];
    const off = version === 'TLSv1.2' ? ['-no_ticket', '-no_cache'] : ['-num_tickets', '0', '-no_cache'];
    await start(
      'openssl',
      [
        's_server',
        '-accept',
        `127.0.0.1:${port}`,
        '-www',
        '-quiet',
        ...args,
        version === 'TLSv1.2' ? '-tls1_2' : '-tls1_3',
        ...(resumption === 'off' ? off : []),
      ],
      port,
    );
    return port;
  },
};

const matrix = Object.keys(SERVERS).flatMap((server) =>
  (['TLSv1.2', 'TLSv1.3'] as const).flatMap((version) =>
    (['RSA', 'ECDSA'] as const).flatMap((key) =>
      (['on', 'off'] as const).map((resumption) => [server, version, key, resumption] as const),
    ),
  ),
);

test.each(matrix)('%s, %s, %s, resumption %s', async (server, version, key, resumption) => {
  const port = await SERVERS[server]!(version, key, resumption);
  const service = makeService({
    protocol: 'HTTPS',
    ports: [port],
    tls: makeTls({ anchors: [pki.root], sni: 'backend.example' }),
  });
  // After HEAD a connection is not used again; s_server answers no HEAD, and closes after each GET.
  const method = server === 'openssl s_server' ? 'GET' : 'HEAD';
  const first = await exchange(service, { method });
  const second = await exchange(service, { method });
  expect(first).toMatchObject({
    error: null,
    connection: { tls: { protocol: version, resumed: false, verdict: 'verified' } },
  });
  expect(second).toMatchObject({
    error: null,
    connection: {
      reused: false,
      tls: resumption === 'on' ? { resumed: true, verdict: 'resumed' } : { resumed: false, verdict: 'verified' },
    },
  });
  if (version === 'TLSv1.2') expect(first.connection?.tls?.cipher).toContain(key);
  await service.retire();
});

describe('openssl s_server with a chain that is', () => {
  async function outcomeOf(sent: readonly Issued[], tls: TlsOptions) {
    const port = await freePort();
    const [leaf, ...rest] = sent;
    const cert = folder.write(`${port}.crt`, leaf!.certificatePem);
    const chain = folder.write(`${port}.chain`, chainPem(...rest));
    const key = folder.write(`${port}.key`, leaf!.privateKeyPem);
    const args = ['-cert', cert, '-key', key, ...(rest.length > 0 ? ['-cert_chain', chain] : [])];
    await start('openssl', ['s_server', '-accept', `127.0.0.1:${port}`, '-www', '-quiet', ...args], port);
    const service = makeService({ protocol: 'HTTPS', ports: [port], tls: makeTls({ sni: 'backend.example', ...tls }) });
    const { status, error } = await exchange(service);
    await service.retire();
    return error === null ? status : error.code;
  }

  test('short: refused, unless the trust config has the intermediate', async () => {
    expect(await outcomeOf([pki.server], { anchors: [pki.root] })).toBe('ssl_certificate_chain_verification_failed');
    expect(await outcomeOf([pki.server], { anchors: [pki.root], intermediates: [pki.issuing] })).toBe(200);
  });

  test('wrong: an intermediate that is not the issuer', async () => {
    const other = await issue({ subject: 'CN=Other CA', ca: true, issuer: pki.root });
    expect(await outcomeOf([pki.server, other], { anchors: [pki.root] })).toBe(
      'ssl_certificate_chain_verification_failed',
    );
  });

  test('unordered, or with the root: accepted', async () => {
    const upper = await issue({ subject: 'CN=Upper CA', ca: true, issuer: pki.root });
    const lower = await issue({ subject: 'CN=Lower CA', ca: true, issuer: upper });
    const leaf = await issue({ subject: 'CN=leaf', issuer: lower, dnsNames: ['backend.example'] });
    expect(await outcomeOf([leaf, pki.root, upper, lower], { anchors: [pki.root] })).toBe(200);
  });

  test('cross-signed: the path that ends at what is trusted is found', async () => {
    const newRoot = await issue({ subject: 'CN=New Root', ca: true });
    const crossed = await issue({ subject: 'CN=New Root', ca: true, issuer: pki.root, keyFrom: newRoot });
    const leaf = await issue({ subject: 'CN=leaf', issuer: newRoot, dnsNames: ['backend.example'] });
    expect(await outcomeOf([leaf, crossed, newRoot], { anchors: [pki.root] })).toBe(200);
    expect(await outcomeOf([leaf, crossed, newRoot], { anchors: [newRoot] })).toBe(200);
    expect(await outcomeOf([leaf, crossed, newRoot], { anchors: [pki.stranger] })).toBe(
      'ssl_certificate_chain_verification_failed',
    );
  });

  test('long, or over-large: refused as such', async () => {
    const many = await Promise.all(
      Array.from({ length: 10 }, (_, i) => issue({ subject: `CN=Spare ${i}`, ca: true, issuer: pki.root })),
    );
    expect(await outcomeOf([pki.server, pki.issuing, ...many], { anchors: [pki.root] })).toBe(
      'server_cert_chain_exceeded_limit',
    );
    const valueDer = Buffer.concat([Buffer.from([0x04, 0x82, 17_000 >> 8, 17_000 & 0xff]), Buffer.alloc(17_000)]);
    const large = await issue({
      subject: 'CN=large',
      issuer: pki.issuing,
      dnsNames: ['backend.example'],
      extensions: [{ oid: '1.3.6.1.4.1.99999.1', critical: false, valueDer }],
    });
    expect(await outcomeOf([large, pki.issuing], { anchors: [pki.root] })).toBe('server_cert_exceeded_size_limit');
  });
});
