import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';

export interface DemoBackend {
  readonly name: string;
  readonly port: number;
  readonly server: Server;
}

/** Small HTTPS servers on loopback that admit nobody without a client certificate of the demo PKI. */
export function startBackends(names: readonly string[], certsFolder: string): Promise<readonly DemoBackend[]> {
  return Promise.all(names.map((name) => startBackend(name, certsFolder)));
}

export async function stopBackends(backends: readonly DemoBackend[]): Promise<void> {
  await Promise.all(
    backends.map(async ({ server }) => {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    }),
  );
}

async function startBackend(name: string, certsFolder: string): Promise<DemoBackend> {
  const options = {
    cert: readFileSync(join(certsFolder, `${name}-backend.crt`)),
    key: readFileSync(join(certsFolder, `${name}-backend.key`)),
    ca: readFileSync(join(certsFolder, 'root.crt')),
    requestCert: true,
    rejectUnauthorized: true,
  };
  const server = createServer(options, (request, response) => {
    const socket = request.socket as TLSSocket;
    const shown = socket.getPeerX509Certificate()?.subject ?? 'no certificate'; // a resumed TLS 1.3 session may have none
    request.resume();
    response.setHeader('content-type', 'text/plain; charset=utf-8');
    response.end(
      [
        `Hello from the ${name} backend.`,
        `  you asked:        ${request.method} ${request.url} of ${request.headers.host}`,
        `  the proxy showed: ${shown.replaceAll('\n', ', ')} over ${socket.getProtocol()}`,
        `  it says of you:   x-forwarded-for: ${String(request.headers['x-forwarded-for'])}, via: ${request.headers.via}`,
        '',
      ].join('\n'),
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { name, port: (server.address() as AddressInfo).port, server };
}
