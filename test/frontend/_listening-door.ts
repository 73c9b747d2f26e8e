import { type BlockList, connect, type Socket } from 'node:net';
import { Admission } from '#src/frontend/admission.ts';
import type { FrontendLimits, FrontendProxy } from '#src/frontend/contract.ts';
import { Listener } from '#src/frontend/listener.ts';
import type { FrontendTimeouts } from '#src/frontend/timeouts.ts';
import { Recorder, stubProxy } from './_recorder.ts';

/** A whole listener for plaintext, or for whatever `proxy` says. */
export interface ListeningDoor {
  readonly recorder: Recorder;
  readonly listener: Listener;
  readonly port: number;
  /** What the next connection gets. */
  proxy: FrontendProxy;
  /** A TCP client whose errors are kept instead of thrown. */
  readonly connect: () => Socket;
  /** Fails (by never resolving) when a socket is left. */
  readonly close: () => Promise<void>;
}

export interface ListeningDoorOptions {
  readonly timeouts?: Partial<FrontendTimeouts>;
  readonly limits?: Partial<FrontendLimits>;
  readonly proxy?: Partial<Omit<FrontendProxy, 'limits'>>;
  readonly admission?: Admission;
  readonly trustedSources?: BlockList;
}

export async function startListeningDoor(options: ListeningDoorOptions = {}): Promise<ListeningDoor> {
  const recorder = new Recorder();
  const proxy = stubProxy(recorder, { ...options.proxy, limits: options.limits ?? {} });
  const listener = new Listener({
    address: '127.0.0.1',
    port: 0,
    forwardingRule: () => 'test-rule',
    current: () => door.proxy,
    events: recorder,
    timeouts: { checkIntervalMs: 20, ...options.timeouts },
    trustedSources: () => options.trustedSources ?? null,
    admission: options.admission ?? new Admission(10_000),
  });
  await listener.listen();
  const clients: Socket[] = [];
  const door: ListeningDoor = {
    recorder,
    listener,
    port: listener.port,
    proxy,
    connect() {
      const socket = connect({ port: listener.port, host: '127.0.0.1' });
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

/** Everything that a socket brings until it closes, as latin1. */
export function everything(socket: Socket): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
    });
    socket.on('close', () => resolve(text));
  });
}
