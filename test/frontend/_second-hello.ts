import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  randomBytes,
} from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';

/**
 * A TLS 1.3 client by hand (RFC 8446): its first hello has no key share, so that the server asks for another one, and the
 * second hello names another host. Resolves when the handshake is complete from the client's view and the server has
 * closed or answered.
 */
export async function secondHelloWithOtherSni(port: number, firstName: string, secondName: string): Promise<void> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => {});
  const records = readRecords(socket);
  const { privateKey, publicKey } = generateKeyPairSync('x25519');
  const share = publicKey.export({ type: 'spki', format: 'der' }).subarray(-32);
  const random = randomBytes(32);

  const first = clientHello(random, firstName, null);
  socket.write(record(22, first));
  const retryRequest = (await records.next()).value!.body;
  const second = clientHello(random, secondName, share);
  socket.write(record(22, second));
  const serverHello = (await records.next()).value!.body;

  const transcript = [handshake(254, sha256(first)), retryRequest, second, serverHello];
  const shared = diffieHellman({ privateKey, publicKey: x25519Key(serverKeyShare(serverHello)) });
  const early = hmac(Buffer.alloc(32), Buffer.alloc(32));
  const secret = hmac(expandLabel(early, 'derived', sha256(Buffer.alloc(0)), 32), shared);
  const helloHash = sha256(Buffer.concat(transcript));
  const server = trafficKeys(expandLabel(secret, 's hs traffic', helloHash, 32));
  const clientSecret = expandLabel(secret, 'c hs traffic', helloHash, 32);

  let flight: Buffer = Buffer.alloc(0);
  for (let sequence = 0; !endsWithFinished(flight); sequence++) {
    flight = Buffer.concat([flight, decrypt(server, sequence, (await records.next()).value!)]);
  }
  transcript.push(flight);
  const finishedKey = expandLabel(clientSecret, 'finished', Buffer.alloc(0), 32);
  const finished = handshake(20, hmac(finishedKey, sha256(Buffer.concat(transcript))));
  socket.write(encrypt(trafficKeys(clientSecret), finished));
  if (!(await records.next()).done) socket.destroy();
}

interface TlsRecord {
  readonly head: Buffer;
  readonly body: Buffer;
}

async function* readRecords(socket: ReturnType<typeof connect>): AsyncGenerator<TlsRecord, undefined> {
  let pending: Buffer = Buffer.alloc(0);
  const ended = Promise.race([once(socket, 'close'), once(socket, 'end')]).then(() => null);
  for (;;) {
    while (pending.length >= 5 && pending.length >= 5 + pending.readUInt16BE(3)) {
      const end = 5 + pending.readUInt16BE(3);
      const found = { head: pending.subarray(0, 5), body: pending.subarray(5, end) };
      pending = pending.subarray(end);
      if (found.head[0] !== CHANGE_CIPHER_SPEC) yield found;
    }
    const more = (await Promise.race([once(socket, 'data'), ended])) as [Buffer] | null;
    if (more === null) return undefined;
    pending = Buffer.concat([pending, more[0]]);
  }
}

function clientHello(random: Buffer, serverName: string, keyShare: Buffer | null): Buffer {
  const name = Buffer.from(serverName);
  const shares = keyShare === null ? Buffer.alloc(0) : Buffer.concat([X25519, vector(2, keyShare)]);
  const extensions = Buffer.concat([
    extension(0, vector(2, Buffer.concat([Buffer.from([0]), vector(2, name)]))),
    extension(43, vector(1, Buffer.from([3, 4]))),
    extension(10, vector(2, X25519)),
    extension(13, vector(2, Buffer.from([4, 3]))),
    extension(51, vector(2, shares)),
  ]);
  const body = [
    Buffer.from([3, 3]),
    random,
    vector(1, Buffer.alloc(32, 1)),
    vector(2, Buffer.from([0x13, 0x01])),
    vector(1, Buffer.from([0])),
  ];
  return handshake(1, Buffer.concat([...body, vector(2, extensions)]));
}

