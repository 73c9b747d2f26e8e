import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Issued, IssuedKeyType } from '#src/pki/issue/contract.ts';
import { issue } from '#src/pki/issue/issue.ts';
import { freePort } from '../harness/free-port.ts';
import { type LogLine, type RunningSallyport, runSallyport } from '../harness/run-sallyport.ts';
import { makeTempFolder, type TempFolder } from '../harness/temp-folder.ts';

/** One HTTPS proxy, by its name: an SSL policy as a user writes it, and which of the two certificates it serves. */
export interface DoorOptions {
  readonly sslPolicy: Readonly<Record<string, unknown>>;
  /** In list order; both unless given. */
  readonly certificates?: readonly ('ecdsa' | 'rsa')[];
}

/** One running process with a listener for each policy, all in front of one backend that says PAGE. */
export interface RealClientDoors {
  readonly folder: TempFolder;
  readonly proxy: RunningSallyport;
  /** Of both certificates: a file with two roots. */
  readonly rootsFile: string;
  /** By algorithm, for clients that are told which key to trust. */
  readonly leaves: Readonly<Record<'ecdsa' | 'rsa', Issued>>;
  port(door: string): number;
  /** The access-log line of the request with this path. */
  requestLine(path: string): Promise<LogLine>;
  /** The line of a failed handshake at this door, which must have this reason. */
  failureLine(door: string, reason: string): Promise<LogLine>;
  /** The line of a handshake that succeeded at this door with this JA4. */
  successLine(door: string, ja4: string): Promise<LogLine>;
  /** What this door has negotiated, without repetition ('TLSv1.2 TLS_RSA_WITH_AES_128_CBC_SHA'), once it is so much or time is up. */
  negotiated(door: string, size: number): Promise<ReadonlySet<string>>;
  stop(): Promise<void>;
}

export async function startRealClientDoors(doors: Readonly<Record<string, DoorOptions>>): Promise<RealClientDoors> {
  const folder = makeTempFolder();
  const backend = await startBackend();
  const [ecdsa, rsa] = await Promise.all([issueFront('ecdsa', 'p256'), issueFront('rsa', 'rsa-2048')]);
  for (const [name, { leaf }] of Object.entries({ ecdsa, rsa })) {
    folder.write(`${name}.crt`, leaf.certificatePem);
    folder.write(`${name}.key`, leaf.privateKeyPem);
  }
  const rootsFile = folder.write('roots.crt', ecdsa.root.certificatePem + rsa.root.certificatePem);
  const ports = new Map<string, number>();
  for (const name of Object.keys(doors)) ports.set(name, await freePort());
  const backendPort = (backend.address() as AddressInfo).port;
  const configuration = configurationOf(doors, ports, await freePort(), backendPort);
  const config = folder.write('sallyport.json', JSON.stringify(configuration, null, 2));
  const cleanUp = () => {
    backend.closeAllConnections();
    backend.close();
    folder.remove();
  };
  const proxy = await runSallyport({ config, readyTimeoutMs: PATIENCE_MS }).catch((error: unknown) => {
    cleanUp();
    throw error;
  });
  const ofDoor = (line: LogLine, door: string) => line.msg === 'handshake' && line['targetProxy'] === door;
  return {
    folder,
    proxy,
    rootsFile,
    leaves: { ecdsa: ecdsa.leaf, rsa: rsa.leaf },
    port: (door) => ports.get(door)!,
    requestLine: (path) =>
      proxy.waitForLog((line) => {
        const request = line['httpRequest'] as { requestUrl?: string } | undefined;
        return line.msg === 'request' && request?.requestUrl?.endsWith(path) === true;
      }, PATIENCE_MS),
    failureLine: (door, reason) =>
      proxy.waitForLog((line) => ofDoor(line, door) && line['reason'] === reason, PATIENCE_MS),
    successLine: (door, ja4) =>
      proxy.waitForLog(
        (line) => ofDoor(line, door) && line['reason'] === undefined && (line['tls'] as { ja4: string }).ja4 === ja4,
        PATIENCE_MS,
      ),
    async negotiated(door, size) {
      const found = new Set<string>();
      const add = (line: LogLine) => {
        if (!ofDoor(line, door) || line['reason'] !== undefined) return false;
        const tls = line['tls'] as { protocol: string; cipher: string };
        return found.add(`${tls.protocol} ${tls.cipher}`).size >= size;
      };
      await proxy.waitForLog(add, PATIENCE_MS).catch(() => {}); // too few: the caller compares, and says which
      return found;
    },
    async stop() {
      await proxy.stop('SIGINT');
      cleanUp();
    },
  };
}

/** The names that every certificate has. */
export const SERVER_NAME = 'localhost';
/** What a browser that got through shows. */
export const PAGE = '<!doctype html><title>behind the door</title><p id="served">served through the proxy</p>';

async function startBackend(): Promise<Server> {
  const server = createServer((_request, response) => {
    response.setHeader('content-type', 'text/html');
    response.end(PAGE);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

/** A leaf and its own root of the same algorithm, so that a client of one algorithm can check the whole chain. */
async function issueFront(
  name: 'ecdsa' | 'rsa',
  keyType: IssuedKeyType,
): Promise<{ readonly root: Issued; readonly leaf: Issued }> {
  const root = await issue({ subject: `CN=${name} root`, keyType, ca: true });
  const leaf = await issue({
    subject: `CN=${name} front`,
    keyType,
    issuer: root,
    dnsNames: [SERVER_NAME],
    extendedKeyUsage: ['serverAuth'],
  });
  return { root, leaf };
}

function configurationOf(
  doors: Readonly<Record<string, DoorOptions>>,
  ports: ReadonlyMap<string, number>,
  adminPort: number,
  backendPort: number,
): Record<string, unknown> {
  const names = Object.keys(doors);
  return {
    forwardingRules: names.map((name) => ({
      name,
      IPAddress: '127.0.0.1',
      portRange: String(ports.get(name)),
      target: `targetHttpsProxies/${name}`,
    })),
    targetHttpsProxies: names.map((name) => ({
      name,
      urlMap: 'web',
      sslCertificates: doors[name]?.certificates ?? ['ecdsa', 'rsa'],
      sslPolicy: name,
    })),
    sslPolicies: names.map((name) => ({ name, ...doors[name]?.sslPolicy })),
    sslCertificates: ['ecdsa', 'rsa'].map((name) => ({
      name,
      selfManaged: { certificateFile: `${name}.crt`, privateKeyFile: `${name}.key` },
    })),
    urlMaps: [{ name: 'web', defaultService: 'site' }],
    backendServices: [{ name: 'site', protocol: 'HTTP', backends: [{ group: 'site' }] }],
    networkEndpointGroups: [
      {
        name: 'site',
        networkEndpointType: 'NON_GCP_PRIVATE_IP_PORT',
        endpoints: [{ ipAddress: '127.0.0.1', port: backendPort }],
      },
    ],
    sallyport: {
      admin: { address: '127.0.0.1', port: adminPort },
      workers: 1,
      drain: { delaySec: 0, timeoutSec: 5 },
      accessLog: { handshakeSampleRate: 1 },
    },
  };
}

const PATIENCE_MS = 30_000; // a browser beside it can keep both cores busy
