import fc from 'fast-check';
import { HelloReader, type HelloStatus } from '#src/tls/client-hello.ts';
import { captureHello, parsedHello } from './captured-hello.ts';
import { codes, helloBytes, helloMessage, type RawHello, record, records, sized16, u16 } from './raw-hello.ts';

const HELLO: RawHello = {
  suites: [0x0a0a, 0x1301, 0xc02b, 0x00ff],
  versions: [0x2a2a, 0x0304, 0x0303],
  groups: [0x3a3a, 0x11ec, 0x001d],
  keyShares: [0x11ec, 0x001d],
  schemes: [0x0403, 0x0804],
  schemesCert: [0x0401],
  pointFormats: [0],
  alpn: ['h2', 'http/1.1'],
  serverName: 'WWW.Example.TEST.',
};

describe('HelloReader reads a hello', () => {
  test('`push()` gives every field, names lower-cased, GREASE left out, order kept', () => {
    const hello = parsedHello(
      helloBytes({
        ...HELLO,
        extensions: [
          [0x4a4a, Buffer.alloc(1)],
          [5, Buffer.of(1, 0, 0, 0, 0)],
          [35, Buffer.alloc(0)],
          [42, Buffer.alloc(0)],
        ],
      }),
    );
    expect(hello).toMatchObject({
      recordVersion: 0x0301,
      legacyVersion: 0x0303,
      supportedVersions: [0x0304, 0x0303],
      cipherSuites: [0x1301, 0xc02b, 0x00ff],
      compressionMethods: [0],
      extensions: [0, 10, 11, 13, 50, 16, 43, 51, 5, 35, 42],
      groups: [0x11ec, 0x001d],
      keyShares: [0x11ec, 0x001d],
      pointFormats: [0],
      signatureAlgorithms: [0x0403, 0x0804],
      signatureAlgorithmsCert: [0x0401],
      alpn: ['h2', 'http/1.1'],
      serverName: 'www.example.test',
      serverNameAsSent: 'WWW.Example.TEST.',
      ticketKeyName: null,
      hasSessionTicket: false,
      hasPreSharedKey: false,
      statusRequest: true,
      earlyData: true,
      fallbackScsv: false,
    });
  });

  test('`push()` reads a hello without extensions (TLS 1.0)', () => {
    const hello = parsedHello(helloBytes({ legacyVersion: 0x0301, suites: [0x002f, 0x5600] }));
    expect(hello).toMatchObject({
      legacyVersion: 0x0301,
      supportedVersions: null,
      groups: null,
      alpn: null,
      fallbackScsv: true,
    });
    expect(hello.extensions).toEqual([]);
  });

  test('`push()` gives the key name of a session ticket and of a PSK identity', () => {
    const ticket = Buffer.from('0123456789abcdefREST OF THE TICKET');
    const name = Buffer.from('0123456789abcdef');
    expect(parsedHello(helloBytes({ ...HELLO, extensions: [[35, ticket]] }))).toMatchObject({
      hasSessionTicket: true,
      hasPreSharedKey: false,
      ticketKeyName: name,
    });
    const identities = sized16(Buffer.concat([sized16(ticket), Buffer.alloc(4)]));
    const binders = sized16(Buffer.concat([Buffer.of(32), Buffer.alloc(32)]));
    const psk = parsedHello(helloBytes({ ...HELLO, extensions: [[41, Buffer.concat([identities, binders])]] }));
    expect(psk).toMatchObject({ hasPreSharedKey: true, hasSessionTicket: false, ticketKeyName: name });
  });

  test("`push()` reads what node's own client sends, a post-quantum hello of more than 1,460 bytes included", async () => {
    const bytes = await captureHello({ servername: 'a.example.test', ALPNProtocols: ['h2'] });
    expect(bytes.length).toBeGreaterThan(1460);
    const hello = parsedHello(bytes);
    expect(hello).toMatchObject({ serverName: 'a.example.test', alpn: ['h2'] });
    expect(hello.supportedVersions).toEqual([0x0304, 0x0303]);
    expect(hello.keyShares).toEqual([0x11ec, 0x001d]);
    const old = parsedHello(
      await captureHello({ minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'ALL:@SECLEVEL=0' }),
    );
    expect(old).toMatchObject({ legacyVersion: 0x0302, serverName: null });
  });

  test.each(['10.1.2.3', '::1', '2001:db8::1'])('an SNI that is the IP literal %s counts as none', (serverName) => {
    expect(parsedHello(helloBytes({ ...HELLO, serverName }))).toMatchObject({
      serverName: null,
      serverNameAsSent: serverName,
    });
  });

  test.each([
    ['WWW.Example.TEST', 'www.example.test'],
    ['www1', 'www1'],
    ['10.1.2.3.test', '10.1.2.3.test'],
    ['10.1.2.3.4', '10.1.2.3.4'],
    ['10.1.2.3.', null],
  ])('an SNI of %s is the name %s', (serverName, expected) => {
    expect(parsedHello(helloBytes({ ...HELLO, serverName }))).toMatchObject({
      serverName: expected,
      serverNameAsSent: serverName,
    });
  });

  test.each([1, 31, 32, 33, 3000])(
    '%d extensions that nobody knows are no fault, and the same one twice is',
    (count) => {
      const extensions = Array.from({ length: count }, (_, i) => [3000 + i, Buffer.alloc(0)] as const);
      const plain = { suites: [0x1301], extensions };
      expect(parsedHello(records(helloMessage(plain), 16_384)).extensions).toHaveLength(count);
      for (const again of [0, count - 1]) {
        const reader = new HelloReader();
        reader.push(records(helloMessage({ ...plain, extensions: [...extensions, extensions[again]!] }), 16_384));
        expect(reader.detail).toBe(`extension ${3000 + again} occurs twice`);
      }
    },
  );
});

