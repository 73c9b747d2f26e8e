import { bareResponse, fieldLines, interimHead, responseHead, switchingHead } from '#src/http/http1-response-head.ts';

const DATE = 'Sun, 22 Nov 2026 07:00:00 GMT';

describe('responseHead()', () => {
  test('says how the message ends, and when it was made', () => {
    expect(responseHead(200, ['content-length', '2', 'x-a', '1'], 'head', false, DATE)).toBe(
      `HTTP/1.1 200 OK\r\ncontent-length: 2\r\nx-a: 1\r\nDate: ${DATE}\r\n\r\n`,
    );
    expect(responseHead(404, [], 'chunked', true, DATE)).toBe(
      `HTTP/1.1 404 Not Found\r\nconnection: close\r\nDate: ${DATE}\r\ntransfer-encoding: chunked\r\n\r\n`,
    );
    expect(responseHead(200, ['date', 'x'], 'until-close', true, DATE)).toBe(
      'HTTP/1.1 200 OK\r\ndate: x\r\nconnection: close\r\n\r\n',
    );
  });

  test('a status without a phrase keeps the space before it (RFC 9112 section 4)', () => {
    expect(responseHead(599, ['date', 'x'], 'head', false, DATE)).toBe('HTTP/1.1 599 \r\ndate: x\r\n\r\n');
  });

  test('fields that would frame the message otherwise, or speak for the connection, are not sent', () => {
    const fields = [
      'transfer-encoding',
      'gzip',
      'connection',
      'x-a',
      'keep-alive',
      '5',
      'content-length',
      'x',
      'date',
      'd',
    ];
    expect(responseHead(200, fields, 'chunked', false, DATE)).toBe(
      'HTTP/1.1 200 OK\r\ndate: d\r\ntransfer-encoding: chunked\r\n\r\n',
    );
    expect(responseHead(200, fields, 'until-close', true, DATE)).toBe(
      'HTTP/1.1 200 OK\r\ndate: d\r\nconnection: close\r\n\r\n',
    );
  });

  test.each([
    ['a line break in a value', 'x', 'a\r\nset-cookie: b', 'x: \r\n'],
    ['a bare CR in a value', 'x', 'a\rb', 'x: \r\n'],
    ['a NUL in a value', 'x', 'a\0', 'x: \r\n'],
    ['a character that is no byte', 'x', 'a\u010d\u010ab', 'x: \r\n'],
    ['a line break in a name', 'x\r\ny', '1', ''],
    ['a colon in a name', 'x:y', '1', ''],
    ['no name', '', '1', ''],
  ])('%s splits nothing (security rule 15)', (_what, name, value, line) => {
    expect(responseHead(200, [name, value, 'date', 'd'], 'head', false, DATE)).toBe(
      `HTTP/1.1 200 OK\r\n${line}date: d\r\n\r\n`,
    );
    expect(interimHead(103, [name, value])).toBe(`HTTP/1.1 103 Early Hints\r\n${line}\r\n`);
    expect(fieldLines([name, value])).toBe(line);
  });
});

test('switchingHead() adds Connection and Upgrade where they are missing', () => {
  const ours = 'HTTP/1.1 101 Switching Protocols\r\nx: 1\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n';
  expect(switchingHead(['x', '1'])).toBe(ours);
  expect(switchingHead(['connection', 'Upgrade', 'upgrade', 'websocket'])).toBe(
    'HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n',
  );
});

test('bareResponse() has the length that it says', () => {
  expect(bareResponse(400)).toBe(
    'HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\ncontent-length: 16\r\nconnection: close\r\n\r\n400 Bad Request\n',
  );
});
