import { type PlainDoor, type PlainDoorOptions, startPlainDoor } from './_plain-door.ts';
import { echo } from './_recorder.ts';

describe('an HTTP/1 exchange', () => {
  test('carries head, body and trailers, and the connection goes on', async () => {
    const { recorder, client } = await start();
    const c = client().send(
      'POST /a?b HTTP/1.1\r\nHost: A.example\r\nX-One: 1\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 9\r\n\r\n',
    );
    await recorder.until(() => c.text.endsWith('POST /a?b hello'));
    const { exchange, trailers } = recorder.exchanges[0]!;
    expect(exchange).toMatchObject({
      protocol: 'HTTP/1.1',
      scheme: 'http',
      authority: 'A.example',
      contentLength: -1,
      requestBytes: 5,
      responseBytes: 15,
    });
    expect(exchange.headers).toEqual(['x-one', '1', 'transfer-encoding', 'chunked', 'trailer', 'X-Sum']);
    expect(trailers).toEqual(['x-sum', '9']);
    expect(c.text).not.toMatch(/^(connection|keep-alive|server):/im);
    expect(c.text).toMatch(/^Date: /m);
    c.send(GET('/two'));
    await recorder.until(() => c.text.endsWith('GET /two '));
    expect(recorder.exchanges[0]!.finished).toBe(true);
    expect(c.ended).toBe(false);
  });

  test('answers HEAD without a body and keeps its Content-Length', async () => {
    const { recorder, client } = await start();
    const c = client().send(`HEAD /x HTTP/1.1\r\nHost: a\r\n\r\n${GET('/y')}`);
    await recorder.until(() => c.text.endsWith('GET /y '));
    expect(c.text).toMatch(/content-length: 8\r\n[\s\S]*?\r\n\r\nHTTP\/1.1 200/);
  });

  test('chunks a response of unknown length and sends its trailers', async () => {
    const { recorder, client } = await start();
    recorder.answer = ({ exchange }) => {
      exchange.respond(200, ['trailer', 'x-t'], true);
      exchange.write(Buffer.from('abc'));
      exchange.end(['x-t', '1', 'x-bad', 'a\r\nb']);
    };
    const c = client().send(GET('/'));
    await recorder.until(() => c.text.includes('0\r\nx-t: 1\r\nx-bad: \r\n\r\n'));
    expect(c.text).toContain('3\r\nabc\r\n');
  });

  test('ends a response of unknown length by closing towards HTTP/1.0, and sends it no 1xx', async () => {
    const { recorder, client, port } = await start();
    recorder.answer = ({ exchange }) => {
      exchange.interim(103, ['link', '</x>']);
      exchange.respond(200, [], true);
      exchange.write(Buffer.from('abc'));
      exchange.end(['x-t', '1']);
    };
    const c = client().send('GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n');
    await recorder.until(() => c.ended);
    expect(c.text).toMatch(/^HTTP\/1.1 200 OK\r\nconnection: close\r\nDate: [^\r]*\r\n\r\nabc$/);
    expect(recorder.exchanges[0]!.exchange).toMatchObject({ protocol: 'HTTP/1.0', authority: `127.0.0.1:${port}` });
  });

  test('sends 1xx heads and one 100 Continue', async () => {
    const { recorder, client } = await start();
    recorder.answer = (recorded) => {
      recorded.exchange.interim(103, ['link', '</x>; rel=preload']);
      recorded.exchange.sendContinue();
      recorded.exchange.sendContinue();
      echo(recorded);
    };
    const c = client().send('PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n');
    await recorder.until(() => c.statuses.length === 2);
    c.send('ok');
    await recorder.until(() => c.text.endsWith('PUT / ok'));
    expect(c.statuses).toEqual([103, 100, 200]);
    expect(c.text).not.toContain('onnection: close');
  });

  test('a final answer instead of 100 Continue closes the connection', async () => {
    const { recorder, client } = await start();
    recorder.answer = (recorded) => recorded.respond(200, 'no need');
    const c = client().send('PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n');
    await recorder.until(() => c.text.endsWith('no need'));
    expect(c.text).toContain('connection: close\r\n');
    expect(c.statuses).toEqual([200]);
  });

  test('a field value that cannot be sent becomes empty and takes nothing down (security rule 15)', async () => {
    const { recorder, client } = await start();
    recorder.answer = (recorded) =>
      recorded.respond(200, 'fine', ['x-evil', 'a\r\nset-cookie: b', 'bad name', 'x', 'x-ok', '1']);
    const c = client().send(GET('/'));
    await recorder.until(() => c.text.endsWith('fine'));
    expect(c.text).toContain('x-evil: \r\nx-ok: 1\r\n');
    expect(c.text).not.toContain('set-cookie');
  });

  test('a response shorter than its Content-Length cuts the connection', async () => {
    const { recorder, client } = await start();
    recorder.answer = ({ exchange }) => {
      exchange.respond(200, ['content-length', '10'], true);
      exchange.write(Buffer.from('abc'));
      exchange.end(null);
    };
    const c = client().send(GET('/'));
    await recorder.until(() => c.closed || c.ended);
    expect(recorder.exchanges[0]!.aborted).toBe('internal_error');
    expect(c.text).not.toContain('HTTP/1.1 200 OK\r\n\r\n');
  });

  test('a body that came whole is sent before anybody says that it has ended', async () => {
    const { recorder, client } = await start();
    recorder.answer = ({ exchange }) => {
      exchange.respond(200, ['content-length', '3'], true);
      exchange.write(Buffer.from([0x61, 0xff, 0x00]));
    };
    const c = client().send(GET('/'));
    await recorder.until(() => c.text.endsWith('\r\n\r\na\xff\x00'));
    recorder.exchanges[0]!.exchange.end(null);
    recorder.answer = ({ exchange }) => {
      exchange.respond(200, ['content-length', '3'], true);
      exchange.write(Buffer.from([0x62, 0xff, 0x00]));
      exchange.end(null);
    };
    c.send(GET('/'));
    await recorder.until(() => c.text.endsWith('\r\n\r\nb\xff\x00'));
    expect(recorder.exchanges[0]).toMatchObject({ finished: true, exchange: { responseBytes: 3 } });
  });

  test('what came at once is one write, chunks and their end included', async () => {
    const { recorder, client } = await start();
    let writes = 0;
    recorder.answer = ({ exchange }) => {
      exchange.respond(200, ['date', 'd'], true);
      exchange.write(Buffer.from('abc'));
      exchange.write(Buffer.from('\xff\0', 'latin1'));
      exchange.end(['x-t', '1']);
    };
    const c = client();
    c.socket.on('data', () => writes++);
    c.send(GET('/'));
    await recorder.until(() => c.text.endsWith('x-t: 1\r\n\r\n'));
    expect(c.text).toBe(
      'HTTP/1.1 200 OK\r\ndate: d\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\n\xff\0\r\n0\r\nx-t: 1\r\n\r\n',
    );
    expect(writes).toBe(1);
  });

  test('large and small parts of a body keep their order, with and without chunks', async () => {
    const { recorder, client } = await start();
    const parts = [1, 5000, 2, 70_000, 0, 3, 4096, 4097].map((size, i) => Buffer.alloc(size, String(i)));
    const whole = Buffer.concat(parts).toString('latin1');
    recorder.answer = ({ exchange }) => {
      exchange.respond(200, exchange.target === '/length' ? ['content-length', String(whole.length)] : [], true);
      for (const part of parts) exchange.write(part);
      exchange.end(null);
    };
    const c = client().send(GET('/length'));
    await recorder.until(() => c.text.endsWith(`\r\n\r\n${whole}`));
    c.send(GET('/chunks'));
    await recorder.until(() => c.text.endsWith('\r\n0\r\n\r\n'));
    const chunked = c.text.slice(c.text.lastIndexOf('\r\n\r\n1\r\n') + 4);
    const expected = parts.map((part) =>
      part.length === 0 ? '' : `${part.length.toString(16)}\r\n${part.toString()}\r\n`,
    );
    expect(chunked).toBe(`${expected.join('')}0\r\n\r\n`);
    expect(recorder.exchanges.map(({ finished }) => finished)).toEqual([true, true]);
  });

  test('a body longer than its Content-Length cuts the connection, also when its first part has that length', async () => {
    const { recorder, client } = await start();
    recorder.answer = ({ exchange }) => {
      exchange.respond(200, ['content-length', '3'], true);
      exchange.write(Buffer.from('abc'));
      exchange.write(Buffer.from('d'));
    };
    const c = client().send(GET('/'));
    await recorder.until(() => c.ended);
    expect(c.text).not.toContain('abcd');
    expect(recorder.exchanges[0]!.aborted).toBe('internal_error');
  });

  test('abort() cuts the connection, so that a chunked response cannot look complete', async () => {
    const { recorder, client } = await start();
    const c = client();
    recorder.answer = ({ exchange }) => {
      exchange.respond(200, [], true);
      exchange.write(Buffer.from('abc'));
    };
    c.send(GET('/'));
    await recorder.until(() => c.text.includes('abc'));
    recorder.exchanges[0]!.exchange.abort({} as never);
    await recorder.until(() => c.ended || c.closed);
    expect(c.text).not.toContain('\r\n0\r\n');
  });

  test('abort() before the turn of a response: what was given of it, then the cut', async () => {
    const { recorder, client } = await start();
    recorder.answer = ({ exchange }) => {
      exchange.respond(203, ['content-length', '8'], true);
      exchange.write(Buffer.from('part'));
      exchange.abort({} as never);
    };
    const c = client().send(GET('/'));
    await recorder.until(() => c.ended || c.closed);
    expect(c.statuses).toEqual([203]);
    expect(c.text).toMatch(/\r\n\r\npart$/);
  });

  test('a whole response whose connection is cut before its turn was not given', async () => {
    const { recorder, client, door } = await start();
    recorder.answer = (recorded) => {
      recorded.respond(200, 'never seen');
      door.closeNow();
    };
    const c = client().send(GET('/'));
    await recorder.until(() => recorder.exchanges[0]?.aborted != null || recorder.exchanges[0]?.finished === true);
    expect(recorder.exchanges[0]).toMatchObject({
      finished: false,
      aborted: 'client_disconnected_after_partial_response',
    });
    await recorder.until(() => c.ended || c.closed);
    expect(c.text).toBe('');
  });
});

