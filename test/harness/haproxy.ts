import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { accepting } from './accepting.ts';
import { freePort } from './free-port.ts';

export interface HaproxyServer {
  readonly port: number;
  /** Of the admin server whose /readyz decides whether it gets connections; absent: it always does. */
  readonly adminPort?: number;
  /** What follows the address, for instance `send-proxy-v2`. */
  readonly extra?: string;
}

export interface Haproxy {
  readonly port: number;
  stop(): Promise<void>;
}

export interface HaproxyBalancer extends Haproxy {
  /** Whether its last probes of this server, in the order given, were answered well. */
  isUp(server: number): Promise<boolean>;
}

/** A real HAProxy (Debian) as an L4 balancer: TCP mode, round robin, probes every 100 ms. Stopped by its process id. */
export async function startHaproxy(servers: readonly HaproxyServer[]): Promise<HaproxyBalancer> {
  const statsPort = await freePort();
  const lines = servers.map(({ port: to, adminPort, extra = '' }, index) => {
    const check = adminPort === undefined ? '' : `check addr 127.0.0.1 port ${adminPort} inter 100ms fall 1 rise 1`;
    return `  server s${index} 127.0.0.1:${to} ${check} ${extra}`;
  });
  const running = await run(
    (port) => `frontend stats
  mode http
  timeout client 60s
  bind 127.0.0.1:${statsPort}
  stats enable
  stats uri /
defaults
  mode tcp
  timeout connect 2s
  timeout client 60s
  timeout server 60s
frontend in
  bind 127.0.0.1:${port}
  default_backend out
backend out
  balance roundrobin
  option redispatch
  retries 3
${servers.some(({ adminPort }) => adminPort !== undefined) ? '  option httpchk GET /readyz\n  http-check send hdr Host 127.0.0.1\n' : ''}${lines.join('\n')}
`,
  );
  return {
    ...running,
    async isUp(server) {
      const rows = (await (await fetch(`http://127.0.0.1:${statsPort}/;csv`)).text()).split('\n');
      const status = rows[0]!.split(',').indexOf('status');
      return rows.some((row) => row.startsWith(`out,s${server},`) && row.split(',')[status] === 'UP');
    },
  };
}

/**
 * A real HAProxy (Debian) as an HTTP server behind a proxy that sends PROXY headers: answers everything with `answer`, a log
 * format in which `%[src]` is what the header said. `bind`: what follows accept-proxy, for instance `ssl crt FILE`.
 */
export function startHaproxyBehind(answer: string, bind = ''): Promise<Haproxy> {
  return run(
    (port) => `defaults
  mode http
  timeout client 60s
  timeout connect 1s
  timeout server 1s
frontend in
  bind 127.0.0.1:${port} accept-proxy ${bind}
  http-request return status 200 content-type text/plain lf-string "${answer}"
`,
  );
}

async function run(configuration: (port: number) => string): Promise<Haproxy> {
  const folder = await mkdtemp(join(tmpdir(), 'haproxy-'));
  const port = await freePort();
  await writeFile(join(folder, 'haproxy.cfg'), `global\n  maxconn 2000\n${configuration(port)}`);
  const child = spawn('haproxy', ['-db', '-f', join(folder, 'haproxy.cfg')], { stdio: ['ignore', 'ignore', 'pipe'] });
  const ended = once(child, 'exit');
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text;
  });
  await accepting(port, child, () => errors);
  return {
    port,
    async stop() {
      child.kill('SIGKILL');
      await ended;
      await rm(folder, { recursive: true, force: true });
    },
  };
}
