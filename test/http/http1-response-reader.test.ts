import { createServer as createTcpServer } from 'node:net';
import fc from 'fast-check';
import { Client } from 'undici';
import { ResponseReader } from '#src/http/http1-response-reader.ts';
import { listen } from '../backend/support.ts';

interface Reading {
  readonly heads: (readonly [number, readonly string[]])[];
  body: string;
  trailers: readonly string[];
  end: 'whole' | 'waiting' | 'with the connection' | 'too long' | 'corrupted';
  /** Bytes that belong to nobody. */
  rest: number;
}

/** What a reader makes of the pieces. */
function reading(pieces: readonly Buffer[], hasBody: (status: number) => boolean = () => true): Reading {
  const read: Reading = { heads: [], body: '', trailers: [], end: 'waiting', rest: 0 };
  const reader = new ResponseReader(
    {
      onHead(status, { list }) {
        read.heads.push([status, list]);
        return hasBody(status) ? 'body' : 'no-body';
      },
      onBody(piece) {
        read.body += piece.toString('latin1');
      },
    },
    LIMIT,
  );
  reader.expect();
  for (const piece of pieces) {
    const used = reader.read(piece);
    if (typeof used !== 'number') {
      read.end = used.isTooLong ? 'too long' : 'corrupted';
      return read;
    }
    read.rest += piece.length - used;
  }
  read.trailers = reader.trailers;
  if (reader.isComplete) read.end = 'whole';
  else if (reader.endsWithConnection) read.end = 'with the connection';
  return read;
}

function whole(text: string): Reading {
  return reading([Buffer.from(text, 'latin1')]);
}

function cutAt(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const at = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b);
  return [0, ...at].map((from, i) => bytes.subarray(from, at[i] ?? bytes.length));
}

