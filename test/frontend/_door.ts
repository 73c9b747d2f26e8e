import type { Socket } from 'node:net';
import type { FrontendProxy } from '#src/frontend/contract.ts';
import { Listener, type ListenerOptions } from '#src/frontend/listener.ts';
import type { Recorder } from './_recorder.ts';

/** A whole listener, what it recorded, and its clients. */
export interface Door<Options, Client> {
  readonly recorder: Recorder;
  readonly listener: Listener;
  readonly port: number;
  /** What the next connection gets. */
  proxy: FrontendProxy;
  /** A client whose errors are kept instead of thrown. */
  readonly connect: (options?: Options) => Client;
  /** Fails (by never resolving) when a socket is left. */
  readonly close: () => Promise<void>;
}

export interface DoorParts<Options, Client> extends Pick<ListenerOptions, 'admission' | 'timeouts' | 'trustedSources'> {
  /** 127.0.0.1 by default. */
  readonly address?: string;
  readonly recorder: Recorder;
  readonly proxy: FrontendProxy;
  readonly connect: (port: number, options?: Options) => Client;
}

export async function startDoor<Options, Client extends Socket>(
  parts: DoorParts<Options, Client>,
): Promise<Door<Options, Client>> {
  const { recorder, proxy, connect, timeouts, ...listening } = parts;
  const listener = new Listener({
    address: '127.0.0.1',
    port: 0,
    forwardingRule: () => 'test-rule',
    current: () => door.proxy,
    events: recorder,
    timeouts: { checkIntervalMs: 20, ...timeouts },
    ...listening,
  });
  await listener.listen();
  const clients: Client[] = [];
  const door: Door<Options, Client> = {
    recorder,
    listener,
    port: listener.port,
    proxy,
    connect(options) {
      const socket = connect(listener.port, options);
      socket.on('error', () => {});
      clients.push(socket);
      return socket;
    },
    async close() {
      for (const client of clients) client.destroy();
      await recorder.until(() => listener.connections === 0);
      await listener.closeNow();
    },
  };
  return door;
}
