import type { LinkedStreamProxy } from '../config/linked.ts';
import { createStreamForwarder } from '../forward/stream-forward.ts';
import type { ClientStream } from '../http/client-stream.ts';
import type { RunningService } from './snapshot.ts';
import type { SnapshotParts } from './snapshot-parts.ts';

/** Where a listener's streams go. */
export interface StreamRoute {
  readonly proxy: LinkedStreamProxy;
  /** All of the configuration, by name. */
  readonly services: ReadonlyMap<string, RunningService>;
}

/** The one indirection between a listener's connections and the newest service; a stream keeps the service that it began with. */
export class StreamSlot {
  #forward: (stream: ClientStream) => void;

  constructor(route: StreamRoute, parts: SnapshotParts) {
    this.#forward = forwarderOf(route, parts);
  }

  readonly onStream = (stream: ClientStream): void => {
    this.#forward(stream);
  };

  route(route: StreamRoute, parts: SnapshotParts): void {
    this.#forward = forwarderOf(route, parts);
  }
}

function forwarderOf({ proxy, services }: StreamRoute, parts: SnapshotParts): (stream: ClientStream) => void {
  const running = services.get(proxy.service);
  if (running === undefined) throw new Error(`${proxy.kind}/${proxy.name} leads to no backend service`);
  const { clock, streamRecorder: recorder } = parts;
  return createStreamForwarder({ service: running.service, proxyHeader: proxy.proxyHeader, recorder, clock });
}