describe('pipelining (security rule 3)', () => {
  test('keeps one exchange in flight, in order', async () => {
    const { recorder, client } = await start();
    recorder.answer = () => {};
    const c = client().send(
      `${GET('/1') + GET('/2')}POST /3 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc${GET('/4')}`,
    );
    for (let count = 1; count <= 4; count++) {
      await recorder.until(() => recorder.exchanges.length >= count);
      await pause(30);
      expect(recorder.exchanges.length).toBe(count);
      echo(recorder.exchanges[count - 1]!);
    }
    await recorder.until(() => c.text.endsWith('GET /4 '));
    expect(recorder.exchanges.map(({ exchange }) => exchange.target)).toEqual(['/1', '/2', '/3', '/4']);
    expect(c.text).toContain('POST /3 abc');
  });

  test('a flood of pipelined requests is answered one by one, and what is read ahead is no more than a read', async () => {
    const { recorder, client } = await start({ limits: { requestsPerConnection: 100_000 } });
    recorder.answer = () => {};
    const c = client();
    const count = 5000;
    c.send(GET('/').repeat(count));
    const flood = Buffer.alloc(10_000_000, GET('/'), 'latin1');
    await recorder.until(() => recorder.exchanges.length === 1);
    c.socket.write(flood);
    await pause(50);
    expect(recorder.exchanges.length).toBe(1);
    expect(c.socket.writableLength).toBeGreaterThan(1_000_000);
    recorder.answer = echo;
    echo(recorder.exchanges[0]!);
    await recorder.until(() => recorder.exchanges.length >= count);
    c.socket.resetAndDestroy();
  });

  test('requests after the last one are neither answered nor piled up', async () => {
    const { recorder, client } = await start({ limits: { requestsPerConnection: 1 } });
    recorder.answer = () => {};
    const c = client();
    c.send(GET('/1'));
    await recorder.until(() => recorder.exchanges.length === 1);
    for (let i = 0; i < 200; i++) c.send(GET('/more').repeat(2000));
    await pause(100);
    expect(c.socket.writableLength).toBeGreaterThan(1_000_000);
    echo(recorder.exchanges[0]!);
    await recorder.until(() => c.ended || c.closed);
    expect(recorder.exchanges.length).toBe(1);
  });

  test('a broken second request is refused after the first is answered', async () => {
    const { recorder, client } = await start();
    recorder.answer = () => {};
    const c = client().send(`${GET('/1')}GE\x01T / HTTP/1.1\r\n\r\n`);
    await recorder.until(() => recorder.exchanges.length === 1);
    await pause(30);
    expect(c.text).toBe('');
    echo(recorder.exchanges[0]!);
    await recorder.until(() => c.ended);
    expect(c.statuses).toEqual([200, 400]);
    expect(recorder.exchanges.length).toBe(1);
    expect(recorder.badRequests).toEqual(['failed_parsing_client_headers']);
  });

  test('bytes after a request with Connection: close are never a request', async () => {
    const { recorder, client } = await start();
    const c = client().send(`GET /1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n${GET('/2')}`);
    await recorder.until(() => c.ended);
    expect(c.statuses).toEqual([200]);
    expect(c.text).toContain('connection: close');
    expect(recorder.exchanges.length).toBe(1);
  });

  test('the last request that a connection may carry says so', async () => {
    const { recorder, client } = await start({ limits: { requestsPerConnection: 2 } });
    const c = client().send(GET('/1') + GET('/2') + GET('/3'));
    await recorder.until(() => c.ended);
    expect(c.statuses).toEqual([200, 200]);
    expect(c.text.match(/connection: close/g)?.length).toBe(1);
  });
});

