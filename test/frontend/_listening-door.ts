import { type BlockList, connect, type Socket } from 'node:net';
import { Admission } from '#src/frontend/admission.ts';
import type { FrontendLimits, FrontendProxy } from '#src/frontend/contract.ts';
import type { FrontendTimeouts } from '#src/frontend/timeouts.ts';
import { type Door, startDoor } from './_door.ts';
import { Recorder, stubProxy } from './_recorder.ts';

/** A listener for plaintext, or for whatever `proxy` says; its clients speak TCP. */
export type ListeningDoor = Door<void, Socket>;

export interface ListeningDoorOptions {
  readonly timeouts?: Partial<FrontendTimeouts>;
  readonly limits?: Partial<FrontendLimits>;
  readonly proxy?: Partial<Omit<FrontendProxy, 'limits'>>;
  readonly admission?: Admission;
  readonly trustedSources?: BlockList;
  readonly address?: string;
}

export function startListeningDoor(options: ListeningDoorOptions = {}): Promise<ListeningDoor> {
  const recorder = new Recorder();
  return startDoor({
    recorder,
    proxy: stubProxy(recorder, { ...options.proxy, limits: options.limits ?? {} }),
    timeouts: options.timeouts ?? {},
    trustedSources: () => options.trustedSources ?? null,
    admission: options.admission ?? new Admission(10_000),
    ...(options.address === undefined ? {} : { address: options.address }),
    connect: (port) => connect({ port, host: '127.0.0.1' }),
  });
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
