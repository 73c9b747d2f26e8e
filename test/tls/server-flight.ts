import { type AddressInfo, connect } from 'node:net';
import { createServer, type SecureContextOptions, type Server, type TlsOptions } from 'node:tls';

/** What a server says in the clear to a raw ClientHello. */
export type Flight =
  | {
      readonly kind: 'hello';
      readonly version: number;
      readonly suite: number;
      /** TLS 1.3: of key_share; below: of ServerKeyExchange; null: key exchange by RSA. */
      readonly group: number | null;
      /** TLS 1.2 only. */
      readonly scheme: number | null;
      readonly helloRetryRequest: boolean;
      readonly alpn: string | null;
    }
  | { readonly kind: 'alert'; readonly description: number }
  | { readonly kind: 'closed' };

/** A real tls.Server on a free port that remembers why its last handshake failed. */
export class Engine {
  readonly #server: Server;
  lastCode = '';

  constructor(options: SecureContextOptions & TlsOptions) {
    this.#server = createServer(options);
    this.#server.on('tlsClientError', (error: NodeJS.ErrnoException) => {
      this.lastCode = error.code ?? error.message;
    });
    this.#server.on('secureConnection', (socket) => {
      socket.on('error', () => {});
      socket.end();
    });
  }

  async listen(): Promise<this> {
    await new Promise<void>((done) => this.#server.listen(0, '127.0.0.1', done));
    return this;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    await new Promise((done) => this.#server.close(done));
  }

  /** Sends `bytes`, reads until the answer is whole, and waits for the server's own word on a failure. */
  async answer(bytes: Buffer): Promise<Flight> {
    this.lastCode = '';
    const flight = await new Promise<Flight>((done, fail) => {
      const socket = connect(this.port, '127.0.0.1', () => socket.write(bytes));
      let received: Buffer = Buffer.alloc(0);
      socket.on('data', (chunk: Buffer) => {
        received = Buffer.concat([received, chunk]);
        const read = readFlight(received);
        if (read === null) return;
        done(read);
        if (read.kind === 'hello') socket.destroy();
        else socket.end();
      });
      socket.on('end', () => done({ kind: 'closed' }));
      socket.on('error', (error: NodeJS.ErrnoException) =>
        error.code === 'ECONNRESET' ? done({ kind: 'closed' }) : fail(error),
      );
    });
    if (flight.kind !== 'hello') {
      for (let i = 0; i < 5000 && this.lastCode === ''; i++) await new Promise((done) => setTimeout(done, 1));
    }
    return flight;
  }
}

/** null: not all here yet. */
function readFlight(bytes: Buffer): Flight | null {
  const messages: Buffer[] = [];
  for (let at = 0; at + 5 <= bytes.length; ) {
    const end = at + 5 + bytes.readUInt16BE(at + 3);
    if (end > bytes.length) break;
    if (bytes[at] === 21) return { kind: 'alert', description: bytes[at + 6]! };
    if (bytes[at] === 22) messages.push(bytes.subarray(at + 5, end));
    at = end;
  }
  return readMessages(Buffer.concat(messages));
}

function readMessages(bytes: Buffer): Flight | null {
  let hello: Extract<Flight, { kind: 'hello' }> | null = null;
  for (let at = 0; at + 4 <= bytes.length; ) {
    const type = bytes[at]!;
    const end = at + 4 + bytes.readUIntBE(at + 1, 3);
    if (end > bytes.length) return null;
    const body = bytes.subarray(at + 4, end);
    if (type === 2) {
      hello = readServerHello(body);
      if (hello.version === 0x0304) return hello;
    } else if (type === 12 && hello !== null) hello = withKeyExchange(hello, body);
    else if (type === 14) return hello; // ServerHelloDone
    at = end;
  }
  return null;
}

function readServerHello(body: Buffer): Extract<Flight, { kind: 'hello' }> {
  let version = body.readUInt16BE(0);
  const helloRetryRequest = body.subarray(2, 34).equals(HELLO_RETRY_REQUEST);
  let at = 35 + body[34]!;
  const suite = body.readUInt16BE(at);
  at += 3;
  let group: number | null = null;
  let alpn: string | null = null;
  for (at += 2; at + 4 <= body.length; ) {
    const type = body.readUInt16BE(at);
    const data = body.subarray(at + 4, at + 4 + body.readUInt16BE(at + 2));
    if (type === 43) version = data.readUInt16BE(0);
    if (type === 51) group = data.readUInt16BE(0);
    if (type === 16) alpn = data.toString('latin1', 3);
    at += 4 + data.length;
  }
  return { kind: 'hello', version, suite, group, scheme: null, helloRetryRequest, alpn };
}

function withKeyExchange(hello: Extract<Flight, { kind: 'hello' }>, body: Buffer): Extract<Flight, { kind: 'hello' }> {
  const at = 4 + body[3]!;
  return { ...hello, group: body.readUInt16BE(1), scheme: hello.version === 0x0303 ? body.readUInt16BE(at) : null };
}

// RFC 8446 §4.1.3: SHA-256 of "HelloRetryRequest"
const HELLO_RETRY_REQUEST = Buffer.from('cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c', 'hex');
