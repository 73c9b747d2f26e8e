import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import { duplexPair } from 'node:stream';
import fc from 'fast-check';
import type { ErrorCode } from '#src/base/errors.ts';
import { Http1RequestReader, type Http1RequestSink } from '#src/http/http1-request-reader.ts';
import { MAX_HEAD_BYTES, readHttp1Head } from '#src/http/request-head.ts';

const HEAD = 'POST /a HTTP/1.1\r\nHost: a\r\n';
const CHUNKED = `${HEAD}Transfer-Encoding: chunked\r\n\r\n`;

describe('a request is read', () => {
  test.each<[string, string, Partial<Request>]>([
    ['without a body', 'GET /a?b HTTP/1.1\r\nHost: a\r\n\r\n', { method: 'GET', target: '/a?b', ended: true }],
    ['after empty lines', '\r\n\r\nGET / HTTP/1.0\r\n\r\n', { version: '1.0', fields: [] }],
    ['with a method of nobody', 'M-SEARCH * HTTP/1.1\r\n\r\n', { method: 'M-SEARCH', target: '*' }],
    [
      'with whitespace around values, and without',
      'GET / HTTP/1.1\r\nA:b\r\nC: \t d e \t\r\nF:\r\nG: \r\n\r\n',
      { fields: ['A', 'b', 'C', 'd e', 'F', '', 'G', ''] },
    ],
    [
      'with names that objects have, and bytes beyond ASCII',
      'GET / HTTP/1.1\r\n__proto__: \xe9\xff\r\n\r\n',
      { fields: ['__proto__', '\xe9\xff'] },
    ],
    [
      'with spaces around a coding',
      `${HEAD}Transfer-Encoding:  chunked \r\n\r\n0\r\n\r\n`,
      { trailers: [], ended: true },
    ],
    ['with whitespace around a length', `${HEAD}Content-Length: \t2 \r\n\r\nab`, { body: 'ab', ended: true }],
    ['with a length', `${HEAD}Content-Length: 5\r\n\r\nhello`, { body: 'hello', trailers: [], ended: true }],
    ['with a body that is not whole', `${HEAD}Content-Length: 6\r\n\r\nhello`, { body: 'hello', ended: false }],
    ['in chunks', `${CHUNKED}5\r\nhello\r\n00A\r\n, everyone\r\n0\r\n\r\n`, { body: 'hello, everyone', ended: true }],
    ['in chunks with extensions', `${CHUNKED}1;a="\xe9;"\r\nx\r\n0;b\r\n\r\n`, { body: 'x', ended: true }],
    ['with trailers', `${CHUNKED}0\r\nX-Sum: 9\r\nB:\r\n\r\n`, { trailers: ['x-sum', '9', 'b', ''], ended: true }],
  ])('%s', (_what, text, expected) => {
    const { requests, fault } = readAll(text);
    expect(fault).toBeNull();
    expect(requests).toEqual([expect.objectContaining(expected)]);
  });

  test('one after another', () => {
    const one = `${HEAD}Content-Length: 2\r\n\r\nab`;
    const two = `${CHUNKED}1\r\nc\r\n0\r\n\r\n`;
    const { requests } = readAll(`${one}GET /b HTTP/1.1\r\n\r\n${two}\r\n${one}`);
    expect(requests.map(({ method, body, ended }) => [method, body, ended])).toEqual([
      ['POST', 'ab', true],
      ['GET', '', true],
      ['POST', 'c', true],
      ['POST', 'ab', true],
    ]);
  });

  test('no further than nextRequest() was called', () => {
    const sink = new Sink();
    const reader = new Http1RequestReader(sink);
    const bytes = Buffer.from('GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\n');
    const at = reader.read(bytes, 0);
    expect(bytes.toString('latin1', at)).toBe('GET /2 HTTP/1.1\r\n\r\n');
    expect(reader.read(bytes, at)).toBe(at);
    reader.nextRequest();
    expect(reader.read(bytes, at)).toBe(bytes.length);
    expect(sink.requests.map(({ target }) => target)).toEqual(['/1', '/2']);
  });

  test('while its body is held nothing is taken, and its end is not told', () => {
    const sink = new Sink();
    const reader = new Http1RequestReader(sink);
    const bytes = Buffer.from(`${HEAD}Content-Length: 4\r\n\r\nabcd`);
    const at = reader.read(bytes, 0);
    expect(bytes.length - at).toBe(4);
    expect(reader).toMatchObject({ isInsideBody: true, isWaiting: true });
    sink.onBodyBytes = () => {
      reader.isHeld = true;
    };
    reader.isHeld = false;
    expect(reader.read(bytes, at)).toBe(bytes.length);
    expect(sink.requests[0]).toMatchObject({ body: 'abcd', ended: false });
    expect(reader).toMatchObject({ isInsideBody: false, isWaiting: true });
    reader.isHeld = false;
    reader.read(Buffer.alloc(0), 0);
    expect(sink.requests[0]).toMatchObject({ ended: true });
  });
});

