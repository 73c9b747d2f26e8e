import fc from 'fast-check';
import { LENIENCIES, type LenientBackend, lenientBackend } from './_lenient-backend.ts';
import { client, closeAll, type Proxy as RunningProxy, startProxy } from './_proxy.ts';

/**
 * Framing is copied or refused, never repaired (spec 10.22): whatever a client sends, a backend that reads HTTP/1.1 as sloppily as
 * servers have been known to never sees a request that this proxy has not seen as one.
 */

let backend: LenientBackend;
let proxy: RunningProxy;

beforeAll(async () => {
  backend = await lenientBackend();
  proxy = await startProxy([backend.port]);
});
afterAll(closeAll);

const SMUGGLED = 'GET /smuggled HTTP/1.1\r\nHost: evil.example\r\n\r\n';

describe('is refused, and so is all that follows it', () => {
  const AS_CHUNKS = `0\r\n\r\n${SMUGGLED}`;
  const LENGTH = SMUGGLED.length;
  test.each<[string, string, string]>([
    ['Content-Length and Transfer-Encoding', `Content-Length: 5\r\nTransfer-Encoding: chunked`, AS_CHUNKS],
    ['Transfer-Encoding and Content-Length', `Transfer-Encoding: chunked\r\nContent-Length: ${LENGTH + 5}`, AS_CHUNKS],
    ['the same Content-Length twice', `Content-Length: ${LENGTH}\r\nContent-Length: ${LENGTH}`, SMUGGLED],
    ['two Content-Lengths', `Content-Length: 0\r\nContent-Length: ${LENGTH}`, SMUGGLED],
    ['a list of equal lengths', `Content-Length: ${LENGTH}, ${LENGTH}`, SMUGGLED],
    ['a list of lengths', `Content-Length: 0, ${LENGTH}`, SMUGGLED],
    ['a signed length', `Content-Length: +${LENGTH}`, SMUGGLED],
    ['a negative length', 'Content-Length: -1', SMUGGLED],
    ['a length in hexadecimal', `Content-Length: 0x${LENGTH.toString(16)}`, SMUGGLED],
    ['a length with a fraction', `Content-Length: ${LENGTH}.0`, SMUGGLED],
    ['a length in quotes', `Content-Length: "${LENGTH}"`, SMUGGLED],
    ['a length with a space in it', 'Content-Length: 4 6', SMUGGLED],
    ['an empty length', 'Content-Length:', SMUGGLED],
    ['a length of 2^64', 'Content-Length: 18446744073709551616', SMUGGLED],
    ['a length of 2^64 + 4', 'Content-Length: 18446744073709551620', SMUGGLED],
    ['a length over what a Number holds exactly', 'Content-Length: 9007199254740993', SMUGGLED],
    ['a folded Content-Length', `Content-Length:\r\n ${LENGTH}`, SMUGGLED],
    ['a folded Transfer-Encoding', 'Transfer-Encoding:\r\n chunked', AS_CHUNKS],
    ['a field folded onto another', 'X-A: 1\r\n Transfer-Encoding: chunked', AS_CHUNKS],
    ['a fold before the first field', ' X-A: 1\r\nContent-Length: 0', SMUGGLED],
    ['a space before the colon', `Content-Length : ${LENGTH}`, SMUGGLED],
    ['a tab before the colon', 'Transfer-Encoding\t: chunked', AS_CHUNKS],
    ['a NUL before the colon', 'Transfer-Encoding\0: chunked', AS_CHUNKS],
    ['a NUL in a value', 'X-A: 1\0\r\nContent-Length: 0', SMUGGLED],
    ['a NUL in the coding', 'Transfer-Encoding: chunked\0', AS_CHUNKS],
    ['a vertical tab in the coding', 'Transfer-Encoding: \x0bchunked', AS_CHUNKS],
    ['a field without colon', 'Transfer-Encoding chunked\r\nContent-Length: 0', SMUGGLED],
    ['a field without name', ': x\r\nContent-Length: 0', SMUGGLED],
    ['a name that is no token', 'Transfer/Encoding: chunked\r\nContent-Length: 0', SMUGGLED],
    ['a name with a high byte', 'Transfer-Encoding\xa0: chunked\r\nContent-Length: 0', SMUGGLED],
    ['xchunked', 'Transfer-Encoding: xchunked', AS_CHUNKS],
    ['chunked, identity', 'Transfer-Encoding: chunked, identity', AS_CHUNKS],
    ['identity, chunked', 'Transfer-Encoding: identity, chunked', AS_CHUNKS],
    ['gzip, chunked', 'Transfer-Encoding: gzip, chunked', AS_CHUNKS],
    ['chunked twice in one field', 'Transfer-Encoding: chunked, chunked', AS_CHUNKS],
    ['chunked in two fields', 'Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked', AS_CHUNKS],
    ['chunked, then another field', 'Transfer-Encoding: chunked\r\nTransfer-Encoding: cow', AS_CHUNKS],
    ['another field, then chunked', 'Transfer-Encoding: cow\r\nTransfer-Encoding: chunked', AS_CHUNKS],
    ['chunked in quotes', 'Transfer-Encoding: "chunked"', AS_CHUNKS],
    ['chunked with a parameter', 'Transfer-Encoding: chunked;q=1', AS_CHUNKS],
    ['chunked with a comma before it', 'Transfer-Encoding: ,chunked', AS_CHUNKS],
    ['an empty coding', 'Transfer-Encoding:', AS_CHUNKS],
    ['identity', 'Transfer-Encoding: identity', SMUGGLED],
    ['a coding and a length that is spelled with _', 'Transfer-Encoding: chunked\r\nContent_Length: 5', AS_CHUNKS],
    [
      'a length and a coding that is spelled with _',
      `Content-Length: ${AS_CHUNKS.length}\r\nTransfer_Encoding: chunked`,
      AS_CHUNKS,
    ],
    ['a second Host', `Host: b.example\r\nContent-Length: ${LENGTH}`, SMUGGLED],
    ['an Expect that asks for something else', `Expect: 100-continue, x\r\nContent-Length: ${LENGTH}`, SMUGGLED],
    ['an upgrade with a body', `Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: ${LENGTH}`, SMUGGLED],
    ['a bare LF after a field', `X-A: 1\nContent-Length: 0`, SMUGGLED],
    ['a bare CR in a value', `X-A: 1\rTransfer-Encoding: chunked\r\nContent-Length: ${AS_CHUNKS.length}`, AS_CHUNKS],
    ['a bare LF in a name', `X\nTransfer-Encoding: chunked\r\nContent-Length: ${AS_CHUNKS.length}`, AS_CHUNKS],
  ])('%s', async (_what, fields, body) => {
    const before = proxiedCount();
    const text = await send(`POST /refused HTTP/1.1\r\nHost: a.example\r\n${fields}\r\n\r\n${body}`);
    expect(text).toMatch(/^HTTP\/1\.1 400 /);
    expect(responsesIn(text)).toBe(1);
    expect(proxiedCount()).toBe(before);
    expectNothingSmuggled();
  });

  test.each<[string, string]>([
    ['a tab in the request line', 'POST\t/refused\tHTTP/1.1\r\nHost: a\r\n'],
    ['a space in the target', 'POST /refused /smuggled HTTP/1.1\r\nHost: a\r\n'],
    ['a bare CR in the target', 'POST /refused\rHTTP/1.1 HTTP/1.1\r\nHost: a\r\n'],
    ['a NUL in the target', 'POST /ref\0used HTTP/1.1\r\nHost: a\r\n'],
    ['a fragment in the target', 'POST /refused#x HTTP/1.1\r\nHost: a\r\n'],
    ['no Host', 'POST /refused HTTP/1.1\r\n'],
    ['an empty Host', 'POST /refused HTTP/1.1\r\nHost:\r\n'],
    ['a Host with a path', 'POST /refused HTTP/1.1\r\nHost: a/b\r\n'],
    ['a Host with userinfo', 'POST /refused HTTP/1.1\r\nHost: a@b\r\n'],
    ['a Host that is a list', 'POST /refused HTTP/1.1\r\nHost: a, b\r\n'],
    ['an absolute target without authority', 'POST http:///refused HTTP/1.1\r\nHost: a\r\n'],
    ['an absolute target with userinfo', 'POST http://a@b/refused HTTP/1.1\r\nHost: a\r\n'],
    ['an authority as target', 'POST a.example:80 HTTP/1.1\r\nHost: a\r\n'],
    ['Transfer-Encoding in HTTP/1.0', 'POST /refused HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n'],
    ['HTTP/1.2', 'POST /refused HTTP/1.2\r\nHost: a\r\n'],
    ['HTTP/2.0 in a request line', 'POST /refused HTTP/2.0\r\nHost: a\r\n'],
    ['http/1.1 in lower case', 'POST /refused http/1.1\r\nHost: a\r\n'],
    ['a method in lower case', 'post /refused HTTP/1.1\r\nHost: a\r\n'],
    ['an unknown method', 'SMUGGLE /refused HTTP/1.1\r\nHost: a\r\n'],
    ['CONNECT', 'CONNECT a.example:80 HTTP/1.1\r\nHost: a.example:80\r\n'],
    ['TRACE with a body', 'TRACE /refused HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n'],
  ])('%s', async (_what, head) => {
    const before = proxiedCount();
    const text = await send(`${head}\r\n0\r\n\r\n${SMUGGLED}`);
    expect(text).toMatch(/^HTTP\/1\.1 400 /);
    expect(responsesIn(text)).toBe(1);
    expect(proxiedCount()).toBe(before);
    expectNothingSmuggled();
  });
});

