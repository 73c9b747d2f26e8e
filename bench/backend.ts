import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Child, startChild } from './child.ts';
import { LOAD_CORE } from './cores.ts';
import { toolPath } from './tools.ts';
import { freePort, type Workbench } from './workbench.ts';

export interface Backend extends Child {
  readonly port: number;
}

/** nginx with TLS that demands a client certificate of our root; no access log: its cost is nobody's. */
export async function startBackend(bench: Workbench): Promise<Backend> {
  const port = await freePort();
  const file = join(bench.folder, 'backend.conf');
  writeFileSync(
    file,
    `daemon off; master_process off; worker_processes 1; pid ${bench.folder}/backend.pid; error_log ${bench.folder}/backend.log;
events { worker_connections 4096; }
http {
  access_log off; sendfile on; keepalive_requests 1000000000; keepalive_timeout 600s;
  client_body_temp_path ${bench.folder}/b1; proxy_temp_path ${bench.folder}/b2; fastcgi_temp_path ${bench.folder}/b3;
  uwsgi_temp_path ${bench.folder}/b4; scgi_temp_path ${bench.folder}/b5;
  server {
    listen 127.0.0.1:${port} ssl;
    ssl_certificate ${bench.backend.certificate}; ssl_certificate_key ${bench.backend.key};
    ssl_verify_client on; ssl_client_certificate ${bench.rootFile};
    root ${bench.folder}/www;
  }
}
`,
  );
  const child = await startChild(LOAD_CORE, [toolPath('nginx')!, '-c', file], join(bench.folder, 'backend.out'), port);
  return { ...child, port };
}
