import { PassThrough } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { ProxyError } from '#src/base/errors.ts';
import { createForwarder } from '#src/forward/forwarder.ts';
import type { ExchangeRecord } from '#src/http/exchange-record.ts';
import { CONNECTION, MemoryExchange, MemoryService, mapTo, Records, start } from './_memory.ts';

/** The cells of the table in src/forward/exchange-forward.ts, state by state. Real sockets: end-to-end.test.ts. */

const clientLeft = (after: 'before_any_response' | 'after_partial_response') =>
  new ProxyError(`client_disconnected_${after}`);

describe('HEAD', () => {
  test('a head that the frontend refused is answered, and goes nowhere', () => {
    const rejection = new ProxyError('invalid_request_headers', { detail: 'two Hosts' });
    const { exchange, service, records } = start({ rejection, contentLength: 5 });
    expect(service.calls).toHaveLength(0);
    expect(exchange.events).toEqual(['respond 400 body', 'end', 'discard']);
    expect(exchange.body).toBe('400 Bad Request\n');
    exchange.handler.onFinish();
    expect(records.only).toMatchObject({
      status: 400,
      statusDetails: 'invalid_request_headers',
      proxyStatus: 'sallyport; error=http_request_error',
      error: rejection,
      backendService: null,
      backend: null,
      attempts: 0,
      backendLatencyMs: null,
    } satisfies Partial<ExchangeRecord>);
  });

  test('a path with dot segments is redirected before it is routed', () => {
    const { exchange, service, records } = start({ target: '/a/%2e%2e/b?c=/../' });
    expect(service.calls).toHaveLength(0);
    expect(exchange.status).toBe(302);
    expect(exchange.header('location')).toBe('https://example.com/b?c=/../');
    exchange.handler.onFinish();
    expect(records.only).toMatchObject({ status: 302, statusDetails: 'direct_response', error: null });
  });

  test('the scheme of a redirect comes from the socket', () => {
    const { exchange } = start({ target: '/..', connection: { ...CONNECTION, tls: null } });
    expect(exchange.header('location')).toBe('http://example.com/');
  });

  test.each([
    ['a backslash', { target: '/a\\b' }, 400, 'invalid_request_headers'],
    ['%00', { target: '/a%00b' }, 400, 'invalid_request_headers'],
    [
      'a bad escape on HTTP/2',
      { target: '/%zz', protocol: 'HTTP/2' as const },
      400,
      'invalid_http2_client_request_path',
    ],
    ['OPTIONS *', { target: '*', method: 'OPTIONS' }, 404, 'config_not_found'],
    ['a WebSocket without a key', { isWebSocket: true }, 400, 'upgrade_header_rejected'],
    [
      'a WebSocket with a short key',
      { isWebSocket: true, headers: ['sec-websocket-key', 'c2hvcnQ='] },
      400,
      'upgrade_header_rejected',
    ],
    [
      'a loop',
      { headers: ['via', Array.from({ length: 5 }, () => '1.1 sallyport').join(', ')] },
      502,
      'request_loop_detected',
    ],
  ])('%s is refused with its code', (_what, shape, status, code) => {
    const { exchange, service, records } = start(shape);
    expect(service.calls).toHaveLength(0);
    expect(exchange.status).toBe(status);
    exchange.handler.onFinish();
    expect(records.only).toMatchObject({ status, statusDetails: code });
  });

  test('a chain of four of this proxy is no loop', () => {
    const { service } = start({ headers: ['via', Array.from({ length: 4 }, () => '1.1 sallyport').join(', ')] });
    expect(service.calls).toHaveLength(1);
  });

  test('a client that leaves while it is refused is recorded with the status that it was sent', () => {
    const { exchange, records } = start({ target: '/%' });
    exchange.handler.onAbort(clientLeft('after_partial_response'));
    expect(records.only).toMatchObject({ status: 400, statusDetails: 'client_disconnected_after_partial_response' });
  });

  test('a WebSocket to an HTTP/2 backend is 502', () => {
    const headers = ['sec-websocket-key', 'dGhlIHNhbXBsZSBub25jZQ=='];
    const { exchange, service } = start({ isWebSocket: true, headers }, new MemoryService({ protocol: 'HTTP2' }));
    expect(service.calls).toHaveLength(0);
    expect(exchange.status).toBe(502);
  });

  test('the response to HEAD has the head of the error and no body', () => {
    const { exchange } = start({ method: 'HEAD', target: '/%' });
    expect(exchange.events).toEqual(['respond 400 no body', 'end']);
    expect(exchange.header('content-length')).toBe('16');
    expect(exchange.body).toBe('');
  });

  test('a defect is a 500, its detail in the record only', () => {
    const service = new MemoryService();
    service.pick = () => {
      throw new TypeError('secret');
    };
    const { exchange, records } = start({}, service);
    expect(exchange.status).toBe(500);
    expect(exchange.body).toBe('500 Internal Server Error\n');
    exchange.handler.onFinish();
    expect(records.only).toMatchObject({ statusDetails: 'internal_error', error: { detail: 'secret' } });
  });
});

