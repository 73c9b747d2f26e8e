import { type AddressInfo, createServer } from 'node:net';
import { type ConnectionOptions, connect } from 'node:tls';
import { type ClientHello, HelloReader } from '#src/tls/client-hello.ts';

/** The first bytes that node's own TLS client sends: a real hello. */
export function captureHello(options: ConnectionOptions = {}): Promise<Buffer> {
  return new Promise((done, fail) => {
    const server = createServer((socket) => {
      const reader = new HelloReader();
      socket.on('error', () => {});
      socket.on('data', (chunk: Buffer) => {
        if (reader.push(chunk) === 'need-more') return;
        socket.destroy();
        server.close();
        done(Buffer.from(reader.bytes));
      });
    });
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      const client = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options });
      client.on('error', (error: NodeJS.ErrnoException) => {
        if (error.code !== 'ECONNRESET' && error.code !== 'EPIPE') fail(error);
      });
    });
  });
}

export function parsedHello(bytes: Buffer): ClientHello {
  const reader = new HelloReader();
  const status = reader.push(bytes);
  if (reader.hello === null) throw new Error(`Cannot parse the hello: ${status} (${reader.detail})`);
  return reader.hello;
}