describe('requests that are refused', () => {
  test.each<[string, string, number, string]>([
    ['two Hosts', 'GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n', 400, 'invalid_request_headers'],
    [
      'a bad Transfer-Encoding',
      'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n',
      400,
      'invalid_request_headers',
    ],
    ['HTTP/0.9', 'GET /\r\n\r\n', 400, 'failed_parsing_client_headers|http_version_not_supported'],
    ['HTTP/2.0', 'GET / HTTP/2.0\r\nHost: a\r\n\r\n', 400, 'http_version_not_supported'],
    ['CONNECT', 'CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n', 400, 'unsupported_method'],
    ['an unregistered method', 'FOO / HTTP/1.1\r\nHost: a\r\n\r\n', 400, 'unsupported_method'],
    ['what is no HTTP', '\x16\x03\x01\x02\x00', 400, 'failed_parsing_client_headers'],
    [
      'another Expect',
      'POST / HTTP/1.1\r\nHost: a\r\nExpect: x\r\nContent-Length: 1\r\n\r\n1',
      400,
      'unsupported_100_continue',
    ],
    ['a head over 60 KiB', `GET / HTTP/1.1\r\nHost: a\r\nx: ${'v'.repeat(70_000)}\r\n\r\n`, 413, 'headers_too_long'],
    [
      'a head just over 60 KiB',
      `GET / HTTP/1.1\r\nHost: a\r\nx: ${'v'.repeat(61_420)}\r\n\r\n`,
      413,
      'headers_too_long',
    ],
    [
      'a WebSocket request with a body',
      'POST / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 1\r\n\r\n1',
      400,
      'upgrade_header_rejected',
    ],
  ])('%s: one answer, and the connection closes (security rule 4)', async (_what, text, status, code) => {
    const { recorder, client } = await start();
    const c = client().send(text + GET('/smuggled'));
    await recorder.until(() => c.ended || c.closed);
    expect(c.statuses).toEqual([status]);
    expect(c.text).toMatch(/connection: close/i);
    const codes = [...recorder.badRequests, ...recorder.exchanges.map(({ exchange }) => exchange.rejection?.code)];
    expect(codes).toEqual([expect.stringMatching(new RegExp(`^(${code})$`))]);
  });

  test('an answer is not lost to a reset when more was sent than was read', async () => {
    const { recorder, client } = await start({ limits: { requestsPerConnection: 1 } });
    const c = client().send(GET('/last') + GET('/more').repeat(20_000));
    await recorder.until(() => c.ended);
    expect(c.text).toMatch(/connection: close\r\n[\s\S]*GET \/last $/);
    expect(recorder.exchanges.length).toBe(1);
    expect(c.socket.errored).toBeNull();
  });

  test('nor when a request that is refused has a body of which nobody knows the end', async () => {
    const { recorder, client } = await start();
    const c = client().send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n');
    await recorder.until(() => recorder.exchanges[0]?.finished === true);
    c.send('x'.repeat(200_000));
    await recorder.until(() => c.ended);
    c.send('x'.repeat(200_000));
    c.socket.end();
    await recorder.until(() => c.closed);
    expect(c.statuses).toEqual([400]);
    expect(c.socket.errored).toBeNull();
  });

  test('a client that ends its side inside a head is told so', async () => {
    const { recorder, client } = await start();
    const c = client();
    c.socket.end('GET / HTTP/1.1\r\nHost: a\r\n', 'latin1');
    await recorder.until(() => c.ended);
    expect(c.statuses).toEqual([400]);
    expect(recorder.badRequests).toEqual(['failed_parsing_client_headers']);
  });

  test('60 KiB of head pass', async () => {
    const { recorder, client } = await start();
    const c = client().send(`GET / HTTP/1.1\r\nHost: a\r\nx: ${'v'.repeat(61_370)}\r\n\r\n`);
    await recorder.until(() => c.statuses.length === 1);
    expect(c.statuses).toEqual([200]);
  });

  test('more than a thousand fields are refused, not dropped in silence', async () => {
    const { recorder, client } = await start();
    const c = client().send(`GET / HTTP/1.1\r\nHost: a\r\n${'a: b\r\n'.repeat(1001)}\r\n`);
    await recorder.until(() => c.ended);
    expect(c.statuses).toEqual([413]);
  });

  test('a broken chunk aborts the exchange and is answered', async () => {
    const { recorder, client } = await start();
    const c = client().send('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n');
    await recorder.until(() => c.ended);
    expect(recorder.exchanges[0]!.aborted).toBe('invalid_chunk_framing');
    expect(c.statuses).toEqual([400]);
  });

  test('an Upgrade to anything but websocket is an ordinary request, and the connection goes on', async () => {
    const { recorder, client } = await start();
    const c = client().send(
      `GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA\r\n\r\n${GET('/2')}`,
    );
    await recorder.until(() => c.text.endsWith('GET /2 '));
    expect(c.statuses).toEqual([200, 200]);
    expect(recorder.exchanges[0]!.exchange).toMatchObject({
      isWebSocket: false,
      headers: ['connection', 'Upgrade, HTTP2-Settings'],
    });
  });
});

