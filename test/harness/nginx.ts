import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Issued } from '#src/pki/issue/contract.ts';
import { accepting } from './accepting.ts';
import { freePort } from './free-port.ts';
import { chainPem } from './pki.ts';

/** One `server` block: TLS on its own port, answering 200 with `body`. */
export interface NginxServer {
  /** What it sends: leaf first. */
  readonly chain: readonly [Issued, ...Issued[]];
  /** Demands a client certificate under this CA (`ssl_verify_client on`). */
  readonly clientCa?: readonly [Issued, ...Issued[]];
  readonly body?: string;
  /** Lines inside the server block. */
  readonly extra?: string;
}

export interface Nginx {
  /** In the order of the servers. */
  readonly ports: readonly number[];
  stop(): Promise<void>;
}

/** A real nginx (Debian) in a folder of its own, stopped by its process id. */
export async function startNginx(servers: readonly NginxServer[]): Promise<Nginx> {
  const folder = await mkdtemp(join(tmpdir(), 'nginx-'));
  const ports: number[] = [];
  const blocks: string[] = [];
  for (const [index, server] of servers.entries()) {
    const port = await freePort();
    ports.push(port);
    await writeFile(join(folder, `${index}.crt`), chainPem(...server.chain));
    await writeFile(join(folder, `${index}.key`), server.chain[0].privateKeyPem, { mode: 0o600 });
    if (server.clientCa) await writeFile(join(folder, `${index}.ca`), chainPem(...server.clientCa));
    blocks.push(`server {
      listen 127.0.0.1:${port} ssl${server.extra?.includes('http2') ? ' http2' : ''};
      ssl_certificate ${folder}/${index}.crt;
      ssl_certificate_key ${folder}/${index}.key;
      ${server.clientCa ? `ssl_client_certificate ${folder}/${index}.ca; ssl_verify_client on; ssl_verify_depth 4;` : ''}
      ${server.extra?.replace('http2', '') ?? ''}
      location / { default_type text/plain; return 200 "${server.body ?? 'nginx'} $ssl_client_s_dn\\n"; }
    }`);
  }
  await writeFile(
    join(folder, 'nginx.conf'),
    `daemon off; master_process off; pid ${folder}/pid; error_log ${folder}/error.log;
    events { worker_connections 512; }
    http { access_log off; client_body_temp_path ${folder}/b; proxy_temp_path ${folder}/p; fastcgi_temp_path ${folder}/f;
      uwsgi_temp_path ${folder}/u; scgi_temp_path ${folder}/s;
      ${blocks.join('\n')} }`,
  );
  const child = spawn('nginx', ['-p', folder, '-c', join(folder, 'nginx.conf')], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const ended = once(child, 'exit');
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text;
  });
  for (const port of ports) await accepting(port, child, () => errors);
  return {
    ports,
    async stop() {
      child.kill('SIGQUIT');
      const killer = setTimeout(() => child.kill('SIGKILL'), 3000);
      await ended;
      clearTimeout(killer);
      await rm(folder, { recursive: true, force: true });
    },
  };
}
