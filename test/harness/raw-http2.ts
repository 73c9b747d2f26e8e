import type { Socket } from 'node:net';

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
  readonly payload: Buffer;
}

/** HTTP/2 by hand (RFC 9113): for what node:http2's client does not do, or does by itself. */
export class RawHttp2 {
  readonly socket: Socket;
  readonly frames: Frame[] = [];
  ended = false;
  /** The socket is closed, in order or not. */
  closed = false;
  readonly #acknowledges: readonly number[];
  #skipBytes: number;
  #pending = Buffer.alloc(0);

  constructor(
    socket: Socket,
    { preface = PREFACE, acknowledges = [SETTINGS, PING], skipBytes = 0 }: RawHttp2Options = {},
  ) {
    this.socket = socket;
    this.#skipBytes = skipBytes;
    this.#acknowledges = acknowledges;
    socket.on('data', (chunk: Buffer) => this.#onData(chunk));
    socket.on('end', () => {
      this.ended = true;
    });
    socket.on('close', () => {
      this.closed = true;
    });
    socket.write(preface);
  }

  send(type: number, flags: number, streamId: number, payload: Buffer): void {
    this.socket.write(frame(type, flags, streamId, payload));
  }

  /** HEADERS with END_STREAM, and CONTINUATION where needed; fields as literals without indexing (RFC 7541 section 6.2.2). */
  request(streamId: number, fields: Record<string, string>): void {
    const block = headerBlock(Object.entries(fields));
    for (let at = 0; at < block.length; at += MAX_FRAME_BYTES) {
      const flags = (at === 0 ? END_STREAM : 0) | (at + MAX_FRAME_BYTES >= block.length ? END_HEADERS : 0);
      this.send(at === 0 ? HEADERS : CONTINUATION, flags, streamId, block.subarray(at, at + MAX_FRAME_BYTES));
    }
  }

  get(streamId: number, path: string): void {
    this.request(streamId, { ':method': 'GET', ':scheme': 'https', ':authority': 'localhost', ':path': path });
  }

  of(type: number): Frame[] {
    return this.frames.filter((received) => received.type === type);
  }

  /** Of a server: for each HEADERS, in order, once all that came with it is in `frames`. */
  onHead(answer: (streamId: number) => void): void {
    let answered = 0;
    this.socket.on('data', () => {
      const heads = this.of(HEADERS);
      while (answered < heads.length) answer(heads[answered++]!.streamId);
    });
  }

  #onData(chunk: Buffer): void {
    this.#pending = Buffer.concat([this.#pending, chunk]);
    if (this.#pending.length < this.#skipBytes) return;
    this.#pending = this.#pending.subarray(this.#skipBytes);
    this.#skipBytes = 0;
    while (this.#pending.length >= 9) {
      const length = this.#pending.readUIntBE(0, 3);
      if (this.#pending.length < 9 + length) return;
      const received: Frame = {
        type: this.#pending[3]!,
        flags: this.#pending[4]!,
        streamId: this.#pending.readUInt32BE(5),
        payload: Buffer.from(this.#pending.subarray(9, 9 + length)),
      };
      this.frames.push(received);
      this.#pending = this.#pending.subarray(9 + length);
      const { type, flags, payload } = received;
      if ((flags & ACK) !== 0 || !this.#acknowledges.includes(type)) continue;
      if (type === SETTINGS) this.send(SETTINGS, ACK, 0, Buffer.alloc(0));
      if (type === PING) this.send(PING, ACK, 0, payload);
    }
  }
}

export interface RawHttp2Options {
  /** What is sent first. */
  readonly preface?: Buffer;
  /** What is acknowledged; by default SETTINGS and PING. */
  readonly acknowledges?: readonly number[];
  /** Of a server: the client's magic, which comes before its frames. */
  readonly skipBytes?: number;
}

export function frame(type: number, flags: number, streamId: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(streamId, 5);
  return Buffer.concat([head, payload]);
}

/** One entry of a SETTINGS frame (section 6.5.1). */
export function setting(id: number, value: number): Buffer {
  const bytes = Buffer.alloc(6);
  bytes.writeUInt16BE(id);
  bytes.writeUInt32BE(value, 2);
  return bytes;
}

/** Fields of any bytes (latin1), as literals without indexing (RFC 7541 section 6.2.2). */
export function headerBlock(fields: readonly (readonly [string, string])[]): Buffer {
  return Buffer.concat(fields.flatMap(([name, value]) => [Buffer.from([0]), hpackString(name), hpackString(value)]));
}

export function hpackString(text: string): Buffer {
  const bytes = Buffer.from(text, 'latin1');
  if (bytes.length < 127) return Buffer.concat([Buffer.from([bytes.length]), bytes]);
  const length = [127];
  let rest = bytes.length - 127;
  while (rest >= 128) {
    length.push((rest % 128) + 128);
    rest = Math.floor(rest / 128);
  }
  return Buffer.concat([Buffer.from([...length, rest]), bytes]);
}

export const DATA = 0;
export const HEADERS = 1;
export const PRIORITY = 2;
export const RST_STREAM = 3;
export const SETTINGS = 4;
export const PUSH_PROMISE = 5;
export const PING = 6;
export const GOAWAY = 7;
export const WINDOW_UPDATE = 8;
export const CONTINUATION = 9;
export const END_STREAM = 1;
export const ACK = 1;
export const END_HEADERS = 4;
export const PADDED = 8;
export const CLIENT_MAGIC = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
const PREFACE = Buffer.concat([CLIENT_MAGIC, frame(SETTINGS, 0, 0, Buffer.alloc(0))]);
const MAX_FRAME_BYTES = 16_384;
