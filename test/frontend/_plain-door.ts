import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { systemClock } from '#src/base/clock.ts';
import { ClientConnection } from '#src/frontend/client-connection.ts';
import type { FrontendLimits } from '#src/frontend/contract.ts';
import { Http1Door } from '#src/frontend/http1.ts';
import { DEFAULT_TIMEOUTS, type FrontendTimeouts } from '#src/frontend/timeouts.ts';
import { httpTraffic, Recorder, stubProxy } from './_recorder.ts';

/** HTTP/1 without the TLS in front: for tests of framing, where the bytes are the point. */
export interface PlainDoor {
  readonly recorder: Recorder;
  readonly door: Http1Door;
  readonly port: number;
  /** A client whose received bytes are kept as latin1 text. */
  readonly client: () => Client;
  /** Fails when a socket is left. */
  readonly close: () => Promise<void>;
}

export interface PlainDoorOptions {
  readonly timeouts?: Partial<FrontendTimeouts>;
  readonly limits?: Partial<FrontendLimits>;
  readonly keepAliveTimeoutMs?: number;
}

export async function startPlainDoor(options: PlainDoorOptions = {}): Promise<PlainDoor> {
  const recorder = new Recorder();
  const { keepAliveTimeoutMs = 610_000, limits = {} } = options;
  const proxy = stubProxy(recorder, { traffic: httpTraffic(recorder, keepAliveTimeoutMs), limits });
  const home = { forwardingRule: () => 'rule', events: recorder, current: () => proxy };
  const door = new Http1Door({ ...DEFAULT_TIMEOUTS, checkIntervalMs: 20, ...options.timeouts }, systemClock);
  const accepted = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    accepted.add(socket);
    socket.on('close', () => accepted.delete(socket));
    door.accept(socket, new ClientConnection(socket, home));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const clients: Client[] = [];
  const { port } = server.address() as AddressInfo;
  return {
    recorder,
    door,
    port,
    client() {
      const client = new Client(port);
      clients.push(client);
      return client;
    },
    async close() {
      for (const client of clients) client.socket.destroy();
      await recorder.until(() => accepted.size === 0 && door.size === 0);
      door.stop();
      server.close();
      await once(server, 'close');
    },
  };
}

export class Client {
  readonly socket: Socket;
  text = '';
  /** The server's FIN arrived. */
  ended = false;
  closed = false;

  constructor(port: number) {
    this.socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    this.socket.on('data', (chunk: Buffer) => {
      this.text += chunk.toString('latin1');
    });
    this.socket.on('end', () => {
      this.ended = true;
    });
    this.socket.on('error', () => {});
    this.socket.on('close', () => {
      this.closed = true;
    });
  }

  send(text: string): this {
    this.socket.write(text, 'latin1');
    return this;
  }

  /** Status codes of the responses so far, 1xx included. */
  get statuses(): number[] {
    return [...this.text.matchAll(/HTTP\/1\.1 (\d{3})/g)].map((match) => Number(match[1]));
  }
}
