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
  #pending = Buffer.alloc(0);

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => this.#onData(chunk));
    socket.on('end', () => {
      this.ended = true;
    });
    socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
    this.send(SETTINGS, 0, 0, Buffer.alloc(0));
  }

  send(type: number, flags: number, streamId: number, payload: Buffer): void {
    const head = Buffer.alloc(9);
    head.writeUIntBE(payload.length, 0, 3);
    head[3] = type;
    head[4] = flags;
    head.writeUInt32BE(streamId, 5);
    this.socket.write(Buffer.concat([head, payload]));
  }

  /** HEADERS with END_STREAM, and CONTINUATION where needed; fields as literals without indexing (RFC 7541 section 6.2.2). */
  request(streamId: number, fields: Record<string, string>): void {
    const parts: Buffer[] = [];
    for (const [name, value] of Object.entries(fields)) {
      parts.push(Buffer.from([0]), hpackString(name), hpackString(value));
    }
    const block = Buffer.concat(parts);
    for (let at = 0; at < block.length; at += MAX_FRAME_BYTES) {
      const flags = (at === 0 ? END_STREAM : 0) | (at + MAX_FRAME_BYTES >= block.length ? END_HEADERS : 0);
      this.send(at === 0 ? HEADERS : CONTINUATION, flags, streamId, block.subarray(at, at + MAX_FRAME_BYTES));
    }
  }

  get(streamId: number, path: string): void {
    this.request(streamId, { ':method': 'GET', ':scheme': 'https', ':authority': 'localhost', ':path': path });
  }

  of(type: number): Frame[] {
    return this.frames.filter((frame) => frame.type === type);
  }

  #onData(chunk: Buffer): void {
    this.#pending = Buffer.concat([this.#pending, chunk]);
    while (this.#pending.length >= 9) {
      const length = this.#pending.readUIntBE(0, 3);
      if (this.#pending.length < 9 + length) return;
      const frame: Frame = {
        type: this.#pending[3]!,
        flags: this.#pending[4]!,
        streamId: this.#pending.readUInt32BE(5),
        payload: Buffer.from(this.#pending.subarray(9, 9 + length)),
      };
      this.frames.push(frame);
      this.#pending = this.#pending.subarray(9 + length);
      if (frame.type === SETTINGS && (frame.flags & ACK) === 0) this.send(SETTINGS, ACK, 0, Buffer.alloc(0));
    }
  }
}

function hpackString(text: string): Buffer {
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
const HEADERS = 1;
export const RST_STREAM = 3;
export const SETTINGS = 4;
export const GOAWAY = 7;
const CONTINUATION = 9;
const MAX_FRAME_BYTES = 16_384;
const END_STREAM = 1;
const ACK = 1;
const END_HEADERS = 4;