describe('pick and WAITING', () => {
  test('no endpoint is 503', () => {
    const { exchange, records } = start({}, new MemoryService({ endpoints: 0 }));
    expect(exchange.status).toBe(503);
    exchange.handler.onFinish();
    expect(records.only).toMatchObject({
      statusDetails: 'failed_to_pick_backend',
      proxyStatus: 'sallyport; error=destination_unavailable',
      backendService: 'api',
      attempts: 0,
    });
  });

  test('what is sent is what was matched', () => {
    const { service } = start({
      method: 'PUT',
      target: '/a//b%2fc?d=../e',
      contentLength: 3,
      headers: ['x-a', '1', 'content-length', '3', 'connection', 'x-a'],
    });
    expect(service.call.request).toMatchObject({
      method: 'PUT',
      target: '/a//b%2fc?d=../e',
      scheme: 'http',
      authority: 'example.com',
      contentLength: 3,
      isWebSocket: false,
    });
    expect(service.call.request.headers.slice(0, 2)).toEqual(['x-forwarded-for', '192.0.2.7,203.0.113.1']);
  });

  test('a failed connect tries each endpoint once, and the last failure is the answer', () => {
    const { exchange, service, records } = start({}, new MemoryService({ endpoints: 3 }));
    service.call.fail('backend_connect_refused');
    service.call.fail('backend_connect_timeout');
    service.call.fail('backend_dns_failed');
    expect(service.calls.map((call) => call.endpoint.address)).toEqual(['10.0.0.1', '10.0.0.2', '10.0.0.3']);
    expect(exchange.status).toBe(502);
    expect(exchange.body).toBe('502 Bad Gateway\n');
    exchange.handler.onFinish();
    expect(records.only).toMatchObject({
      statusDetails: 'failed_to_connect_to_backend',
      proxyStatus: 'sallyport; error=dns_error',
      attempts: 3,
      backend: '10.0.0.3:80',
    });
  });

  test('an attempt that succeeds leaves no trace of the one that failed but the count', () => {
    const { exchange, service, records } = start({}, new MemoryService({ endpoints: 2 }));
    service.call.fail('ssl_certificate_chain_verification_failed');
    service.call.connect().respond(200).handler.onEnd([]);
    exchange.handler.onFinish();
    expect(records.only).toMatchObject({
      status: 200,
      statusDetails: 'response_sent_by_backend',
      error: null,
      proxyStatus: null,
      attempts: 2,
      backend: '10.0.0.2:80',
      backendTls: null,
    });
  });

  test('the affinity cookie of the endpoint that answered is added to what it sets itself', () => {
    const service = new MemoryService({ endpoints: 2 });
    service.affinityCookies = { setCookieFor: ({ address }, { scheme }) => `GCLB=${address}; ${scheme}` };
    const { exchange } = start({}, service);
    service.call.fail('backend_connect_refused');
    service.call.connect().respond(200, ['set-cookie', 'a=b']);
    expect(exchange.responseHeaders.filter((_, i, all) => all[i - 1] === 'set-cookie')).toEqual([
      'a=b',
      'GCLB=10.0.0.2; https',
    ]);
  });

  test('a client with the right cookie gets none', () => {
    const service = new MemoryService();
    service.affinityCookies = { setCookieFor: () => null };
    const { exchange } = start({}, service);
    service.call.connect().respond(200);
    expect(exchange.header('set-cookie')).toBeNull();
  });

  test('a refused certificate is in the record with its rule, depth and reason, and not in the answer', () => {
    const { exchange, service, records } = start();
    const verdict = {
      ok: false,
      rule: 'path-length',
      depth: 1,
      reason: 'pathLen 0 has a CA below it',
      subject: 'CN=x',
    };
    service.call.handler.onError(new ProxyError('ssl_certificate_chain_verification_failed', { cause: verdict }));
    expect(exchange.body).toBe('502 Bad Gateway\n');
    expect(exchange.responseHeaders.join()).not.toMatch(/path|proxy-status/i);
    exchange.handler.onFinish();
    expect(records.only).toMatchObject({
      statusDetails: 'ssl_certificate_chain_verification_failed',
      proxyStatus: 'sallyport; error=tls_certificate_error',
      backendTls: { verdict: 'refused', rule: 'path-length', depth: 1, reason: 'pathLen 0 has a CA below it' },
    });
  });

  test('a full wait queue is 503 at once, on no other endpoint', () => {
    const { exchange, service, records } = start({}, new MemoryService({ endpoints: 2 }));
    service.call.fail('backend_queue_full');
    expect(service.calls).toHaveLength(1);
    expect(exchange.status).toBe(503);
    exchange.handler.onFinish();
    expect(records.only.proxyStatus).toBe('sallyport; error=connection_limit_reached');
  });

  test('a failure inside send() is handled like any other', () => {
    const service = new MemoryService({ endpoints: 2 });
    service.duringSend = (call) => {
      if (service.calls.length === 1) call.fail('backend_connect_refused');
      else call.connect();
    };
    const { exchange } = start({}, service);
    service.call.respond(204).handler.onEnd([]);
    expect(exchange.events).toEqual(['respond 204 no body', 'end']);
  });

  test('a client that leaves inside send() cancels the call that it gets', () => {
    const service = new MemoryService();
    const exchange = new MemoryExchange({ contentLength: 1, expectsContinue: true });
    exchange.sendContinue = () => exchange.handler.onAbort(clientLeft('before_any_response'));
    service.duringSend = (call) => call.connect();
    createForwarder({ urlMap: mapTo(service), recorder: new Records() })(exchange);
    expect(service.call.events).toEqual(['abort client_disconnected_before_any_response']);
  });

  test('a body that is wanted inside send() is read after it', () => {
    const service = new MemoryService();
    service.duringSend = (call) => call.connect().handler.onBodyWanted();
    const { exchange } = start({ contentLength: 3 }, service);
    exchange.send('abc');
    expect(service.call.body).toBe('abc');
  });

  test('the client aborts: the call is cancelled, 499 in the log', () => {
    const { exchange, service, records } = start();
    exchange.handler.onAbort(clientLeft('before_any_response'));
    expect(service.call.events).toEqual(['abort client_disconnected_before_any_response']);
    expect(records.only).toMatchObject({
      status: 499,
      statusDetails: 'client_disconnected_before_any_response',
      proxyStatus: null,
    });
  });
});