const LIMIT = 128 * 1024;
const OK = 'HTTP/1.1 200 OK\r\n';
const RESPONSES = [
  `${OK}Content-Length: 5\r\n\r\nhello`,
  `${OK}content-length:5\r\nX-A: \t a b \t\r\nX-Empty:\r\nx-b: \xfc\r\n\r\nhello and more`,
  `${OK}Transfer-Encoding: Chunked\r\n\r\n5\r\nhello\r\n00A;a="b c"\r\n0123456789\r\n0;x\r\n\r\n`,
  `${OK}Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-Sum: 1\r\nX-Two:2\r\n\r\n`,
  'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 102\r\n\r\nHTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n',
  '\r\n\r\nHTTP/1.0 200 OK\r\n\r\nuntil the end',
  `${OK}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  `${OK}X-A: a\r\n b\r\n\r\n`,
  `${OK}X-A: a\nX-B: b\r\n\r\n`,
  `${OK}Transfer-Encoding: chunked\r\n\r\n5\r\nhello!\r\n0\r\n\r\n`,
  `${OK}Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nContent-Length: 1\r\n\r\n`,
  'HTTP/1.1 2000 OK\r\n\r\n',
  'SSH-2.0-OpenSSH_9.9\r\n',
  `${OK}${'X-A: a\r\n'.repeat(20_000)}\r\n`,
];

describe('ResponseReader', () => {
  test('reads the same whatever pieces the bytes come in', () => {
    const cuts = fc.array(fc.nat(), { maxLength: 12 });
    fc.assert(
      fc.property(fc.constantFrom(...RESPONSES), cuts, (text, at) => {
        const bytes = Buffer.from(text, 'latin1');
        expect(reading(cutAt(bytes, at))).toEqual({ ...whole(text), rest: expect.any(Number) as number });
      }),
      { numRuns: 300 },
    );
  });

  test.each(RESPONSES.filter((text) => text.length < 1000))('reads %j byte by byte', (text) => {
    const bytes = Buffer.from(text, 'latin1');
    expect(reading(Array.from(bytes, (byte) => Buffer.from([byte])))).toEqual({
      ...whole(text),
      rest: expect.any(Number) as number,
    });
  });

  test('tells what it read, and how much is left', () => {
    expect(RESPONSES.map((text) => whole(text).end)).toEqual([
      'whole',
      'whole',
      'whole',
      'whole',
      'whole',
      'with the connection',
      'corrupted',
      'corrupted',
      'corrupted',
      'corrupted',
      'corrupted',
      'corrupted',
      'corrupted',
      'too long',
    ]);
    expect(whole(RESPONSES[1]!)).toEqual({
      heads: [[200, ['content-length', '5', 'x-a', 'a b', 'x-empty', '', 'x-b', '\xfc']]],
      body: 'hello',
      trailers: [],
      end: 'whole',
      rest: ' and more'.length,
    });
    expect(whole(RESPONSES[2]!)).toMatchObject({ body: 'hello0123456789', end: 'whole', rest: 0 });
    expect(whole(RESPONSES[3]!)).toMatchObject({ body: 'a', trailers: ['x-sum', '1', 'x-two', '2'] });
    expect(whole(RESPONSES[4]!).heads.map(([status]) => status)).toEqual([103, 102, 204]);
  });

  test('reads no body where none can follow', () => {
    const bytes = Buffer.from(`${OK}Content-Length: 5\r\n\r\nhello`);
    expect(reading([bytes], () => false)).toMatchObject({ body: '', end: 'whole', rest: 5 });
  });

  test('waits while it is paused, and loses nothing', () => {
    const pieces: string[] = [];
    const reader = new ResponseReader(
      {
        onHead: () => 'body',
        onBody(piece) {
          pieces.push(piece.toString());
          reader.pause();
        },
      },
      LIMIT,
    );
    reader.expect();
    let bytes = Buffer.from(`${OK}Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n0\r\n\r\n`);
    for (let turn = 1; turn <= 2; turn++) {
      bytes = bytes.subarray(reader.read(bytes) as number);
      expect(pieces).toHaveLength(turn);
      expect(reader.read(bytes)).toBe(0);
      reader.resume();
    }
    expect(reader.read(bytes)).toBe(bytes.length);
    expect([pieces, reader.isComplete]).toEqual([['a', 'b'], true]);
  });

  test('holds no more than a head may have, whatever comes', () => {
    const piece = Buffer.alloc(16 * 1024, 'a');
    for (const start of [OK, `${OK}X-A: `, `${OK}Transfer-Encoding: chunked\r\n\r\n0\r\n`, 'HTTP/1.1 200 ']) {
      const { end } = reading([Buffer.from(start), ...Array.from({ length: 10 }, () => piece)]);
      expect(end).toBe('too long');
    }
  });
});

// llhttp is what other clients read with: where both take a response for whole, both must have read the same.
describe('beside another parser', () => {
  const closing: (() => unknown)[] = [];
  let current = Buffer.alloc(0);
  let port = 0;

  beforeAll(async () => {
    const server = createTcpServer((socket) => {
      socket.on('error', () => {});
      socket.once('data', () => socket.end(current));
    });
    port = await listen(server);
    closing.push(() => server.close());
  });

  afterAll(() => {
    for (const close of closing) close();
  });

  interface Other {
    status: number;
    fields: string[];
    body: string;
    isWhole: boolean;
  }

  function asUndiciReads(): Promise<Other> {
    const client = new Client(`http://127.0.0.1:${port}`);
    const { promise, resolve } = Promise.withResolvers<Other>();
    const other: Other = { status: 0, fields: [], body: '', isWhole: false };
    const finish = (isWhole: boolean) => {
      other.isWhole = isWhole;
      void client.destroy().then(() => resolve(other));
    };
    client.dispatch(
      { path: '/', method: 'GET' },
      {
        onRequestStart() {},
        onResponseStart({ rawHeaders }, status) {
          const raw = rawHeaders as Buffer[];
          other.status = status;
          other.fields = raw.map((text, i) =>
            i % 2 === 0
              ? text.toString('latin1').toLowerCase()
              : text.toString('latin1').replace(/^[ \t]+|[ \t]+$/g, ''),
          );
        },
        onResponseData(_controller, chunk) {
          other.body += chunk.toString('latin1');
        },
        onResponseEnd: () => finish(true),
        onResponseError: () => finish(false),
      },
    );
    return promise;
  }

  const nasty = fc.constantFrom(
    '\r',
    '\n',
    '\0',
    ' ',
    '\t',
    ':',
    ',',
    ';',
    '0',
    '1',
    'a',
    '\xff',
    '\x7f',
    '\r\n',
    '\r\n ',
    '-',
    '+',
    '"',
  );
  const field = fc.constantFrom(
    'X-A: a',
    'x-b:b  ',
    'Connection: close',
    'Connection: keep-alive',
    'Content-Length: 5',
    'Content-Length: 05',
    'Transfer-Encoding: chunked',
    'Transfer-Encoding: gzip',
    'Set-Cookie: a=1',
    'Keep-Alive: timeout=5',
    'Trailer: x',
  );
  const start = fc.constantFrom(
    OK,
    OK,
    OK,
    'HTTP/1.0 200 OK\r\n',
    'HTTP/1.1 404 Not Found\r\n',
    'HTTP/1.1 103 Hints\r\n\r\nHTTP/1.1 200\r\n',
  );
  const body = fc.constantFrom('hello', '5\r\nhello\r\n0\r\n\r\n', '2;x=y\r\nok\r\n1\r\n!\r\n0\r\nX-T: 1\r\n\r\n', '');
  const message = fc
    .tuple(start, fc.array(field, { maxLength: 4 }), body)
    .map(([line, fields, content]) => `${line}${fields.map((text) => `${text}\r\n`).join('')}\r\n${content}`);
  const mutations = fc.array(fc.tuple(fc.nat(), fc.nat(2), nasty), { maxLength: 2 });

  function mutated(text: string, changes: readonly (readonly [number, number, string])[]): string {
    for (const [at, removed, inserted] of changes) {
      const from = at % (text.length + 1);
      text = text.slice(0, from) + inserted + text.slice(from + removed);
    }
    return text;
  }

  test('what both take for whole, both have read alike', async () => {
    let agreed = 0;
    await fc.assert(
      fc.asyncProperty(message, mutations, async (text, changes) => {
        current = Buffer.from(mutated(text, changes), 'latin1');
        const ours = reading([current]);
        if (ours.end !== 'whole' && ours.end !== 'with the connection') return;
        const other = await asUndiciReads();
        if (!other.isWhole) return;
        const [status, fields] = ours.heads.at(-1)!;
        expect({ status, fields, body: ours.body }).toEqual({
          status: other.status,
          fields: other.fields,
          body: other.body,
        });
        agreed++;
      }),
      { numRuns: 400 },
    );
    expect(agreed).toBeGreaterThan(20);
  });
});