describe('a chunked body that breaks is never complete, and nothing after it is a request', () => {
  test.each<[string, string]>([
    ['a size in 0x notation', '0x0\r\n\r\n'],
    ['a signed size', '+0\r\n\r\n'],
    ['a negative size', '-1\r\n\r\n'],
    ['no size', '\r\n\r\n'],
    ['a size that is no number', 'z\r\n\r\n'],
    ['a space before the size', ' 0\r\n\r\n'],
    ['a space after the size', '5 \r\nhello\r\n0\r\n\r\n'],
    ['a tab after the size', '5\t\r\nhello\r\n0\r\n\r\n'],
    ['a size of 2^64', '10000000000000000\r\n\r\n'],
    ['a size of 2^64 + 5', '10000000000000005\r\nhello\r\n0\r\n\r\n'],
    ['a bare LF after the size', '5\nhello\r\n0\r\n\r\n'],
    ['a bare CR after the size', '5\rhello\r\n0\r\n\r\n'],
    ['a bare LF after the data', '5\r\nhello\n0\r\n\r\n'],
    ['nothing after the data', '5\r\nhello0\r\n\r\n'],
    ['more data than the size', '2\r\nhello\r\n0\r\n\r\n'],
    ['a bare LF in an extension', '5;a=\nb\r\nhello\r\n0\r\n\r\n'],
    ['a bare CR in an extension', '5;a=\rb\r\nhello\r\n0\r\n\r\n'],
    ['a NUL in an extension', '5;a=\0\r\nhello\r\n0\r\n\r\n'],
    ['extensions of 32 KiB', `5;${'a'.repeat(32_768)}\r\nhello\r\n0\r\n\r\n`],
    ['a trailer with a bare LF', '5\r\nhello\r\n0\r\nX-A: 1\n\r\n'],
    ['a trailer with a space before the colon', '5\r\nhello\r\n0\r\nX-A : 1\r\n\r\n'],
    ['a trailer that is folded', '5\r\nhello\r\n0\r\nX-A: 1\r\n b\r\n\r\n'],
    ['a Transfer-Encoding among the trailers', '5\r\nhello\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n'],
    ['a Content-Length among the trailers', `5\r\nhello\r\n0\r\nContent-Length: ${SMUGGLED.length}\r\n\r\n`],
  ])('%s', async (_what, body) => {
    const text = await send(
      `POST /broken HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n${body}${SMUGGLED}`,
    );
    expect(responsesIn(text)).toBeLessThanOrEqual(1);
    expect(text).not.toContain(' 200 ');
    expect(proxy.records.all.at(-1)?.error ?? null).not.toBeNull();
    expectNothingSmuggled();
  });
});