describe('SENDING', () => {
  test('Expect: 100-continue is answered when there is a connection, and never forwarded', () => {
    const { exchange, service } = start({
      contentLength: 3,
      expectsContinue: true,
      headers: ['expect', '100-continue'],
    });
    expect(exchange.events).toEqual([]);
    service.call.connect();
    expect(exchange.events).toEqual(['100']);
    expect(service.call.request.headers).not.toContain('expect');
  });

  test('the body is read when the backend wants it, and pauses when it does not', () => {
    const { exchange, service } = start({ contentLength: 6 });
    service.call.connect();
    expect(exchange.events).toEqual([]);
    service.call.handler.onBodyWanted();
    service.call.takesMore = false;
    exchange.send('abc');
    service.call.handler.onBodyWanted();
    exchange.send('def');
    exchange.handler.onBodyEnd([]);
    expect(exchange.events).toEqual(['read', 'pause', 'resume', 'pause']);
    expect(service.call.body).toBe('abcdef');
    expect(service.call.events).toEqual(['end body']);
  });

  test('request trailers pass to HTTP/2 backends, without what frames', () => {
    const { exchange, service, records } = start({ contentLength: -1 }, new MemoryService({ protocol: 'HTTP2' }));
    service.call.connect().handler.onBodyWanted();
    exchange.handler.onBodyEnd(['digest', 'x', 'content-length', '5']);
    expect(service.call.events).toEqual(['end body digest x']);
    service.call.respond(200).handler.onEnd([]);
    exchange.handler.onFinish();
    expect(records.only.droppedTrailers).toBe(0);
  });

  test('request trailers are dropped and counted towards HTTP/1.1', () => {
    const { exchange, service, records } = start({ contentLength: -1 });
    service.call.connect().handler.onBodyWanted();
    exchange.handler.onBodyEnd(['digest', 'x', 'y', 'z']);
    expect(service.call.events).toEqual(['end body']);
    service.call.respond(200).handler.onEnd([]);
    exchange.handler.onFinish();
    expect(records.only.droppedTrailers).toBe(2);
  });

  test('interim responses pass, 16 of them', () => {
    const { exchange, service, records } = start();
    service.call.connect();
    for (let i = 0; i < 16; i++) service.call.handler.onInterim(103, ['link', '</a>', 'connection', 'x']);
    expect(exchange.events).toHaveLength(16);
    expect(exchange.events[0]).toBe('interim 103 link </a> via 1.1 sallyport');
    service.call.handler.onInterim(103, []);
    expect(service.call.events).toEqual(['abort backend_interim_response_not_supported']);
    expect(exchange.status).toBe(502);
    exchange.handler.onFinish();
    expect(records.only.statusDetails).toBe('backend_interim_response_not_supported');
  });

  test.each([100, 101])('an unasked %d is 502, as interim and as final response', (status) => {
    for (const say of ['onInterim', 'onResponse'] as const) {
      const { exchange, service } = start();
      service.call.connect().handler[say](status, []);
      expect(exchange.status).toBe(502);
      expect(service.call.events).toEqual(['abort backend_interim_response_not_supported']);
    }
  });

  test.each<[string, string[], number?]>([
    ['two lengths', ['content-length', '5', 'content-length', '6']],
    ['a length that is none', ['content-length', '5x']],
    ['a value that would split the response', ['x', 'a\r\nset-cookie: b']],
    ['a name that is no token', ['x y', 'a']],
    ['a status that is none', [], 600],
  ])('a response head with %s is 502 backend_response_corrupted', (_what, headers, status = 200) => {
    const { exchange, service, records } = start();
    service.call.connect().respond(status, headers);
    expect(exchange.status).toBe(502);
    expect(service.call.events).toEqual(['abort backend_response_corrupted']);
    exchange.handler.onFinish();
    expect(records.only.statusDetails).toBe('backend_response_corrupted');
  });

  describe('a reset', () => {
    const reset = 'backend_connection_closed_before_data_sent_to_client';

    test('is retried once on a reused connection for an idempotent method, elsewhere if possible', () => {
      const { exchange, service, records } = start({ method: 'PUT' }, new MemoryService({ endpoints: 2 }));
      service.call.connect({ reused: true }).fail(reset);
      expect(service.calls.map((call) => call.endpoint.address)).toEqual(['10.0.0.1', '10.0.0.2']);
      service.call.connect({ reused: true }).fail(reset);
      expect(service.calls).toHaveLength(2);
      expect(exchange.status).toBe(502);
      exchange.handler.onFinish();
      expect(records.only).toMatchObject({ statusDetails: reset, attempts: 2 });
    });

    test('is retried on the same endpoint when there is no other', () => {
      const { service } = start();
      service.call.connect({ reused: true }).fail(reset);
      expect(service.calls.map((call) => call.endpoint.address)).toEqual(['10.0.0.1', '10.0.0.1']);
    });

    test('is not retried on a fresh connection', () => {
      const { exchange, service } = start();
      service.call.connect({ reused: false }).fail(reset);
      expect(service.calls).toHaveLength(1);
      expect(exchange.status).toBe(502);
    });

    test('is not retried for POST once anything was sent', () => {
      const { service } = start({ method: 'POST' });
      service.call.connect({ reused: true }).fail(reset);
      expect(service.calls).toHaveLength(1);
    });

    test('is retried for POST when nothing was sent', () => {
      const { service } = start({ method: 'POST' });
      const call = service.call.connect({ reused: true });
      call.sent = false;
      call.fail(reset);
      expect(service.calls).toHaveLength(2);
    });

    test('is not retried when body bytes are gone', () => {
      const { exchange, service } = start({ method: 'PUT', contentLength: 6 });
      service.call.connect({ reused: true }).handler.onBodyWanted();
      exchange.send('abc');
      service.call.fail(reset);
      expect(service.calls).toHaveLength(1);
      expect(exchange.events).toEqual(['read', 'respond 502 body', 'end', 'pause', 'discard']);
    });

    test('is not retried after an interim response', () => {
      const { service } = start();
      service.call.connect({ reused: true }).handler.onInterim(103, []);
      service.call.fail(reset);
      expect(service.calls).toHaveLength(1);
    });

    test('between two attempts: body bytes that arrive are held for the second', () => {
      const { exchange, service } = start({ method: 'PUT', contentLength: 6 });
      service.call.connect({ reused: true }).handler.onBodyWanted();
      service.call.fail(reset);
      expect(exchange.events).toEqual(['read', 'pause']);
      exchange.send('abc');
      service.call.connect();
      service.call.handler.onBodyWanted();
      exchange.send('def');
      exchange.handler.onBodyEnd([]);
      expect(service.call.body).toBe('abcdef');
      expect(service.call.events).toEqual(['end body']);
    });
  });

  test('the client aborts: the call is cancelled', () => {
    const { exchange, service, records } = start({ contentLength: 5 });
    service.call.connect().handler.onBodyWanted();
    exchange.handler.onAbort(new ProxyError('invalid_chunk_framing'));
    expect(service.call.events).toEqual(['abort invalid_chunk_framing']);
    expect(records.only).toMatchObject({ status: 400, statusDetails: 'invalid_chunk_framing' });
  });

  test('a backend that ends without a response is 502', () => {
    const { exchange, service } = start();
    service.call.connect().handler.onEnd([]);
    expect(exchange.status).toBe(502);
  });

  test('the deadline: 504, the call is cancelled, the upload discarded', async () => {
    const { exchange, service, records } = start({ contentLength: 100 }, new MemoryService({ timeoutMs: 20 }));
    service.call.connect().handler.onBodyWanted();
    exchange.send('abc');
    while (!exchange.responded) await sleep(5);
    expect(exchange.status).toBe(504);
    expect(exchange.events.at(-1)).toBe('discard');
    expect(service.call.events).toEqual(['abort backend_timeout']);
    exchange.handler.onFinish();
    expect(records.only).toMatchObject({
      status: 504,
      statusDetails: 'backend_timeout',
      proxyStatus: 'sallyport; error=http_response_timeout',
    });
  });

  test('the deadline is absolute: interim responses and body bytes do not move it', async () => {
    const { exchange, service } = start({ contentLength: 1000 }, new MemoryService({ timeoutMs: 60 }));
    service.call.connect().handler.onBodyWanted();
    while (!exchange.responded) {
      if (exchange.events.length < 10) service.call.handler.onInterim(103, []);
      exchange.send('a');
      await sleep(5);
    }
    expect(exchange.status).toBe(504);
  });
});