describe('what is no request is refused', () => {
  test.each<[string, string, ErrorCode]>([
    ['no bytes of text', '\x16\x03\x01\x02\x00', 'failed_parsing_client_headers'],
    ['a space first', ' GET / HTTP/1.1\r\n\r\n', 'failed_parsing_client_headers'],
    ['a bare LF first', '\nGET / HTTP/1.1\r\n\r\n', 'failed_parsing_client_headers'],
    ['a bare CR first', '\rGET / HTTP/1.1\r\n\r\n', 'failed_parsing_client_headers'],
    ['a method that is no token', 'GE:T / HTTP/1.1\r\n\r\n', 'failed_parsing_client_headers'],
    ['two spaces before the target', 'GET  / HTTP/1.1\r\n\r\n', 'failed_parsing_client_headers'],
    ['two spaces after the target', 'GET /  HTTP/1.1\r\n\r\n', 'failed_parsing_client_headers'],
    ['a space at the end of the line', 'GET / HTTP/1.1 \r\n\r\n', 'failed_parsing_client_headers'],
    ['a space in the target', 'GET /a b HTTP/1.1\r\n\r\n', 'failed_parsing_client_headers'],
    ['a tab for a space', 'GET\t/ HTTP/1.1\r\n\r\n', 'failed_parsing_client_headers'],
    ['a tab in the target', 'GET /\ta HTTP/1.1\r\n\r\n', 'failed_parsing_client_headers'],
    ['no target', 'GET HTTP/1.1\r\n\r\n', 'failed_parsing_client_headers'],
    ['no version (HTTP/0.9)', 'GET /\r\n\r\n', 'failed_parsing_client_headers'],
    ['another protocol', 'GET / HTTQ/1.1\r\n\r\n', 'failed_parsing_client_headers'],
    ['http in lower case', 'GET / http/1.1\r\n\r\n', 'failed_parsing_client_headers'],
    ['a version of two digits', 'GET / HTTP/1.10\r\n\r\n', 'failed_parsing_client_headers'],
    ['a version that is no digit', 'GET / HTTP/1.x\r\n\r\n', 'failed_parsing_client_headers'],
    ['a request line that ends with LF', 'GET / HTTP/1.1\nHost: a\r\n\r\n', 'failed_parsing_client_headers'],
    ['a NUL in the target', 'GET /\0 HTTP/1.1\r\n\r\n', 'failed_parsing_client_headers'],
    ['a line without a colon', `${HEAD}X\r\n\r\n`, 'invalid_request_headers'],
    ['a line without a name', `${HEAD}: x\r\n\r\n`, 'invalid_request_headers'],
    ['a space before the colon', `${HEAD}X : 1\r\n\r\n`, 'invalid_request_headers'],
    ['a folded line', `${HEAD}X: 1\r\n 2\r\n\r\n`, 'invalid_request_headers'],
    ['a first line that is folded', 'GET / HTTP/1.1\r\n Host: a\r\n\r\n', 'invalid_request_headers'],
    ['a line that ends with LF', `${HEAD}X: 1\nY: 2\r\n\r\n`, 'invalid_request_headers'],
    ['a head that ends with LF LF', 'GET / HTTP/1.1\r\nHost: a\n\n', 'invalid_request_headers'],
    ['a bare CR in a value', `${HEAD}X: 1\r2\r\n\r\n`, 'invalid_request_headers'],
    ['a NUL in a value', `${HEAD}X: 1\x002\r\n\r\n`, 'invalid_request_headers'],
    ['DEL in a value', `${HEAD}X: 1\x7f\r\n\r\n`, 'invalid_request_headers'],
    ['a name beyond ASCII', `${HEAD}\xe9: 1\r\n\r\n`, 'invalid_request_headers'],
    [
      'a tab and a space after a coding',
      `${HEAD}Transfer-Encoding: chunked \t \r\n\r\n0\r\n\r\n`,
      'invalid_request_headers',
    ],
    ['a tab before a coding', `${HEAD}Transfer-Encoding:\tchunked\r\n\r\n0\r\n\r\n`, 'invalid_request_headers'],
    ['a tab after a coding', `${HEAD}TRANSFER-ENCODING: chunked\t\r\n\r\n0\r\n\r\n`, 'invalid_request_headers'],
    ['a head that is too long', `${HEAD}X: ${'v'.repeat(MAX_HEAD_BYTES)}\r\n\r\n`, 'headers_too_long'],
    ['a head that does not end', `${HEAD}X: ${'v'.repeat(MAX_HEAD_BYTES)}`, 'headers_too_long'],
    ['no chunk size', `${CHUNKED}\r\n`, 'invalid_chunk_framing'],
    ['a chunk size of 2^52', `${CHUNKED}10000000000000\r\n`, 'invalid_chunk_framing'],
    ['a chunk size in 0x notation', `${CHUNKED}0x0\r\n`, 'invalid_chunk_framing'],
    ['a space before an extension', `${CHUNKED}1 ;a\r\n`, 'invalid_chunk_framing'],
    ['an extension without a name', `${CHUNKED}1;\r\nx\r\n`, 'invalid_chunk_framing'],
    ['a space before the name of an extension', `${CHUNKED}1; a\r\nx\r\n`, 'invalid_chunk_framing'],
    ['a bare LF after a chunk size', `${CHUNKED}1\nx\r\n`, 'invalid_chunk_framing'],
    ['a bare LF in an extension', `${CHUNKED}1;a\nx\r\n`, 'invalid_chunk_framing'],
    ['a bare CR in an extension', `${CHUNKED}1;a\rx\r\n`, 'invalid_chunk_framing'],
    ['extensions over all chunks', CHUNKED + `1;${'a'.repeat(1000)}\r\nx\r\n`.repeat(17), 'invalid_chunk_framing'],
    ['a chunk that is longer than its size', `${CHUNKED}1\r\nxx\r\n`, 'invalid_chunk_framing'],
    ['a bare LF after a chunk', `${CHUNKED}1\r\nx\n`, 'invalid_chunk_framing'],
    ['a bare LF after the last chunk', `${CHUNKED}0\r\n\n`, 'invalid_chunk_framing'],
    ['a folded trailer', `${CHUNKED}0\r\nA: 1\r\n b\r\n\r\n`, 'invalid_chunk_framing'],
    ['a length among the trailers', `${CHUNKED}0\r\ncontent-LENGTH: 1\r\n\r\n`, 'invalid_chunk_framing'],
    ['a coding among the trailers', `${CHUNKED}0\r\nTransfer-Encoding: chunked\r\n\r\n`, 'invalid_chunk_framing'],
    ['trailers that do not end', `${CHUNKED}0\r\nA: ${'v'.repeat(MAX_HEAD_BYTES)}`, 'invalid_chunk_framing'],
  ])('%s (security rule 4)', (_what, text, code) => {
    expect(readAll(text).fault).toBe(code);
    expect(readAll(text, 1).fault).toBe(code);
  });

  test.each([
    ['a byte that no request has', 'GET \x01'],
    ['a bare LF', 'GET / HTTP/1.1\r\nHost: a\n'],
    ['a CR without LF', 'GET / HTTP/1.1\r\nHost: a\rb'],
    ['a first line that is none', 'HELLO\r\n'],
  ])('before its head has ended: %s', (_what, text) => {
    expect(readAll(text).fault).not.toBeNull();
  });
});