describe('HelloReader is incremental', () => {
  test.each([
    ['one record in one segment', 1_000_000, 1_000_000],
    ['one record in one-byte segments', 1_000_000, 1],
    ['one-byte records', 1, 1_000_000],
    ['one-byte records in one-byte segments', 1, 1],
    ['records of 100 bytes in segments of 33', 100, 33],
  ])('`push()` reads a hello as %s', (_name, recordBytes, segmentBytes) => {
    const bytes = records(helloMessage(HELLO), recordBytes);
    const reader = new HelloReader();
    const statuses = feed(reader, bytes, segmentBytes);
    expect(statuses.pop()).toBe('hello');
    expect(new Set(statuses)).toEqual(new Set(statuses.length === 0 ? [] : ['need-more']));
    expect(reader.hello?.serverName).toBe('www.example.test');
    expect(reader.bytes.equals(bytes)).toBe(true);
  });

  test('`bytes` keeps what came after the hello, for one unshift', () => {
    const reader = new HelloReader();
    const bytes = helloBytes(HELLO);
    expect(reader.push(Buffer.concat([bytes, Buffer.from('early')]))).toBe('hello');
    expect(reader.push(Buffer.from('more'))).toBe('hello');
    expect(reader.bytes.toString('latin1').endsWith('earlymore')).toBe(true);
    expect(reader.bytes.length).toBe(bytes.length + 9);
  });

  test('the work is linear for one-byte records in one-byte segments: each byte is copied a bounded number of times (security rule 6)', () => {
    const wire = records(Buffer.concat([Buffer.of(1, 0, 0xc0, 0), Buffer.alloc(9000)]), 1);
    expect(copiedBytes(wire)).toBeLessThan(4 * wire.length);
  });
});