function serverKeyShare(serverHello: Buffer): Buffer {
  let at = 4 + 2 + 32;
  at += 1 + serverHello[at]! + 2 + 1 + 2;
  for (;;) {
    const type = serverHello.readUInt16BE(at);
    const length = serverHello.readUInt16BE(at + 2);
    if (type === 51) return serverHello.subarray(at + 4 + 4, at + 4 + length);
    at += 4 + length;
  }
}

function endsWithFinished(flight: Buffer): boolean {
  for (let at = 0; at + 4 <= flight.length; at += 4 + flight.readUIntBE(at + 1, 3)) if (flight[at] === 20) return true;
  return false;
}

interface Keys {
  readonly key: Buffer;
  readonly iv: Buffer;
}

function trafficKeys(secret: Buffer): Keys {
  return { key: expandLabel(secret, 'key', Buffer.alloc(0), 16), iv: expandLabel(secret, 'iv', Buffer.alloc(0), 12) };
}

function decrypt({ key, iv }: Keys, sequence: number, { head, body }: TlsRecord): Buffer {
  const decipher = createDecipheriv('aes-128-gcm', key, nonce(iv, sequence));
  decipher.setAAD(head);
  decipher.setAuthTag(body.subarray(-16));
  const plain = Buffer.concat([decipher.update(body.subarray(0, -16)), decipher.final()]);
  return plain.subarray(0, plain.length - 1); // without the content type
}

function encrypt({ key, iv }: Keys, message: Buffer): Buffer {
  const plain = Buffer.concat([message, Buffer.from([22])]);
  const head = Buffer.from([23, 3, 3, 0, plain.length + 16]);
  const cipher = createCipheriv('aes-128-gcm', key, nonce(iv, 0));
  cipher.setAAD(head);
  return Buffer.concat([head, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
}

function nonce(iv: Buffer, sequence: number): Buffer {
  const bytes = Buffer.from(iv);
  bytes[11]! ^= sequence;
  return bytes;
}

/** HKDF-Expand-Label for at most 32 bytes (RFC 8446 section 7.1). */
function expandLabel(secret: Buffer, label: string, context: Buffer, length: number): Buffer {
  const info = Buffer.concat([
    Buffer.from([0, length]),
    vector(1, Buffer.from(`tls13 ${label}`)),
    vector(1, context),
    Buffer.from([1]),
  ]);
  return hmac(secret, info).subarray(0, length);
}

function x25519Key(raw: Buffer): ReturnType<typeof createPublicKey> {
  return createPublicKey({ key: Buffer.concat([X25519_SPKI, raw]), format: 'der', type: 'spki' });
}

function handshake(type: number, body: Buffer): Buffer {
  return Buffer.concat([Buffer.from([type]), vector(3, body)]);
}

function record(type: number, body: Buffer): Buffer {
  return Buffer.concat([Buffer.from([type, 3, 1]), vector(2, body)]);
}

function extension(type: number, body: Buffer): Buffer {
  return Buffer.concat([Buffer.from([0, type]), vector(2, body)]);
}

function vector(lengthBytes: number, body: Buffer): Buffer {
  const head = Buffer.alloc(lengthBytes);
  head.writeUIntBE(body.length, 0, lengthBytes);
  return Buffer.concat([head, body]);
}

function sha256(bytes: Buffer): Buffer {
  return createHash('sha256').update(bytes).digest();
}

function hmac(key: Buffer, bytes: Buffer): Buffer {
  return createHmac('sha256', key).update(bytes).digest();
}

const CHANGE_CIPHER_SPEC = 20;
const X25519 = Buffer.from([0, 0x1d]);
const X25519_SPKI = Buffer.from('302a300506032b656e032100', 'hex'); // RFC 8410