test('where the bytes are cut changes nothing', () => {
  fc.assert(
    fc.property(
      fc.array(PIECES, { minLength: 1, maxLength: 4 }),
      fc.array(fc.nat(80), { minLength: 1, maxLength: 40 }),
      (pieces, cuts) => {
        const text = pieces.join('');
        expect(readAll(text, ...cuts.map((cut) => cut + 1))).toEqual(readAll(text));
        expect(readAll(text, 1)).toEqual(readAll(text));
      },
    ),
    { numRuns: 1500 },
  );
});

test('what is composed is read as it was meant', () => {
  fc.assert(
    fc.property(fc.array(COMPOSED, { minLength: 1, maxLength: 4 }), (requests) => {
      const { requests: found, fault } = readAll(requests.map(({ text }) => text).join(''));
      expect(fault).toBeNull();
      expect(found).toEqual(requests.map(({ meant }) => meant));
    }),
  );
});

test("what is read as a whole request, Node's own parser reads as the same", async () => {
  const arrived: IncomingMessage[] = [];
  const server = createServer({ httpValidation: 'strict', requireHostHeader: false, maxHeaderSize: MAX_HEAD_BYTES });
  server.on('request', (request: IncomingMessage) => arrived.push(request));
  server.on('upgrade', (request: IncomingMessage) => arrived.push(request));
  server.on('connect', (request: IncomingMessage) => arrived.push(request));
  server.on('clientError', (_error, socket) => socket.destroy());
  let compared = 0;
  await fc.assert(
    fc.asyncProperty(PIECES, async (text) => {
      const [ours] = readAll(text).requests;
      if (ours === undefined || !ours.ended || ours.isRefused) return; // by the rules of readHttp1Head()
      arrived.length = 0;
      const [near, far] = duplexPair();
      server.emit('connection', far);
      near.on('error', () => {});
      near.write(text.slice(0, ours.endsAt), 'latin1');
      await new Promise(setImmediate);
      const theirs = arrived[0];
      expect(theirs).toBeDefined();
      expect([theirs!.method, theirs!.url, theirs!.rawHeaders]).toEqual([ours.method, ours.target, ours.fields]);
      if (ours.body !== '') expect(await textOf(theirs!, ours.body.length)).toBe(ours.body);
      far.destroy();
      near.destroy();
      compared++;
    }),
    { numRuns: 1500 },
  );
  server.close();
  expect(compared).toBeGreaterThan(100);
});