test('a coding with a tab after it, which not every parser takes for chunked, is refused', async () => {
  const head = 'POST /tabbed HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\t\r\n\r\n';
  expect(await send(`${head}0\r\n\r\n${SMUGGLED}`)).toMatch(/^HTTP\/1\.1 400 /);
  expectNothingSmuggled();
});

test('two spaces before the target are not read as one (RFC 9112 section 3)', async () => {
  expect(await send('GET  /spaced HTTP/1.1\r\nHost: a\r\n\r\n', false)).toMatch(/^HTTP\/1\.1 400 /);
  expectNothingSmuggled();
});

test('a pipelined request whose body breaks while another is in flight is refused, not left waiting', async () => {
  const before = proxiedCount();
  const first = `POST /first HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello`;
  const second = `POST /second HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n${SMUGGLED}`;
  const text = await send(first + second);
  expect(text.match(/HTTP\/1\.1 \d{3}/g)).toEqual(['HTTP/1.1 200', 'HTTP/1.1 400']);
  expect(proxiedCount()).toBeLessThanOrEqual(before + 2);
  expect(proxy.records.all.at(-1)?.error?.code).toBe('invalid_chunk_framing');
  expectNothingSmuggled();
});

describe('is carried as one request', () => {
  test.each<[string, string, string]>([
    ['a body that looks like a request', `Content-Length: ${SMUGGLED.length}`, SMUGGLED],
    [
      'a chunk that looks like a request',
      'Transfer-Encoding: chunked',
      `${SMUGGLED.length.toString(16)}\r\n${SMUGGLED}\r\n0\r\n\r\n`,
    ],
    ['a chunk that looks like chunks', 'Transfer-Encoding: chunked', '5\r\n0\r\n\r\n\r\n0\r\n\r\n'],
    ['leading zeros in a length', 'Content-Length: 005', 'hello'],
    ['leading zeros in a size', 'Transfer-Encoding: chunked', '0005\r\nhello\r\n000\r\n\r\n'],
    ['an extension', 'Transfer-Encoding: chunked', `5;a="${'b'.repeat(20)}"\r\nhello\r\n0;last\r\n\r\n`],
    ['CHUNKED in capitals', 'TRANSFER-ENCODING: CHUNKED', '5\r\nhello\r\n0\r\n\r\n'],
    ['a length that Connection names', 'Connection: content-length\r\nContent-Length: 5', 'hello'],
    [
      'a coding that Connection names',
      'Connection: transfer-encoding\r\nTransfer-Encoding: chunked',
      '5\r\nhello\r\n0\r\n\r\n',
    ],
    ['a Host that Connection names', 'Connection: host\r\nContent-Length: 5', 'hello'],
    [
      'trailers that route and identify',
      'Transfer-Encoding: chunked',
      `5\r\nhello\r\n0\r\nHost: evil.example\r\nX-Forwarded-For: 1.2.3.4\r\nX-Client-Cert-Present: true\r\n\r\n`,
    ],
    [
      'an h2c upgrade',
      'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\nContent-Length: 5',
      'hello',
    ],
  ])('%s', async (_what, fields, body) => {
    const before = proxiedCount();
    const text = await send(`POST /carried HTTP/1.1\r\nHost: a.example\r\n${fields}\r\n\r\n${body}`);
    expect(text).toMatch(/^HTTP\/1\.1 200 /);
    expect(responsesIn(text)).toBe(1);
    expect(proxiedCount()).toBe(before + 1);
    expectNothingSmuggled();
  });

  test('pipelined requests, each as itself', async () => {
    const before = proxiedCount();
    const one = `POST /piped HTTP/1.1\r\nHost: a\r\nContent-Length: ${SMUGGLED.length}\r\n\r\n${SMUGGLED}`;
    const two = `POST /piped HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nGET\r\n0\r\n\r\n`;
    const text = await send(one + two + one);
    expect(text.match(/HTTP\/1\.1 200 /g)?.length).toBe(3);
    expect(proxiedCount()).toBe(before + 3);
    expectNothingSmuggled();
  });

  test('what is pipelined behind an upgrade that the backend does not take is not served', async () => {
    const before = proxiedCount();
    const head = `GET /upgrade HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${'A'.repeat(22)}==\r\n\r\n`;
    const text = await send(head + SMUGGLED);
    expect(responsesIn(text)).toBeLessThanOrEqual(1);
    expect(proxiedCount()).toBe(before + 1);
    expectNothingSmuggled();
  });

  test('the authority of an absolute target replaces Host (security rule 4)', async () => {
    await send('GET http://b.example/absolute HTTP/1.1\r\nHost: a.example\r\n\r\n', false);
    const sent = backend.connections.map(({ text }) => text).find((text) => text.includes('/absolute'))!;
    expect(sent).toContain('GET /absolute HTTP/1.1\r\nhost: b.example\r\n');
    expect(sent).not.toContain('a.example');
    expectNothingSmuggled();
  });
});