describe('WebSocket', () => {
  test('switchProtocols() tunnels both ways, early bytes included', async () => {
    const { recorder, client } = await start();
    recorder.answer = ({ exchange }) => {
      const socket = exchange.switchProtocols(['sec-websocket-accept', 'x', 'x-evil', 'a\nb']);
      socket.on('data', (chunk: Buffer) => socket.write(chunk.toString('latin1').toUpperCase()));
      socket.on('end', () => socket.end());
    };
    const c = client().send(`${WEBSOCKET}early `);
    await recorder.until(() => c.text.endsWith('EARLY '));
    expect(recorder.exchanges[0]!.exchange.isWebSocket).toBe(true);
    expect(c.text).toMatch(
      /^HTTP\/1.1 101 Switching Protocols\r\nsec-websocket-accept: x\r\nx-evil: \r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\nEARLY $/,
    );
    c.send('late');
    await recorder.until(() => c.text.endsWith('EARLY LATE'));
    c.socket.end();
    await recorder.until(() => c.ended);
  });

  test('a refusal is an ordinary response and closes', async () => {
    const { recorder, client } = await start();
    recorder.answer = (recorded) => recorded.respond(403, 'no');
    const c = client().send(WEBSOCKET);
    await recorder.until(() => c.ended);
    expect(c.text).toMatch(/^HTTP\/1.1 403 Forbidden\r\n[\s\S]*connection: close\r\n[\s\S]*no$/);
    expect(recorder.exchanges[0]!.finished).toBe(true);
  });

  test('pipelined behind a request it waits for its turn, and what follows a refused one is not served', async () => {
    const { recorder, client } = await start();
    const c = client().send(GET('/1') + WEBSOCKET + GET('/frames-or-requests'));
    await recorder.until(() => c.ended);
    expect(recorder.exchanges.map(({ exchange }) => exchange.isWebSocket)).toEqual([false, true]);
    expect(c.statuses).toEqual([200, 200]);
    expect(c.text).toMatch(/connection: close\r\n[\s\S]*GET \/ws $/);
  });

  test('a client that leaves before the answer aborts the exchange', async () => {
    const { recorder, client } = await start();
    recorder.answer = () => {};
    const c = client().send(WEBSOCKET);
    await recorder.until(() => recorder.exchanges.length === 1);
    c.socket.resetAndDestroy();
    await recorder.until(() => recorder.exchanges[0]!.aborted !== null);
    expect(recorder.exchanges[0]!.aborted).toBe('client_disconnected_before_any_response');
  });
});

