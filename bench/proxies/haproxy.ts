import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startChild } from '../child.ts';
import { PROXY_CORE } from '../cores.ts';
import { toolPath, versionOf } from '../tools.ts';
import { BACKEND_NAME, freePort } from '../workbench.ts';
import type { MeasuredProxy } from './proxy.ts';

export const haproxy: MeasuredProxy = {
  name: 'haproxy',
  observes: 'httplog to a file (standard output), counters',
  version: () => versionOf(toolPath('haproxy')!, ['-v']),
  serves: () => true,
  async start(bench, backendPort) {
    const port = await freePort();
    const { folder, server, client, rootFile } = bench;
    const file = join(folder, 'haproxy.cfg');
    writeFileSync(
      file,
      `global
  nbthread 1
  maxconn 8000
  log stdout format raw local0
  ssl-default-bind-options ssl-min-ver TLSv1.2
defaults
  mode http
  log global
  option httplog
  option forwardfor
  timeout connect 5s
  timeout client 600s
  timeout server 30s
  timeout http-keep-alive 600s
frontend web
  bind 127.0.0.1:${port} ssl crt ${server.both} alpn h2,http/1.1
  default_backend api
backend api
  http-reuse always
  http-request set-header X-Forwarded-Proto https
  server one 127.0.0.1:${backendPort} ssl verify required ca-file ${rootFile} verifyhost ${BACKEND_NAME} sni str(${BACKEND_NAME}) crt ${client.both} ssl-min-ver TLSv1.2
`,
    );
    const command = [toolPath('haproxy')!, '-db', '-f', file];
    const child = await startChild(PROXY_CORE, command, join(folder, 'haproxy.out'), port);
    return { ...child, port: () => port };
  },
};
