import { setTimeout as sleep } from 'node:timers/promises';
import { ProxyError } from '#src/base/errors.ts';
import type { LinkedFault } from '#src/config/linked-url-map.ts';
import { drawFault, isHit } from '#src/forward/fault.ts';
import { MemoryService, type RequestShape, start } from './_memory.ts';

const always = { percentage: 100 } as const;
const never = { percentage: 0 } as const;

function began(fault: LinkedFault, shape: RequestShape = {}, random = () => 0.5) {
  return start(shape, new MemoryService(), { action: { fault }, random });
}

test.each([
  [0, 0, false],
  [0.999, 100, true],
  [0.0099, 1, true],
  [0.01, 1, false],
  [0.4999, 50, true],
  [0.5, 50, false],
])('a draw of %d with %d %% is a hit: %s', (drawn, percentage, hit) => {
  expect(isHit(percentage, () => drawn)).toBe(hit);
});

test('delay and abort are drawn apart', () => {
  const draws = [0.1, 0.9];
  const fault = { delay: { delayMs: 7, percentage: 50 }, abort: { httpStatus: 503, percentage: 50 } };
  expect(drawFault(fault, () => draws.shift()!)).toEqual({ delayMs: 7, abortStatus: 0 });
});

test.each([200, 418, 503, 599])('an abort answers %d, goes to no backend, and says so in the record', (httpStatus) => {
  const { exchange, service, records } = began({ delay: null, abort: { httpStatus, ...always } });
  expect(service.calls).toHaveLength(0);
  expect(exchange.status).toBe(httpStatus);
  exchange.handler.onFinish();
  expect(records.only).toMatchObject({
    status: httpStatus,
    statusDetails: 'fault_filter_abort',
    backendService: 'api',
    backend: null,
    attempts: 0,
    error: null,
  });
});

test.each([204, 304])('an abort with %d has no body and no length', (httpStatus) => {
  const { exchange } = began({ delay: null, abort: { httpStatus, ...always } });
  expect(exchange.events).toEqual([`respond ${httpStatus} no body`, 'end']);
  expect(exchange.header('content-length')).toBeNull();
});

test('the body of an aborted request is discarded', () => {
  const { exchange } = began({ delay: null, abort: { httpStatus: 503, ...always } }, { contentLength: 5 });
  expect(exchange.events).toEqual(['respond 503 body', 'end', 'discard']);
});

test('what is not hit is forwarded as ever', () => {
  const fault = { delay: { delayMs: 60_000, ...never }, abort: { httpStatus: 503, ...never } };
  const { exchange, service } = began(fault);
  service.call.connect().respond(200).handler.onEnd([]);
  expect(exchange.status).toBe(200);
});

test('a delay comes before the request is sent, and is no time of the backend', async () => {
  const { exchange, service, records } = began({ delay: { delayMs: 30, ...always }, abort: null });
  expect(service.calls).toHaveLength(0);
  while (service.calls.length === 0) await sleep(2);
  service.call.connect().respond(200).handler.onEnd([]);
  exchange.handler.onFinish();
  expect(records.only.status).toBe(200);
  expect(records.only.latencyMs).toBeGreaterThanOrEqual(29);
});

test('a delayed abort is delayed, then answered', async () => {
  const { exchange, service } = began({ delay: { delayMs: 10, ...always }, abort: { httpStatus: 500, ...always } });
  expect(exchange.responded).toBe(false);
  while (!exchange.responded) await sleep(2);
  expect([exchange.status, service.calls.length]).toEqual([500, 0]);
});

test('a defect that shows after the delay ends its exchange, not the process', async () => {
  const service = new MemoryService();
  service.pick = () => {
    throw new TypeError('secret');
  };
  const fault = { delay: { delayMs: 5, ...always }, abort: null };
  const { exchange, records } = start({}, service, { action: { fault } });
  while (!exchange.responded) await sleep(2);
  exchange.handler.onFinish();
  expect(records.only).toMatchObject({ status: 500, statusDetails: 'internal_error' });
});

test('a client that leaves during the delay is recorded, and nothing is sent afterwards', async () => {
  const { exchange, service, records } = began({ delay: { delayMs: 10, ...always }, abort: null });
  exchange.handler.onAbort(new ProxyError('client_disconnected_before_any_response'));
  expect(records.only).toMatchObject({ status: 499, attempts: 0 });
  await sleep(30);
  expect(service.calls).toHaveLength(0);
});