describe('RELAYING', () => {
  test('head, body with back-pressure, trailers', () => {
    const { exchange, service, records } = start();
    service.call.connect().respond(200, ['content-type', 'a/b', 'connection', 'x', 'x', 'y']);
    expect(exchange.responseHeaders).toEqual(['content-type', 'a/b', 'via', '1.1 sallyport']);
    exchange.takesMore = false;
    service.call.data('abc');
    exchange.handler.onDrain();
    expect(service.call.events).toEqual(['pause', 'resume']);
    service.call.data('def').handler.onEnd(['grpc-status', '0', 'transfer-encoding', 'chunked']);
    expect(exchange.body).toBe('abcdef');
    expect(exchange.trailers).toEqual(['grpc-status', '0']);
    expect(records.all).toHaveLength(0);
    exchange.handler.onFinish();
    expect(records.only).toMatchObject({
      status: 200,
      statusDetails: 'response_sent_by_backend',
      responseBytes: 6,
      urlMap: 'map',
      backendService: 'api',
    });
    expect(records.only.backendLatencyMs).toBeLessThanOrEqual(records.only.latencyMs);
  });

  test.each([
    ['HEAD', 200, ['content-length', '5']],
    ['GET', 204, []],
    ['GET', 304, ['content-length', '5']],
  ])('%s with %d has no body, whatever its Content-Length says', (method, status, headers) => {
    const { exchange, service } = start({ method });
    service.call.connect().respond(status, headers).handler.onEnd([]);
    expect(exchange.events).toEqual([`respond ${status} no body`, 'end']);
  });

  test('body bytes after a head that has none are corruption', () => {
    const { exchange, service } = start({ method: 'HEAD' });
    service.call.connect().respond(200).data('smuggled');
    expect(exchange.events).toEqual(['respond 200 no body', 'abort backend_response_corrupted']);
    expect(exchange.body).toBe('');
  });

  test('more bytes than Content-Length are corruption', () => {
    const { exchange, service, records } = start();
    service.call.connect().respond(200, ['content-length', '3']).data('abcd');
    expect(exchange.events.at(-1)).toBe('abort backend_response_corrupted');
    expect(service.call.events).toEqual(['abort backend_response_corrupted']);
    expect(records.only).toMatchObject({ status: 200, statusDetails: 'backend_response_corrupted' });
  });

  test('an end before Content-Length aborts: the client must not take a part for the whole', () => {
    const { exchange, service, records } = start();
    service.call.connect().respond(200, ['content-length', '5']).data('abc').handler.onEnd([]);
    expect(exchange.events).toEqual([
      'respond 200 body',
      'abort backend_connection_closed_after_partial_response_sent',
    ]);
    expect(records.only).toMatchObject({
      status: 200,
      statusDetails: 'backend_connection_closed_after_partial_response_sent',
      proxyStatus: 'sallyport; error=http_response_incomplete',
    });
  });

  test('the backend fails: abort, never a second status, never a retry', () => {
    const { exchange, service, records } = start({}, new MemoryService({ endpoints: 2 }));
    service.call.connect({ reused: true }).respond(200).fail('backend_connection_closed_before_data_sent_to_client');
    expect(service.calls).toHaveLength(1);
    expect(exchange.events).toEqual([
      'respond 200 body',
      'abort backend_connection_closed_after_partial_response_sent',
    ]);
    expect(records.only.status).toBe(200);
  });

  test('the client aborts: the call is cancelled, the log keeps the status that was sent', () => {
    const { exchange, service, records } = start();
    service.call.connect().respond(200).data('abc');
    exchange.handler.onAbort(clientLeft('before_any_response'));
    expect(service.call.events).toEqual(['abort client_disconnected_after_partial_response']);
    expect(records.only).toMatchObject({
      status: 200,
      statusDetails: 'client_disconnected_after_partial_response',
    });
  });

  test('the deadline aborts both sides', async () => {
    const { exchange, service, records } = start({}, new MemoryService({ timeoutMs: 20 }));
    service.call.connect().respond(200).data('abc');
    await records.nth(1);
    expect(exchange.events).toEqual(['respond 200 body', 'abort backend_timeout']);
    expect(service.call.events).toEqual(['abort backend_timeout']);
    expect(records.only).toMatchObject({ status: 200, statusDetails: 'backend_timeout' });
  });

  test('an early 2xx passes and the upload goes on', () => {
    const { exchange, service, records } = start({ method: 'POST', contentLength: 6 });
    service.call.connect().handler.onBodyWanted();
    service.call.respond(200).data('early');
    exchange.send('abcdef');
    exchange.handler.onBodyEnd([]);
    service.call.handler.onEnd([]);
    expect(service.call.body).toBe('abcdef');
    expect(exchange.events).toEqual(['read', 'respond 200 body', 'end']);
    exchange.handler.onFinish();
    expect(records.only.statusDetails).toBe('response_sent_by_backend');
  });

  test('an early 2xx that ends before the upload leaves the rest to be discarded', () => {
    const { exchange, service } = start({ method: 'POST', contentLength: 6 });
    service.call.connect().handler.onBodyWanted();
    service.call.respond(200).handler.onEnd([]);
    expect(exchange.events).toEqual(['read', 'respond 200 body', 'end', 'pause', 'discard']);
  });

  test('an early error passes, the upload stops, the rest is discarded', () => {
    const { exchange, service, records } = start({ method: 'POST', contentLength: 6 });
    service.call.connect().handler.onBodyWanted();
    exchange.send('abc');
    service.call.respond(413).data('too much');
    exchange.send('def');
    service.call.handler.onEnd([]);
    expect(service.call.body).toBe('abc');
    expect(exchange.body).toBe('too much');
    expect(exchange.events).toEqual(['read', 'pause', 'respond 413 body', 'end', 'pause', 'discard']);
    exchange.handler.onFinish();
    expect(records.only).toMatchObject({
      status: 413,
      statusDetails: 'aborted_request_due_to_backend_early_response',
      error: null,
    });
  });
});

