import { once } from 'node:events';
import { createServer } from 'node:net';
import { networkInterfaces } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { StartError, startProxy } from '../process/run.ts';
import { startBackends, stopBackends } from './demo-backends.ts';
import { writeDemoConfiguration, writeDemoPki } from './demo-files.ts';

export interface DemoOptions {
  readonly port: number;
  readonly adminPort: number;
  /** Where certificates and configuration are written. */
  readonly folder: string;
}

/** Certificates, backends and the proxy, all on loopback, until a signal ends it. Resolves to the exit code. */
export async function runDemo(options: DemoOptions): Promise<number> {
  const problem = await portProblem(options);
  if (problem !== null) {
    process.stderr.write(`${problem}\n`);
    return 1;
  }
  const folder = resolve(options.folder);
  const certsFolder = join(folder, 'certs');
  const pki = await writeDemoPki(certsFolder);
  const backends = await startBackends(BACKENDS, certsFolder);
  try {
    const configPath = writeDemoConfiguration(folder, {
      port: options.port,
      adminPort: options.adminPort,
      addresses: loopbackAddresses(),
      backendPorts: Object.fromEntries(backends.map(({ name, port }) => [name, port])),
    });
    const proxy = await startProxy({ configPath });
    process.stderr.write(instructions(options, relative(process.cwd(), folder) || '.', pki));
    return await proxy.ended;
  } catch (error) {
    if (!(error instanceof StartError)) throw error;
    process.stderr.write(`Cannot start the demo: ${error.message}\n`);
    return 1;
  } finally {
    await stopBackends(backends);
  }
}

/** Five things to paste; the log stays alone on standard output, so that it can be piped. */
function instructions({ port, adminPort }: DemoOptions, folder: string, pki: 'made' | 'kept'): string {
  const quoted = /^[\w./-]+$/.test(folder) ? folder : `'${folder.replaceAll("'", "'\\''")}'`;
  const root = `${quoted}/certs/root.crt`;
  const local = `https://localhost:${port}`;
  return `
Sallyport is up: ${local} (admin: http://127.0.0.1:${adminPort}). Configuration: ${quoted}/sallyport.yaml
Its certificates ${pki === 'made' ? 'were made just now' : 'are those of an earlier start'}; their root can speak for localhost only, and its key no longer exists.

1. A request, answered by a backend that admits only this proxy (200):
   curl -i --cacert ${root} ${local}/

2. HTTP/2, another name, hence another certificate and backend (200):
   curl -i --http2 --cacert ${root} --resolve dogs.pets.localhost:${port}:127.0.0.1 https://dogs.pets.localhost:${port}/

3. A client that can verify RSA only gets the RSA certificate of that name:
   openssl s_client -connect 127.0.0.1:${port} -servername cats.pets.localhost -tls1_2 -sigalgs RSA-PSS+SHA256:RSA+SHA256 -CAfile ${root} -brief </dev/null

4. TLS 1.1, refused by the SSL policy (MODERN, at least TLS 1.2: "alert protocol version"):
   openssl s_client -connect 127.0.0.1:${port} -servername localhost -tls1_1 -cipher DEFAULT@SECLEVEL=0 </dev/null

5. A backend whose certificate ended yesterday is not trusted (502; the log line below says which rule):
   curl -i --cacert ${root} ${local}/expired

Ctrl-C ends it.

`;
}

async function portProblem({ port, adminPort }: DemoOptions): Promise<string | null> {
  const wanted = [
    { option: '--port', number: port, addresses: loopbackAddresses() },
    { option: '--admin-port', number: adminPort, addresses: ['127.0.0.1'] },
  ];
  for (const { option, number, addresses } of wanted) {
    if (!Number.isInteger(number) || number < 1 || number > 65_535) {
      return `Cannot start the demo: ${option} is '${number}', expected a port from 1 to 65535`;
    }
    for (const address of addresses) {
      const code = await listenError(address, number);
      if (code === null) continue;
      const found = code === 'EADDRINUSE' ? 'is in use' : `cannot be listened on (${code})`;
      return `Cannot start the demo: ${address} port ${number} ${found}; stop what listens there, or pass ${option} with another one`;
    }
  }
  if (port === adminPort) return `Cannot start the demo: --port and --admin-port are both ${port}, expected two ports`;
  return null;
}

async function listenError(host: string, port: number): Promise<string | null> {
  const probe = createServer();
  try {
    probe.listen({ host, port, exclusive: true });
    await once(probe, 'listening');
    return null;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? 'unknown';
  } finally {
    if (probe.listening) {
      probe.close();
      await once(probe, 'close');
    }
  }
}

/** ::1 as well where the machine has it: curl and browsers try it first for `localhost`. */
function loopbackAddresses(): readonly string[] {
  const has6 = Object.values(networkInterfaces()).some((list) => list?.some(({ address }) => address === '::1'));
  return has6 ? ['127.0.0.1', '::1'] : ['127.0.0.1'];
}

/** Which certificate each shows: certs/demo.yaml, NAME-backend. */
const BACKENDS = ['cats', 'dogs', 'expired'];
