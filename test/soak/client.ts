import { type IncomingMessage, Agent as PlainAgent, request as plainRequest } from 'node:http';
import { type ClientHttp2Session, type ClientHttp2Stream, connect } from 'node:http2';
import { Agent, request as secureRequest } from 'node:https';
import type { Doors } from './configuration.ts';
import type { Ledger } from './ledger.ts';
import { Random } from './random.ts';

export type Door = 'h1' | 'h2' | 'plain';

export interface Ask {
  readonly door: Door;
  /** A backend service; its host is `NAME.proxy.test`. */
  readonly service: string;
  readonly behaviour: string;
  readonly method?: 'GET' | 'POST';
  readonly headers?: Readonly<Record<string, string>>;
  /** Bytes to send; over HTTP/1.1 in chunks where `chunked`. */
  readonly bytes?: number;
  readonly chunked?: boolean;
  /** A full or resumed handshake of its own, HTTP/1.1 only. */
  readonly fresh?: boolean;
  /** Pauses between what it reads. */
  readonly slowly?: boolean;
  /** Leaves: at once, as soon as the backend has the request, or after the first bytes of the answer. */
  readonly leave?: 'at-once' | 'when-seen' | 'after-bytes';
}

export interface Answer {
  /** 0: no head came. */
  readonly status: number;
  readonly bytes: number;
  readonly text: string;
  /** Not cut short. */
  readonly whole: boolean;
}

/** The driver's HTTP clients: keep-alive connections and HTTP/2 sessions that are replaced where they end. */
export class Client {
  readonly doors: Doors;
  readonly ledger: Ledger;
  readonly random: Random;
  readonly #ca: string;
  readonly #secure: Agent;
  readonly #plain: PlainAgent;
  readonly #sessions: (ClientHttp2Session | null)[] = [null, null, null];

  constructor(doors: Doors, ca: string, ledger: Ledger, seed: number) {
    this.doors = doors;
    this.ledger = ledger;
    this.random = new Random(seed);
    this.#ca = ca;
    this.#secure = new Agent({ keepAlive: true, maxFreeSockets: 8 });
    this.#plain = new PlainAgent({ keepAlive: true, maxFreeSockets: 4 });
  }

  /** Settles whatever happens; the ledger knows what did. */
  ask(ask: Ask): Promise<Answer> {
    const id = this.ledger.begin(`${ask.behaviour}${ask.leave ? ` (left ${ask.leave})` : ''}`);
    const path = `/s/${ask.behaviour}/${id}`;
    return ask.door === 'h2' ? this.#askHttp2(id, path, ask) : this.#askHttp1(id, path, ask);
  }