describe('early responses', () => {
  test('after an error the rest of the body is read and thrown away, then the connection closes', async () => {
    const { recorder, client } = await start();
    recorder.answer = (recorded) => {
      recorded.respond(413, 'too much');
      recorded.exchange.discardBody();
    };
    const c = client().send(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n${'x'.repeat(50_000)}`);
    await recorder.until(() => c.text.endsWith('too much'));
    expect(c.text).toContain('connection: close');
    c.send('x'.repeat(50_000));
    await recorder.until(() => c.ended);
    expect(recorder.exchanges[0]!).toMatchObject({ finished: true, aborted: null });
    expect(recorder.exchanges[0]!.chunks).toEqual([]);
  });

  test('no more than 1 MiB is thrown away', async () => {
    const { recorder, client } = await start();
    recorder.answer = (recorded) => recorded.respond(413, 'too much');
    const c = client().send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n');
    const feed = setInterval(() => c.send('x'.repeat(100_000)), 1);
    await recorder.until(() => c.closed);
    clearInterval(feed);
    const { exchange } = recorder.exchanges[0]!;
    expect(exchange.requestBytes).toBeGreaterThan(1024 * 1024);
    expect(exchange.requestBytes).toBeLessThan(2 * 1024 * 1024);
  });

  test('a client that sends nothing more is closed after the time for it', async () => {
    const { recorder, client } = await start({ timeouts: { discardMs: 50 } });
    recorder.answer = (recorded) => recorded.respond(413, 'too much');
    const c = client().send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n');
    await recorder.until(() => c.ended);
    await recorder.until(() => recorder.exchanges[0]!.finished);
  });

  test('an early 2xx leaves the upload running and the connection open', async () => {
    const { recorder, client } = await start();
    recorder.answer = ({ exchange }) => {
      exchange.readBody();
      exchange.respond(200, ['content-length', '2'], true);
    };
    const c = client().send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab');
    await recorder.until(() => recorder.exchanges[0]?.body === 'ab' && c.statuses.length === 1);
    c.send('cd');
    await recorder.until(() => recorder.exchanges[0]!.trailers !== null);
    recorder.answer = echo;
    recorder.exchanges[0]!.exchange.write(Buffer.from('ok'));
    recorder.exchanges[0]!.exchange.end(null);
    c.send(GET('/next'));
    await recorder.until(() => c.text.endsWith('GET /next '));
    expect(c.text).not.toContain('connection: close');
  });

  test('a response that ends before the upload leaves the connection usable when the rest is small', async () => {
    const { recorder, client } = await start();
    recorder.answer = (recorded) => recorded.respond(200, 'enough');
    const c = client().send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab');
    await recorder.until(() => c.text.endsWith('enough'));
    recorder.answer = echo;
    c.send(`cd${GET('/next')}`);
    await recorder.until(() => c.text.endsWith('GET /next '));
  });
});

describe('back-pressure', () => {
  test('a body that is not read stops the client', async () => {
    const { recorder, client } = await start();
    recorder.answer = ({ exchange }) => {
      exchange.readBody();
      exchange.pauseBody();
    };
    const c = client();
    c.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 50000000\r\n\r\n');
    const chunk = Buffer.alloc(1_000_000, 'x');
    for (let i = 0; i < 50; i++) c.socket.write(chunk);
    await recorder.until(() => recorder.exchanges.length === 1);
    await pause(200);
    const { exchange } = recorder.exchanges[0]!;
    expect(exchange.requestBytes).toBe(0);
    expect(c.socket.writableLength).toBeGreaterThan(20_000_000);
    recorder.answer = echo;
    const onBodyEnd = recorder.exchanges[0]!;
    exchange.resumeBody();
    await recorder.until(() => onBodyEnd.trailers !== null);
    expect(exchange.requestBytes).toBe(50_000_000);
    onBodyEnd.respond(200, 'ok');
    await recorder.until(() => c.text.endsWith('ok'));
  });

  test('a client that does not read stops the response, and onDrain starts it again', async () => {
    const { recorder, client } = await start();
    const c = client();
    c.socket.pause();
    const chunk = Buffer.alloc(65_536, 'y');
    let written = 0;
    recorder.answer = (recorded) => {
      const { exchange } = recorded;
      const fill = () => {
        while (written < 30_000_000) {
          written += chunk.length;
          if (!exchange.write(chunk)) return;
        }
        exchange.end(null);
      };
      exchange.respond(200, [], true);
      recorded.onDrain = fill;
      fill();
    };
    c.send(GET('/'));
    await recorder.until(() => written > 0);
    await pause(100);
    expect(written).toBeLessThan(20_000_000);
    c.socket.resume();
    await recorder.until(() => c.text.endsWith('\r\n0\r\n\r\n'));
    expect(recorder.exchanges[0]!.exchange.responseBytes).toBe(written);
    expect(recorder.exchanges[0]!.finished).toBe(true);
  });
});

describe('clients that leave', () => {
  test('before a response', async () => {
    const { recorder, client } = await start();
    recorder.answer = () => {};
    const c = client().send(GET('/'));
    await recorder.until(() => recorder.exchanges.length === 1);
    c.socket.resetAndDestroy();
    await recorder.until(() => recorder.exchanges[0]!.aborted === 'client_disconnected_before_any_response');
  });

  test('inside a response', async () => {
    const { recorder, client } = await start();
    recorder.answer = ({ exchange }) => exchange.respond(200, ['content-length', '5'], true);
    const c = client().send(GET('/'));
    await recorder.until(() => recorder.exchanges.length === 1);
    recorder.exchanges[0]!.exchange.write(Buffer.from('a'));
    await recorder.until(() => c.text.endsWith('a'));
    c.socket.resetAndDestroy();
    await recorder.until(() => recorder.exchanges[0]!.aborted === 'client_disconnected_after_partial_response');
  });

  test('inside their body', async () => {
    const { recorder, client } = await start();
    const c = client().send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab');
    await recorder.until(() => recorder.exchanges[0]?.body === 'ab');
    c.socket.end();
    await recorder.until(() => recorder.exchanges[0]!.aborted === 'client_disconnected_before_any_response');
    await recorder.until(() => c.ended);
  });

  test('inside a body that nobody has begun to read', async () => {
    const { recorder, client } = await start();
    recorder.answer = () => {};
    const c = client().send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n');
    await recorder.until(() => recorder.exchanges.length === 1);
    c.socket.end();
    await recorder.until(() => recorder.exchanges[0]!.aborted === 'client_disconnected_before_any_response');
  });

  test('a half-close after several requests is none, for each of them', async () => {
    const { recorder, client } = await start();
    const c = client();
    c.socket.end(GET('/1') + GET('/2') + GET('/3'), 'latin1');
    await recorder.until(() => c.ended);
    expect(c.statuses).toEqual([200, 200, 200]);
    expect(c.text).toMatch(/GET \/3 $/);
  });

  test('a half-close after the request is none', async () => {
    const { recorder, client } = await start();
    recorder.answer = () => {};
    const c = client();
    c.socket.end(GET('/half'), 'latin1');
    await recorder.until(() => recorder.exchanges.length === 1);
    await pause(50);
    echo(recorder.exchanges[0]!);
    await recorder.until(() => c.ended);
    expect(c.text).toMatch(/GET \/half $/);
  });
});

describe('deadlines', () => {
  test('a head that does not end gets 408', async () => {
    const { recorder, client } = await start({ timeouts: { headMs: 100 } });
    const c = client().send('GET / HTTP/1.1\r\nHost: a\r\n');
    await recorder.until(() => c.ended);
    expect(c.statuses).toEqual([408]);
    expect(recorder.badRequests).toEqual(['client_timed_out']);
  });

  test('a connection that sends nothing is closed without an answer', async () => {
    const { recorder, client } = await start({ timeouts: { headMs: 100 } });
    const c = client();
    await recorder.until(() => c.ended);
    expect(c.text).toBe('');
    expect(recorder.badRequests).toEqual([]);
  });

  test('an idle connection is closed after the keep-alive timeout', async () => {
    const { recorder, client } = await start({ keepAliveTimeoutMs: 100 });
    const c = client().send(GET('/'));
    await recorder.until(() => c.ended);
    expect(c.statuses).toEqual([200]);
  });

  test('a body that stalls gets 408', async () => {
    const { recorder, client } = await start({ timeouts: { stalledMs: 100 } });
    const c = client().send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab');
    await recorder.until(() => c.ended);
    expect(c.statuses).toEqual([408]);
    expect(recorder.exchanges[0]!.aborted).toBe('client_timed_out');
  });

  test('a response that is not taken is cut', async () => {
    const { recorder, client } = await start({ timeouts: { stalledMs: 100 } });
    const c = client();
    c.socket.pause();
    recorder.answer = ({ exchange }) => {
      exchange.respond(200, [], true);
      exchange.write(Buffer.alloc(30_000_000));
    };
    c.send(GET('/'));
    await recorder.until(() => recorder.exchanges[0]?.aborted === 'client_timed_out');
  });

  test('a slow backend is not the client stalling', async () => {
    const { recorder, client } = await start({ timeouts: { stalledMs: 60 } });
    recorder.answer = () => {};
    const c = client().send(GET('/'));
    await recorder.until(() => recorder.exchanges.length === 1);
    await pause(300);
    echo(recorder.exchanges[0]!);
    await recorder.until(() => c.text.endsWith('GET / '));
  });
});

describe('drain()', () => {
  test('closes idle connections at once, busy ones after their exchange with Connection: close', async () => {
    const { recorder, client, door } = await start();
    const idle = client().send(GET('/idle'));
    await recorder.until(() => idle.text.endsWith('GET /idle '));
    recorder.answer = () => {};
    const busy = client().send(GET('/busy'));
    await recorder.until(() => recorder.exchanges.length === 2);
    door.drain();
    await recorder.until(() => idle.ended);
    expect(busy.ended).toBe(false);
    echo(recorder.exchanges[1]!);
    await recorder.until(() => busy.ended);
    expect(busy.text).toMatch(/connection: close\r\n[\s\S]*GET \/busy $/);
  });

  test('a response that had begun before is finished, then the connection closes', async () => {
    const { recorder, client, door } = await start();
    recorder.answer = ({ exchange }) => exchange.respond(200, ['content-length', '2'], true);
    const c = client().send(GET('/'));
    await recorder.until(() => c.statuses.length === 1);
    door.drain();
    recorder.exchanges[0]!.exchange.write(Buffer.from('ok'));
    recorder.exchanges[0]!.exchange.end(null);
    await recorder.until(() => c.ended);
    expect(c.text).toMatch(/ok$/);
  });

  test('a request whose head is half there is still answered', async () => {
    const { recorder, client, door } = await start();
    const c = client().send('GET /late HTTP/1.1\r\n');
    await pause(50);
    door.drain();
    c.send('Host: a\r\n\r\n');
    await recorder.until(() => c.ended);
    expect(c.text).toMatch(/connection: close\r\n[\s\S]*GET \/late $/);
  });
});

const doors: PlainDoor[] = [];
afterEach(async () => {
  for (const door of doors.splice(0)) await door.close();
});

async function start(options: PlainDoorOptions = {}): Promise<PlainDoor> {
  const door = await startPlainDoor(options);
  doors.push(door);
  return door;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function GET(target: string): string {
  return `GET ${target} HTTP/1.1\r\nHost: a\r\n\r\n`;
}

const WEBSOCKET =
  'GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n';
