import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startChild } from '../child.ts';
import { PROXY_CORE } from '../cores.ts';
import { toolPath, versionOf } from '../tools.ts';
import { BACKEND_NAME, freePort } from '../workbench.ts';
import type { MeasuredProxy } from './proxy.ts';

export const nginx: MeasuredProxy = {
  name: 'nginx',
  observes: 'access_log to a file (combined, buffered), no metrics',
  version: () => versionOf(toolPath('nginx')!, ['-v']),
  serves: () => true,
  async start(bench, backendPort) {
    const port = await freePort();
    const { folder, server, client, rootFile } = bench;
    const file = join(folder, 'nginx.conf');
    writeFileSync(
      file,
      `daemon off; worker_processes 1; pid ${folder}/nginx.pid; error_log ${folder}/nginx.log; user root;
events { worker_connections 4096; }
http {
  access_log ${folder}/nginx-access.log combined buffer=64k flush=1s;
  keepalive_requests 1000000000; keepalive_timeout 600s;
  client_body_temp_path ${folder}/n1; proxy_temp_path ${folder}/n2; fastcgi_temp_path ${folder}/n3;
  uwsgi_temp_path ${folder}/n4; scgi_temp_path ${folder}/n5;
  upstream backend { server 127.0.0.1:${backendPort}; keepalive 256; keepalive_requests 1000000000; keepalive_timeout 600s; }
  server {
    listen 127.0.0.1:${port} ssl http2;
    ssl_certificate ${server.certificate}; ssl_certificate_key ${server.key};
    ssl_protocols TLSv1.2 TLSv1.3;
    location / {
      proxy_pass https://backend; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; proxy_set_header X-Forwarded-Proto $scheme;
      proxy_ssl_verify on; proxy_ssl_trusted_certificate ${rootFile}; proxy_ssl_name ${BACKEND_NAME}; proxy_ssl_server_name on;
      proxy_ssl_certificate ${client.certificate}; proxy_ssl_certificate_key ${client.key};
      proxy_ssl_protocols TLSv1.2 TLSv1.3;
    }
  }
}
`.replace(process.getuid?.() === 0 ? '' : ' user root;', ''),
    );
    const child = await startChild(PROXY_CORE, [toolPath('nginx')!, '-c', file], join(folder, 'nginx.out'), port);
    return { ...child, port: () => port };
  },
};