  /** An HTTP/2 session that takes streams. */
  session(): ClientHttp2Session {
    const index = this.random.between(0, this.#sessions.length - 1);
    const kept = this.#sessions[index];
    if (kept && !kept.closed && !kept.destroyed) return kept;
    const session = connect(`https://127.0.0.1:${this.doors.https}`, { ca: this.#ca, servername: 'localhost' });
    session.on('error', () => {});
    session.on('goaway', () => session.close());
    this.#sessions[index] = session;
    return session;
  }

  close(): void {
    this.#secure.destroy();
    this.#plain.destroy();
    for (const session of this.#sessions) session?.destroy();
  }

  #askHttp1(id: number, path: string, ask: Ask): Promise<Answer> {
    const { ledger } = this;
    const { promise, resolve } = Promise.withResolvers<Answer>();
    const isPlain = ask.door === 'plain';
    const headers: Record<string, string> = { host: `${ask.service}.proxy.test`, ...ask.headers };
    if (ask.bytes !== undefined && !ask.chunked) headers['content-length'] = String(ask.bytes);
    const outgoing = (isPlain ? plainRequest : secureRequest)({
      host: '127.0.0.1',
      port: isPlain ? this.doors.plain : this.doors.https,
      path,
      method: ask.method ?? 'GET',
      headers,
      ...(isPlain ? {} : { servername: 'localhost', ca: this.#ca }),
      agent: ask.fresh ? false : isPlain ? this.#plain : this.#secure,
    });
    let status = 0;
    const finish = (answer: Omit<Answer, 'status'>) => resolve({ status, ...answer });
    outgoing.on('response', (response: IncomingMessage) => {
      status = response.statusCode!;
      ledger.answered(id, status);
      void read(response, ask, () => outgoing.destroy()).then(finish);
    });
    outgoing.on('error', (error: NodeJS.ErrnoException) => {
      ledger.failed(id, error.code ?? error.message);
      if (status === 0) finish(NOTHING);
    });
    this.#leave(id, ask, () => outgoing.destroy());
    send(outgoing, ask);
    return promise;
  }

  #askHttp2(id: number, path: string, ask: Ask): Promise<Answer> {
    const { ledger } = this;
    const { promise, resolve } = Promise.withResolvers<Answer>();
    const stream: ClientHttp2Stream = this.session().request(
      {
        ':method': ask.method ?? 'GET',
        ':authority': `${ask.service}.proxy.test`,
        ':path': path,
        ...(ask.bytes !== undefined && !ask.chunked ? { 'content-length': ask.bytes } : {}),
        ...ask.headers,
      },
      { endStream: ask.bytes === undefined },
    );
    let status = 0;
    let begun = false;
    stream.on('response', (headers) => {
      status = Number(headers[':status']);
      ledger.answered(id, status);
      begun = true;
      void read(stream, ask, () => stream.close(CANCEL)).then((answer) => resolve({ status, ...answer }));
    });
    stream.on('error', (error: NodeJS.ErrnoException) => ledger.failed(id, error.code ?? error.message));
    stream.on('close', () => {
      if (begun) return;
      ledger.failed(id, `stream closed with ${stream.rstCode}`);
      resolve({ status, ...NOTHING });
    });
    this.#leave(id, ask, () => stream.close(CANCEL));
    if (ask.bytes !== undefined) send(stream, ask);
    return promise;
  }

  #leave(id: number, ask: Ask, leave: () => void): void {
    if (ask.leave === 'at-once') setTimeout(leave, this.random.between(0, 5));
    if (ask.leave !== 'when-seen') return;
    const deadline = performance.now() + SEEN_WITHIN_MS; // the backend may be down: then the proxy answers, or it leaves anyway
    const timer = setInterval(() => {
      const entry = this.ledger.entries[id]!;
      if (!entry.seen && entry.status === 0 && performance.now() < deadline) return;
      clearInterval(timer);
      leave();
    }, 10);
  }
}

type Readable = IncomingMessage | ClientHttp2Stream;

/** To its end, or until it leaves. */
function read(source: Readable, ask: Ask, leave: () => void): Promise<Omit<Answer, 'status'>> {
  const { promise, resolve } = Promise.withResolvers<Omit<Answer, 'status'>>();
  let bytes = 0;
  let text = '';
  let ended = false;
  source.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (text.length < MAX_TEXT) text += chunk.toString('latin1', 0, MAX_TEXT);
    if (ask.leave === 'after-bytes') return leave();
    if (!ask.slowly) return;
    source.pause();
    setTimeout(() => source.resume(), SLOW_PAUSE_MS);
  });
  source.on('end', () => {
    ended = !('aborted' in source) || !source.aborted;
  });
  source.on('error', () => {});
  source.on('close', () => resolve({ bytes, text, whole: ended }));
  return promise;
}

function send(target: NodeJS.WritableStream, ask: Ask): void {
  let left = ask.bytes ?? 0;
  if (left === 0) return void target.end();
  target.on('error', () => {});
  const more = () => {
    while (left > 0) {
      if (!target.writable) return;
      const piece = left >= PIECE.length ? PIECE : PIECE.subarray(0, left);
      left -= piece.length;
      if (!target.write(piece)) return void target.once('drain', more);
    }
    target.end();
  };
  more();
}

const NOTHING: Omit<Answer, 'status'> = { bytes: 0, text: '', whole: false };
const PIECE = Buffer.alloc(32 * 1024, 'up');
const CANCEL = 8; // RFC 9113 section 7
const MAX_TEXT = 256;
const SLOW_PAUSE_MS = 40;
const SEEN_WITHIN_MS = 3000;