describe('FINISHING', () => {
  test('the client leaves before it has taken the response', () => {
    const { exchange, service, records } = start();
    service.call.connect().respond(200).handler.onEnd([]);
    exchange.handler.onAbort(clientLeft('after_partial_response'));
    expect(service.call.events).toEqual([]);
    expect(records.only.statusDetails).toBe('client_disconnected_after_partial_response');
  });

  test('a client that does not take the response is cut off at the deadline', async () => {
    const { exchange, service, records } = start({}, new MemoryService({ timeoutMs: 20 }));
    service.call.connect().respond(200).handler.onEnd([]);
    await records.nth(1);
    expect(exchange.events.at(-1)).toBe('abort client_timed_out');
    expect(records.only).toMatchObject({ status: 200, statusDetails: 'client_timed_out' });
  });

  test('body bytes that still come are dropped', () => {
    const { exchange, service } = start({ method: 'POST', contentLength: 6 });
    service.call.connect().handler.onBodyWanted();
    service.call.fail('backend_connection_closed_before_data_sent_to_client');
    exchange.send('abcdef');
    exchange.handler.onBodyEnd([]);
    expect(service.call.body).toBe('');
  });
});

describe('TUNNEL', () => {
  const webSocket = { isWebSocket: true, headers: ['sec-websocket-key', 'dGhlIHNhbXBsZSBub25jZQ=='] };

  test('bytes both ways, counted, closed in order', async () => {
    const { exchange, service, records } = start(webSocket);
    const backend = new PassThrough();
    service.call.connect().handler.onUpgrade(101, ['upgrade', 'websocket', 'sec-websocket-protocol', 'chat'], backend);
    expect(exchange.events).toEqual(['switch']);
    expect(exchange.responseHeaders).toEqual(['sec-websocket-protocol', 'chat', 'via', '1.1 sallyport']);
    exchange.client.end();
    backend.end();
    const record = await records.nth(1);
    expect(record).toMatchObject({ status: 101, statusDetails: 'websocket_closed', error: null });
  });

  test('an answer other than 101 passes and is named for what it is', () => {
    const { exchange, service, records } = start(webSocket);
    service.call.connect().respond(403).handler.onEnd([]);
    exchange.handler.onFinish();
    expect(records.only).toMatchObject({ status: 403, statusDetails: 'websocket_handshake_failed', error: null });
  });

  test('a 101 with a field that must not be sent is 502 and its socket is closed', () => {
    const { exchange, service } = start(webSocket);
    const backend = new PassThrough();
    service.call.connect().handler.onUpgrade(101, ['x', 'a\nb'], backend);
    expect(exchange.status).toBe(502);
    expect(backend.destroyed).toBe(true);
  });

  test('a 101 that comes after the exchange is over is closed, not tunnelled', async () => {
    const { exchange, service } = start(webSocket, new MemoryService({ timeoutMs: 10 }));
    service.call.connect();
    while (!exchange.responded) await sleep(5);
    const backend = new PassThrough();
    service.call.handler.onUpgrade(101, [], backend);
    expect(backend.destroyed).toBe(true);
    expect(exchange.events).toEqual(['respond 504 body', 'end']);
  });

  test('silence for timeoutSec closes both sides', async () => {
    const { exchange, service, records } = start(webSocket, new MemoryService({ timeoutMs: 20 }));
    const backend = new PassThrough();
    service.call.connect().handler.onUpgrade(101, [], backend);
    const record = await records.nth(1);
    expect(record).toMatchObject({ status: 101, statusDetails: 'backend_timeout' });
    expect(exchange.client.destroyed && backend.destroyed).toBe(true);
  });

  test('the client breaks off: the backend socket is closed', async () => {
    const { exchange, service, records } = start(webSocket);
    const backend = new PassThrough();
    service.call.connect().handler.onUpgrade(101, [], backend);
    exchange.client.destroy();
    const record = await records.nth(1);
    expect(record).toMatchObject({ status: 101, statusDetails: 'client_disconnected_after_partial_response' });
    expect(backend.destroyed).toBe(true);
  });
});

describe('in every state', () => {
  test('one record, however often the end is told', () => {
    const { exchange, service, records } = start();
    service.call.connect().respond(200).handler.onEnd([]);
    exchange.handler.onFinish();
    exchange.handler.onFinish();
    exchange.handler.onAbort(clientLeft('after_partial_response'));
    expect(records.only.statusDetails).toBe('response_sent_by_backend');
  });

  test('the trace id of the request is in the record, unless it is not well-formed', () => {
    const id = '4bf92f3577b34da6a3ce929d0e0e4736';
    for (const [value, expected] of [
      [`${id}/1;o=1`, id],
      ['</script>', null],
    ] as const) {
      const { exchange, service, records } = start({ headers: ['x-cloud-trace-context', value] });
      service.call.connect().respond(200).handler.onEnd([]);
      exchange.handler.onFinish();
      expect(records.only.trace).toBe(expected);
      expect(service.call.request.headers).toContain(value);
    }
  });
});
