import { readFileSync } from 'node:fs';

/** What proxies/node-server.ts passes as the one argument. */
export interface ServerSettings {
  readonly port: number;
  readonly h2Port: number;
  readonly certificateFile: string;
  readonly keyFile: string;
  readonly rootFile: string;
  readonly clientCertificateFile: string;
  readonly clientKeyFile: string;
  readonly backendPort: number;
  readonly backendName: string;
}

export function readSettings() {
  const settings = JSON.parse(process.argv[2] ?? '') as ServerSettings;
  return {
    ...settings,
    serverTls: {
      cert: readFileSync(settings.certificateFile),
      key: readFileSync(settings.keyFile),
      minVersion: 'TLSv1.2' as const,
    },
    backendTls: {
      ca: readFileSync(settings.rootFile),
      cert: readFileSync(settings.clientCertificateFile),
      key: readFileSync(settings.clientKeyFile),
      servername: settings.backendName,
      rejectUnauthorized: true,
    },
    backendOrigin: `https://127.0.0.1:${settings.backendPort}`,
  };
}