describe('HelloReader refuses', () => {
  const words: readonly (readonly [string, Buffer, HelloStatus])[] = [
    ['an HTTP request', Buffer.from('GET / HTTP/1.1\r\n'), 'plain-http'],
    ['an HTTP/2 preface', Buffer.from('PRI * HTTP/2.0\r\n'), 'plain-http'],
    ['SSH', Buffer.from('SSH-2.0-x'), 'not-tls'],
    ['an SSLv2-style hello', Buffer.of(0x80, 0x2e, 1, 3, 1, 0, 0), 'not-tls'],
    ['handshake type with a version that is not TLS', Buffer.of(22, 2, 0, 0, 5), 'not-tls'],
    ['an alert instead of a hello', Buffer.of(21, 3, 1, 0, 2, 2, 40), 'malformed'],
    ['a ServerHello', record(Buffer.of(2, 0, 0, 4)), 'malformed'],
    ['an empty record', Buffer.of(22, 3, 1, 0, 0), 'malformed'],
    ['a record over 2^14 bytes', Buffer.of(22, 3, 1, 0x40, 1), 'malformed'],
    [
      'another record type inside the hello',
      Buffer.concat([record(helloMessage(HELLO).subarray(0, 50)), record(Buffer.of(1), 20)]),
      'malformed',
    ],
    [
      'a second message in the record of the hello',
      record(Buffer.concat([helloMessage(HELLO), Buffer.of(1)])),
      'malformed',
    ],
    ['a hello announced over the cap', record(Buffer.of(1, 1, 0, 0)), 'too-large'],
  ];
  test.each(words)('%s', (_name, bytes, status) => {
    for (const segment of [1, 1000]) {
      const reader = new HelloReader();
      expect(feed(reader, bytes, segment).pop()).toBe(status);
      expect(reader.hello).toBeNull();
      expect(reader.detail).not.toBe('');
    }
  });

  test.each([
    'a b.test',
    'a\r\nSet-Cookie: x',
    'a"b',
    'ä.test',
    'a..b',
    '.a',
    '.',
    'a..',
    '',
    'x'.repeat(254),
    '1::zz',
    '[::1]',
    'a\0b',
  ])('an SNI of %j as malformed (security rule 5)', (serverName) => {
    const reader = new HelloReader();
    expect(reader.push(helloBytes({ ...HELLO, serverName }))).toBe('malformed');
    expect(reader.detail).toMatch(/^server name [\w .[\]-]+$/); // fixed words: nothing of the stranger
  });

  test('an SNI of 253 characters and one of 253 with a trailing dot are fine', () => {
    const name = `${'a.'.repeat(126)}b`;
    expect(parsedHello(helloBytes({ ...HELLO, serverName: name })).serverName).toBe(name);
    expect(parsedHello(helloBytes({ ...HELLO, serverName: `${name}.` })).serverName).toBe(name);
  });

  const twoNames = Buffer.concat([
    Buffer.of(0),
    sized16(Buffer.from('a.test')),
    Buffer.of(0),
    sized16(Buffer.from('b.test')),
  ]);
  const faults: readonly (readonly [string, readonly (readonly [number, Buffer])[], RegExp])[] = [
    ['a duplicate extension', [[13, sized16(codes([0x0403]))]], /extension 13 occurs twice/],
    [
      'a duplicate extension that nobody reads',
      [
        [99, Buffer.alloc(0)],
        [99, Buffer.alloc(0)],
      ],
      /extension 99 occurs twice/,
    ],
    ['several server names', [[0, sized16(twoNames)]], /several server names/],
    ['an odd list of suites', [[10, sized16(Buffer.of(0, 23, 0))]], /supported_groups/],
    ['an empty ALPN name', [[16, sized16(Buffer.of(0, 1, 97))]], /application_layer/],
    ['a key share that reaches past its end', [[51, sized16(Buffer.of(0, 29, 0, 9, 1))]], /key_share/],
    [
      'an extension after pre_shared_key',
      [
        [41, Buffer.concat([sized16(Buffer.concat([sized16(Buffer.alloc(20)), Buffer.alloc(4)])), u16(0)])],
        [99, Buffer.alloc(0)],
      ],
      /pre_shared_key/,
    ],
  ];
  test.each(faults)('%s as malformed (security rule 6)', (_name, extensions, detail) => {
    const types = new Set(extensions.map(([type]) => type));
    const { serverName: _name2, ...rest } = HELLO;
    const clean = types.has(13)
      ? rest
      : { ...rest, groups: types.has(10) ? null : HELLO.groups!, alpn: null, keyShares: null };
    const reader = new HelloReader();
    expect(reader.push(helloBytes({ ...clean, extensions }))).toBe('malformed');
    expect(reader.detail).toMatch(detail);
  });

  test('more than 64 KiB of raw bytes, record headers counted, as too large (security rule 6)', () => {
    const padding = (bytes: number): RawHello => ({ ...HELLO, extensions: [[21, Buffer.alloc(bytes)]] });
    const rest = helloMessage(padding(0)).length;
    const fits = records(helloMessage(padding(65_536 - rest - 4 * 5)), 16_384);
    expect(fits.length).toBe(65_536);
    const reader = new HelloReader();
    expect(feed(reader, fits, 4096).pop()).toBe('hello');
    const over = new HelloReader();
    expect(feed(over, records(helloMessage(padding(65_536 - rest - 4 * 5 + 1)), 16_384), 4096).pop()).toBe('too-large');
    const headers = new HelloReader(); // 12 KB of hello, 72 KB on the wire
    expect(feed(headers, records(helloMessage(padding(10_500)), 1), 4096).pop()).toBe('too-large');
    expect(headers.bytes.length).toBeLessThanOrEqual(65_536 + 4096);
  });

  test('`excerpt` keeps at most 4 KiB of a hello for logs (security rule 6)', () => {
    const reader = new HelloReader();
    reader.push(records(helloMessage({ ...HELLO, extensions: [[21, Buffer.alloc(20_000)]] }), 16_384));
    expect(reader.status).toBe('hello');
    expect(reader.excerpt.length).toBe(4096);
  });
});

