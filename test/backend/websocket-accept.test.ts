import { websocketAccept, websocketRefusal } from '#src/backend/websocket-accept.ts';

const key = 'dGhlIHNhbXBsZSBub25jZQ==';
const request = ['sec-websocket-key', key];
const accept = 's3pPLMBiTxaQ9kYGzzhZRbK+xOo='; // RFC 6455 §1.3

test('`websocketAccept()` gives the value of RFC 6455 section 1.3', () => {
  expect(websocketAccept(key)).toBe(accept);
});

describe('`websocketRefusal()`', () => {
  test.each([
    [['upgrade', 'websocket', 'connection', 'upgrade', 'sec-websocket-accept', accept]],
    [['upgrade', 'WebSocket', 'connection', 'keep-alive, Upgrade', 'sec-websocket-accept', ` ${accept} `]],
    [['upgrade', 'websocket', 'connection', 'keep-alive', 'connection', 'upgrade', 'sec-websocket-accept', accept]],
  ])('accepts %j', (response) => {
    expect(websocketRefusal(request, response)).toBeNull();
  });

  test.each([
    [request, ['upgrade', 'h2c', 'connection', 'upgrade', 'sec-websocket-accept', accept], 'Upgrade'],
    [request, ['upgrade', 'websocket, h2c', 'connection', 'upgrade', 'sec-websocket-accept', accept], 'Upgrade'],
    [request, ['connection', 'upgrade', 'sec-websocket-accept', accept], 'Upgrade'],
    [request, ['upgrade', 'websocket', 'connection', 'close', 'sec-websocket-accept', accept], 'Connection'],
    [request, ['upgrade', 'websocket', 'connection', 'upgrade'], 'Sec-WebSocket-Accept'],
    [
      request,
      ['upgrade', 'websocket', 'connection', 'upgrade', 'sec-websocket-accept', accept.toLowerCase()],
      'Sec-WebSocket-Accept',
    ],
    [
      request,
      ['upgrade', 'websocket', 'connection', 'upgrade', 'sec-websocket-accept', accept, 'sec-websocket-accept', accept],
      'Sec-WebSocket-Accept',
    ],
    [[], ['upgrade', 'websocket', 'connection', 'upgrade', 'sec-websocket-accept', accept], 'Sec-WebSocket-Key'],
    [
      [...request, ...request],
      ['upgrade', 'websocket', 'connection', 'upgrade', 'sec-websocket-accept', accept],
      'Sec-WebSocket-Key',
    ],
  ])('refuses %j answered with %j', (sent, response, reason) => {
    expect(websocketRefusal(sent, response)).toContain(reason);
  });
});
