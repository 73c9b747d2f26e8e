import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { connect as connectTls, createServer as createTlsServer, type TLSSocket } from 'node:tls';
import { issue } from '#src/pki/issue/issue.ts';
import { resetSocket } from '#src/tls/reset-socket.ts';

/** A server that does `act` with each accepted pair, and one client of it that never reads. */
async function run(act: (raw: Socket, socket: Socket) => void): Promise<string> {
  const { certificatePem: cert, privateKeyPem: key } = await issue({
    subject: 'CN=localhost',
    dnsNames: ['localhost'],
  });
  const engine = createTlsServer({ cert, key });
  const closed = Promise.withResolvers<void>();
  const server = createServer((raw) => {
    raw.on('error', () => {});
    raw.on('close', () => closed.resolve());
    engine.once('secureConnection', (socket: TLSSocket) => {
      socket.on('error', () => {});
      act(raw, socket);
    });
    engine.emit('connection', raw);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const raw = connect((server.address() as AddressInfo).port, '127.0.0.1');
  raw.on('error', () => {});
  const client = connectTls({ socket: raw, rejectUnauthorized: false });
  const failed = new Promise<string>((resolve) => {
    client.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''));
    client.on('end', () => resolve('end'));
  });
  await closed.promise; // for ever, where a descriptor is leaked
  client.resume();
  const outcome = await failed;
  client.destroy();
  server.close();
  await once(server, 'close');
  return outcome;
}

describe('resetSocket()', () => {
  test('from within a callback of the TLS socket (a crash of the process, done at once)', async () => {
    expect(await run((raw, socket) => resetSocket(raw, socket))).toBe('ECONNRESET');
  });

  test('with bytes that nobody reads still on their way', async () => {
    const act = (raw: Socket, socket: Socket) => {
      socket.write(Buffer.alloc(16 << 20));
      resetSocket(raw, socket);
    };
    expect(await run(act)).toBe('ECONNRESET');
  });

  test('twice', async () => {
    const act = (raw: Socket, socket: Socket) => {
      resetSocket(raw, socket);
      resetSocket(raw, socket);
    };
    expect(await run(act)).toBe('ECONNRESET');
  });

  test('with an end on its way, where libuv refuses: the socket closes all the same', async () => {
    const act = (raw: Socket, socket: Socket) => {
      socket.write(Buffer.alloc(16 << 20));
      socket.end();
      resetSocket(raw, socket);
    };
    expect(['end', 'ECONNRESET']).toContain(await run(act));
  });
});