interface Request {
  method: string;
  target: string;
  version: string;
  fields: readonly string[];
  body: string;
  trailers: readonly string[] | null;
  ended: boolean;
  isRefused: boolean;
  /** Where its last byte was in the text; of the last read, where several were needed. */
  endsAt: number;
}

class Sink implements Http1RequestSink {
  readonly requests: Request[] = [];
  onBodyBytes: () => void = () => {};

  onHead(method: string, target: string, major: number, minor: number, fields: readonly string[]): number {
    const version = `${major}.${minor}`;
    const head = readHttp1Head(method, target, major, minor, fields, true);
    this.requests.push({
      method,
      target,
      version,
      fields: [...fields],
      body: '',
      trailers: null,
      ended: head.contentLength === 0,
      isRefused: head.rejection !== null,
      endsAt: 0,
    });
    return head.contentLength;
  }

  onBody(bytes: Buffer): void {
    this.requests.at(-1)!.body += bytes.toString('latin1');
    this.onBodyBytes();
  }

  onBodyEnd(trailers: readonly string[]): void {
    const request = this.requests.at(-1)!;
    request.trailers = [...trailers];
    request.ended = true;
  }
}

/** Everything in `text`, which comes in pieces of these sizes, again and again; in one piece without any. */
function readAll(text: string, ...sizes: readonly number[]): { requests: Request[]; fault: ErrorCode | null } {
  const sink = new Sink();
  const reader = new Http1RequestReader(sink);
  const bytes = Buffer.from(text, 'latin1');
  let start = 0;
  for (let i = 0; start < bytes.length && reader.fault === null; i++) {
    const end = sizes.length === 0 ? bytes.length : Math.min(bytes.length, start + sizes[i % sizes.length]!);
    const piece = bytes.subarray(start, end);
    let at = 0;
    while (reader.fault === null) {
      reader.isHeld = false;
      at = reader.read(piece, at);
      const last = sink.requests.at(-1);
      if (last?.ended === true) {
        if (last.endsAt === 0) last.endsAt = start + at;
        reader.nextRequest();
      }
      if (at >= piece.length && !reader.isWaiting) break;
    }
    start = end;
  }
  return { requests: sink.requests, fault: reader.fault?.code ?? null };
}