describe('HelloReader never throws and never disagrees with itself', () => {
  test('on random bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), fc.nat(20), (bytes, segment) =>
        sane(Buffer.from(bytes), segment + 1),
      ),
      RUNS,
    );
  });

  test('on random bytes behind a record and message header', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 400 }), fc.nat(20), (bytes, segment) => {
        const body = Buffer.from(bytes);
        sane(record(Buffer.concat([Buffer.of(1, 0, body.length >> 8, body.length & 0xff), body])), segment + 1);
      }),
      RUNS,
    );
  });

  test('on mutations of real hellos: bytes changed, inserted, removed, cut off, in any segments', async () => {
    const real = [
      await captureHello({ servername: 'a.example.test', ALPNProtocols: ['h2', 'http/1.1'] }),
      helloBytes(HELLO),
    ];
    const change = fc.record({
      at: fc.nat(1700),
      kind: fc.constantFrom('set', 'insert', 'remove', 'cut'),
      value: fc.nat(255),
    });
    fc.assert(
      fc.property(
        fc.constantFrom(...real),
        fc.array(change, { minLength: 1, maxLength: 4 }),
        fc.nat(600),
        (bytes, changes, segment) => {
          let mutated = Buffer.from(bytes);
          for (const { at, kind, value } of changes) {
            const index = Math.min(at, mutated.length - 1);
            if (kind === 'set') mutated[index] = value;
            else if (kind === 'insert')
              mutated = Buffer.concat([mutated.subarray(0, index), Buffer.of(value), mutated.subarray(index)]);
            else if (kind === 'remove')
              mutated = Buffer.concat([mutated.subarray(0, index), mutated.subarray(index + 1)]);
            else mutated = mutated.subarray(0, Math.max(index, 1));
          }
          sane(mutated, segment + 1);
        },
      ),
      { numRuns: 3000 },
    );
  });

  test('on every prefix of a real hello: need-more, never a verdict', async () => {
    const bytes = await captureHello({ servername: 'a.example.test' });
    for (let length = 1; length < bytes.length; length++)
      expect(new HelloReader().push(bytes.subarray(0, length))).toBe('need-more');
  });
});

/** However it is cut: the same verdict, nothing read outside, names clean. */
function sane(bytes: Buffer, segment: number): void {
  const whole = new HelloReader();
  const inBuffer = Buffer.concat([Buffer.alloc(64, 0x16), bytes, Buffer.alloc(64, 0x41)]); // neighbours that would change the answer
  const status = bytes.length === 0 ? 'need-more' : whole.push(inBuffer.subarray(64, 64 + bytes.length));
  const cut = new HelloReader();
  feed(cut, bytes, segment);
  expect([cut.status, cut.hello]).toEqual([status, whole.hello]);
  if (whole.hello === null) return;
  expect(whole.hello.serverName ?? 'none').toMatch(/^[a-z0-9._-]{1,253}$/);
  expect(new Set(whole.hello.extensions).size).toBe(whole.hello.extensions.length);
}

/** Until the status is final. */
function feed(reader: HelloReader, bytes: Buffer, segment: number): HelloStatus[] {
  const statuses: HelloStatus[] = [];
  for (let at = 0; at < bytes.length && reader.status === 'need-more'; at += segment) {
    statuses.push(reader.push(bytes.subarray(at, at + segment)));
  }
  return statuses;
}

/** Bytes that Buffer.copy moves while `wire` comes in one-byte segments. */
function copiedBytes(wire: Buffer): number {
  const copy = Buffer.prototype.copy;
  let moved = 0;
  Buffer.prototype.copy = function counted(this: Buffer, ...args: Parameters<Buffer['copy']>) {
    const count = copy.apply(this, args);
    moved += count;
    return count;
  };
  try {
    const reader = new HelloReader();
    feed(reader, wire, 1);
    expect(reader.status).toBe('need-more');
  } finally {
    Buffer.prototype.copy = copy;
  }
  return moved;
}

const RUNS = { numRuns: 2000 };