test('no mutation of a request makes a backend see one that the proxy has not seen', async () => {
  let sequence = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(REQUEST, { minLength: 1, maxLength: 3 }), MUTATIONS, async (requests, mutations) => {
      sequence++;
      const text = requests.map((request, i) => request(`${sequence}-${i}`)).join('');
      await send(mutations.reduce((mutated, mutate) => mutate(mutated), text));
      expectNothingSmuggled();
    }),
    SETTINGS,
  );
  const total = [...backend.seenBy(LENIENCIES[0]!).values()].reduce((sum, count) => sum + count, 0);
  expect(total).toBeGreaterThan(100); // or the mutations are too wild to prove anything
});

/** A client that sends all of it, then ends its side; what came back once the proxy has closed and recorded everything. */
async function send(text: string, read = true): Promise<string> {
  const sender = client(proxy.port);
  sender.socket.end(Buffer.from(text, 'latin1'));
  await sender.until((self) => self.closed);
  const { records } = proxy;
  while (records.all.length < records.startedCount) await records.nth(records.startedCount);
  if (read) backend.read();
  return sender.text;
}

function responsesIn(text: string): number {
  return text.match(/HTTP\/1\.1 (?!1\d\d)\d/g)?.length ?? 0;
}

/** Requests that went to the backend, or were to. */
function proxiedCount(): number {
  return proxy.records.all.filter(({ attempts }) => attempts > 0).length;
}

