import type { ConnectionOptions, TLSSocket } from 'node:tls';
import { digestOf } from '#src/base/digest.ts';
import type { LinkedServerTlsPolicy } from '#src/config/linked.ts';
import { clientAuthentication } from '#src/frontend/client-auth.ts';
import type { FrontendProxy } from '#src/frontend/contract.ts';
import { parseCrls } from '#src/pki/crl.ts';
import type { Issued } from '#src/pki/issue/contract.ts';
import { revocation } from '#src/pki/revocation.ts';
import { startTlsDoor, type TlsDoor, type TlsDoorOptions, withTls } from './_tls-door.ts';

export type ClientMode = LinkedServerTlsPolicy['clientValidationMode'];

export interface Trust {
  readonly anchors?: readonly Issued[];
  readonly intermediates?: readonly Issued[];
  readonly allowlist?: readonly Issued[];
  /** DER; mode require. */
  readonly crls?: readonly Uint8Array[];
}

/** `trust` null: no trust config. */
export function serverTlsPolicy(mode: ClientMode, trust: Trust | null): LinkedServerTlsPolicy {
  const ders = (list: readonly Issued[] = []) => list.map(({ der }) => der);
  const contents = trust && {
    anchors: ders(trust.anchors),
    intermediates: ders(trust.intermediates),
    allowlist: ders(trust.allowlist),
  };
  const crls = trust?.crls?.flatMap((der) => parseCrls(der));
  const trustConfig = contents && {
    name: 'clients',
    digest: digestOf(contents),
    ...contents,
    revocation: crls === undefined ? null : revocation({ mode: 'require', crls }),
  };
  return {
    name: 'clients',
    digest: digestOf({ mode, contents }),
    clientValidationMode: mode,
    trustConfig: trustConfig as LinkedServerTlsPolicy['trustConfig'],
  };
}

/** The same proxy, asking its clients for certificates. */
export function asking(proxy: FrontendProxy, mode: ClientMode, trust: Trust | null): FrontendProxy {
  const policy = serverTlsPolicy(mode, trust);
  return withTls(proxy, { clientAuthentication: clientAuthentication(policy), ticketGeneration: () => null });
}

export async function startClientDoor(
  mode: ClientMode,
  trust: Trust | null,
  options: TlsDoorOptions = {},
): Promise<TlsDoor> {
  const door = await startTlsDoor(options);
  door.proxy = asking(door.proxy, mode, trust);
  return door;
}

/** A client that shows this chain, its own certificate first, and takes weak keys of its own. */
export function identity(...chain: readonly Issued[]): ConnectionOptions {
  const cert = chain.map(({ certificatePem }) => certificatePem).join('');
  return { cert, key: chain[0]?.privateKeyPem ?? '', ciphers: 'DEFAULT:@SECLEVEL=0' };
}

/** One GET on the connection; resolves to what came back before it closed or answered. */
export function get(socket: TLSSocket, path = '/'): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    socket.setEncoding('latin1');
    socket.on('data', (chunk: string) => {
      text += chunk;
      if (text.includes('\r\n\r\n')) resolve(text);
    });
    socket.on('close', () => resolve(text));
    socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
  });
}
