import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { startChild } from '../child.ts';
import { PROXY_CORE } from '../cores.ts';
import type { ProxyName, RowName } from '../options.ts';
import type { ServerSettings } from '../servers/settings.ts';
import { BACKEND_NAME, freePort } from '../workbench.ts';
import type { MeasuredProxy } from './proxy.ts';

/** A script of servers/ on the pinned Node; `packages` are named with their versions. */
export function nodeServer(name: ProxyName, packages: readonly string[], rows: readonly RowName[]): MeasuredProxy {
  return {
    name,
    observes: 'nothing',
    version: () => [`node ${process.version}`, ...packages.map(packageVersion)].join(', '),
    serves: (row) => rows.includes(row),
    async start(bench, backendPort) {
      const port = await freePort();
      const h2Port = await freePort();
      const settings: ServerSettings = {
        port,
        h2Port,
        certificateFile: bench.server.certificate,
        keyFile: bench.server.key,
        rootFile: bench.rootFile,
        clientCertificateFile: bench.client.certificate,
        clientKeyFile: bench.client.key,
        backendPort,
        backendName: BACKEND_NAME,
      };
      const script = join(import.meta.dirname, '..', 'servers', `${name}.ts`);
      const command = [process.execPath, script, JSON.stringify(settings)];
      const child = await startChild(PROXY_CORE, command, join(bench.folder, `${name}.out`), port);
      return { ...child, port: (row) => (row === 'h2-small' ? h2Port : port) };
    },
  };
}

function packageVersion(name: string): string {
  const file = join(import.meta.dirname, '..', 'node_modules', name, 'package.json');
  return `${name} ${(JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version}`;
}