function expectNothingSmuggled(): void {
  expect(backend.excess(proxy.records)).toEqual([]);
}

type Piece = (id: string) => string;

const hidden: Piece = (id) => `GET /hidden-${id} HTTP/1.1\r\nHost: h\r\n\r\n`;
const chunked = (data: string): string => `${data.length.toString(16)}\r\n${data}\r\n0\r\n\r\n`;
const FIELDS = [
  'X-A: b',
  'Connection: close',
  'Connection: keep-alive, x-a',
  'Expect: 100-continue',
  'Content-Length: 0',
  'Content-Length: 4',
  'Transfer-Encoding: chunked',
  'Transfer-Encoding: xchunked',
  'Content_Length: 3',
  'Upgrade: h2c',
  'TE: trailers',
  'Trailer: content-length',
  'Host: b',
];
/** One request, mostly a good one, with a body that hides another. */
const REQUEST: fc.Arbitrary<Piece> = fc
  .record({
    method: fc.constantFrom('GET', 'POST', 'PUT', 'OPTIONS', 'DELETE'),
    version: fc.constantFrom('1.1', '1.1', '1.1', '1.0'),
    framing: fc.constantFrom('none', 'length', 'chunked'),
    extra: fc.array(fc.constantFrom(...FIELDS), { maxLength: 2 }),
  })
  .map(
    ({ method, version, framing, extra }): Piece =>
      (id) => {
        const body = hidden(id);
        const fields = ['Host: a', ...extra];
        if (framing === 'length') fields.push(`Content-Length: ${body.length}`);
        if (framing === 'chunked') fields.push('Transfer-Encoding: chunked');
        const payload = framing === 'length' ? body : framing === 'chunked' ? chunked(body) : '';
        return `${method} /r-${id} HTTP/${version}\r\n${fields.join('\r\n')}\r\n\r\n${payload}`;
      },
  );
const BYTES = [
  '\r',
  '\n',
  '\r\n',
  '\0',
  ' ',
  '\t',
  ':',
  ';',
  ',',
  '0',
  '0x',
  '+',
  '-',
  '\x0b',
  '\x85',
  '"',
  'chunked',
  '\r\n\r\n',
];
/** At the n-th place that frames: a line end, a colon, a digit. */
const MUTATIONS: fc.Arbitrary<((text: string) => string)[]> = fc.array(
  fc
    .record({ at: fc.nat(200), what: fc.constantFrom(...BYTES), how: fc.constantFrom('insert', 'replace', 'remove') })
    .map(({ at, what, how }) => (text: string) => {
      const places = [...text.matchAll(/[\r\n: \d]/g)].map(({ index }) => index);
      const place = places[at % places.length] ?? 0;
      return text.slice(0, place) + (how === 'remove' ? '' : what) + text.slice(how === 'insert' ? place : place + 1);
    }),
  { maxLength: 3 },
);
const RUNS = process.env['FUZZ_RUNS'];
const SETTINGS = RUNS === undefined ? { numRuns: 300, seed: 20261122 } : { numRuns: Number(RUNS) };