async function textOf(message: IncomingMessage, length: number): Promise<string> {
  let text = '';
  message.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
  });
  if (length > 0) await once(message, 'end');
  return text;
}

const TOKEN = fc.string({ unit: fc.constantFrom(...'aZ9-_.!~'.split('')), minLength: 1, maxLength: 8 });
const VALUE = fc
  .string({ unit: fc.constantFrom(...'aZ9 ,;="\t/\xe9'.split('')), maxLength: 12 })
  .map((text) => text.replace(/^[ \t]+|[ \t]+$/g, ''));
const NAME = TOKEN.map((name) => `X-${name}`);
const FIELDS = fc.array(fc.tuple(NAME, VALUE), { maxLength: 4 });
const BODY = fc.string({ unit: fc.constantFrom(...'GET /\r\n0;:\xff\0'.split('')), minLength: 1, maxLength: 30 });

const COMPOSED = fc
  .record({
    method: fc.constantFrom('GET', 'POST', 'PUT', 'OPTIONS'),
    target: fc.constantFrom('/', '/a?b=c', '/%2e/'),
    fields: FIELDS,
    framing: fc.constantFrom('none', 'length', 'chunks'),
    chunks: fc.array(BODY, { minLength: 1, maxLength: 3 }),
    trailers: FIELDS,
  })
  .map(({ method, target, fields, framing, chunks, trailers }) => {
    const body = framing === 'none' ? '' : chunks.join('');
    const own: [string, string][] =
      framing === 'none'
        ? []
        : [framing === 'length' ? ['Content-Length', String(body.length)] : ['Transfer-Encoding', 'chunked']];
    const all: [string, string][] = [['Host', 'a'], ...fields, ...own];
    const head = `${method} ${target} HTTP/1.1\r\n${linesOf(all)}\r\n`;
    const chunked = chunks.map((chunk) => `${chunk.length.toString(16)}\r\n${chunk}\r\n`).join('');
    const sent = framing === 'chunks' ? `${chunked}0\r\n${linesOf(trailers)}\r\n` : body;
    const found =
      framing === 'none' ? null : framing === 'length' ? [] : trailers.flatMap(([n, v]) => [n.toLowerCase(), v]);
    const meant = { method, target, version: '1.1', fields: all.flat(), body, trailers: found, ended: true };
    return { text: head + sent, meant: expect.objectContaining(meant) as unknown };
  });

/** Whole requests, and the same with bytes that were changed, left out or put in. */
const PIECES: fc.Arbitrary<string> = fc
  .tuple(
    COMPOSED,
    fc.array(
      fc.tuple(fc.nat(400), fc.constantFrom('', '\r', '\n', '\r\n', ' ', '\t', ':', '0', '\0', 'a', '\xff', ';')),
      {
        maxLength: 2,
      },
    ),
    fc.boolean(),
  )
  .map(([{ text }, edits, replaces]) => {
    let edited = text;
    for (const [at, inserted] of edits) {
      const i = at % edited.length;
      edited = edited.slice(0, i) + inserted + edited.slice(replaces ? i + 1 : i);
    }
    return edited;
  });

function linesOf(fields: readonly (readonly [string, string])[]): string {
  return fields.map(([name, value]) => `${name}: ${value}\r\n`).join('');
}
