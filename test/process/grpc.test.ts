// gRPC end to end: @grpc/grpc-js as client and as server, a whole proxy between them, backends over HTTP2 and H2C.
import { readFile } from 'node:fs/promises';
import {
  Client,
  type ClientDuplexStream,
  type ClientReadableStream,
  credentials,
  type handleBidiStreamingCall,
  type handleClientStreamingCall,
  type handleServerStreamingCall,
  type handleUnaryCall,
  Metadata,
  type MethodDefinition,
  Server,
  ServerCredentials,
  type ServiceError,
  status,
} from '@grpc/grpc-js';
import { freePort } from '../harness/free-port.ts';
import { chainPem, type TestPki, testPki } from '../harness/pki.ts';
import { type Scenario, type ScenarioService, startScenario } from '../harness/scenario.ts';
import { until } from '../harness/until.ts';

let pki: TestPki;
let scenario: Scenario;
const servers: Server[] = [];
const clients: Client[] = [];

beforeAll(async () => {
  pki = await testPki();
  const secure = ServerCredentials.createSsl(null, [
    { cert_chain: Buffer.from(chainPem(pki.server, pki.issuing)), private_key: Buffer.from(pki.server.privateKeyPem) },
  ]);
  const services: ScenarioService[] = [
    {
      name: 'secure',
      protocol: 'HTTP2',
      ports: [await serve(secure)],
      trust: { anchors: [pki.root] },
      sni: 'backend.example',
    },
    { name: 'plain', protocol: 'H2C', ports: [await serve(ServerCredentials.createInsecure())] },
    { name: 'down', protocol: 'H2C', ports: [await freePort()] },
    { name: 'slow', protocol: 'H2C', ports: [await serve(ServerCredentials.createInsecure())], timeoutSec: 1 },
  ];
  scenario = await startScenario({ services });
});

afterAll(async () => {
  for (const client of clients) client.close();
  await scenario?.stop();
  for (const server of servers) server.forceShutdown();
});

describe.each(['secure', 'plain'])('backend %s', (service) => {
  test('unary: the message, and metadata of text and bytes both ways', async () => {
    const metadata = new Metadata();
    metadata.set('x-text', 'a text');
    metadata.set('x-bytes-bin', Buffer.from([0, 255, 10, 13]));
    const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
    const { initial, trailing } = {
      initial: Promise.withResolvers<Metadata>(),
      trailing: Promise.withResolvers<Metadata>(),
    };
    const call = (await clientOf(service)).makeUnaryRequest(
      path('Unary'),
      same,
      same,
      Buffer.from('hello'),
      metadata,
      settle(resolve, reject),
    );
    call.on('metadata', initial.resolve);
    call.on('status', (outcome: { metadata: Metadata }) => trailing.resolve(outcome.metadata));
    expect((await promise).toString()).toBe('hello');
    expect((await initial.promise).get('x-text')).toEqual(['a text']);
    expect((await trailing.promise).get('x-bytes-bin')).toEqual([Buffer.from([0, 255, 10, 13])]);
  });

  test('client streaming, server streaming and both, one message after another', async () => {
    const client = await clientOf(service);
    const sum = Promise.withResolvers<Buffer>();
    const upload = client.makeClientStreamRequest(path('Count'), same, same, settle(sum.resolve, sum.reject));
    for (const word of ['one', 'two', 'three']) upload.write(Buffer.from(word));
    upload.end();
    expect((await sum.promise).toString()).toBe('3');

    const download = client.makeServerStreamRequest(path('Repeat'), same, same, Buffer.from('5'));
    expect(await messagesOf(download)).toEqual(['0', '1', '2', '3', '4']);

    // The answer to each message comes before the next is sent: nothing on the way waits for more.
    const both = client.makeBidiStreamRequest(path('Echo'), same, same);
    for (const word of ['a', 'b', 'c']) {
      both.write(Buffer.from(word));
      expect(await nextMessage(both)).toBe(word);
    }
    both.end();
    expect(await messagesOf(both)).toEqual([]);
  });

  test('an error instead of an answer (trailers only) and one after messages keep code, text and metadata', async () => {
    const client = await clientOf(service);
    const early = await unary(client, 'Refuse').catch((error: ServiceError) => error);
    expect(early).toMatchObject({ code: status.NOT_FOUND, details: 'no such thing' });
    expect((early as ServiceError).metadata.get('x-why')).toEqual(['because']);

    const stream = client.makeServerStreamRequest(path('Break'), same, same, Buffer.alloc(0));
    const received: string[] = [];
    stream.on('data', (message: Buffer) => received.push(message.toString()));
    const late = await new Promise<ServiceError>((resolve) => stream.once('error', resolve as (error: Error) => void));
    expect(received).toEqual(['first']);
    expect(late).toMatchObject({ code: status.DATA_LOSS, details: 'in the middle' });
  });

  test('a deadline reaches the backend, and ends the call there; the log says that the client left', async () => {
    const client = await clientOf(service);
    const before = hung.length;
    const error = await unary(client, 'Hang', { deadline: Date.now() + 300 }).catch((thrown: ServiceError) => thrown);
    expect(error).toMatchObject({ code: status.DEADLINE_EXCEEDED });
    await until(() => hung.length > before);
    const call = hung.at(-1)!;
    expect(call.deadlineMs).toBeLessThan(Date.now() + 1000);
    await call.cancelled;
    const line = await scenario.proxy.waitForLog(
      ({ backendService, statusDetails }) =>
        backendService === service && statusDetails === 'client_disconnected_before_any_response',
    );
    expect(line).toMatchObject({ httpRequest: { requestMethod: 'POST', protocol: 'HTTP/2', status: 499 } });
  });

  test('cancellation by the client reaches the backend', async () => {
    const client = await clientOf(service);
    const before = hung.length;
    const call = client.makeServerStreamRequest(path('Hang'), same, same, Buffer.alloc(0));
    const failed = new Promise<ServiceError>((resolve) => call.once('error', resolve as (error: Error) => void));
    await until(() => hung.length > before);
    call.cancel();
    expect((await failed).code).toBe(status.CANCELLED);
    await hung.at(-1)!.cancelled;
  });

  test('a call that the backend resets fails at the client, and no other does', async () => {
    const client = await clientOf(service);
    const both = client.makeBidiStreamRequest(path('Echo'), same, same);
    both.write(Buffer.from('before'));
    expect(await nextMessage(both)).toBe('before');
    const reset = client.makeServerStreamRequest(path('Reset'), same, same, Buffer.alloc(0));
    reset.on('data', () => {});
    const error = await new Promise<ServiceError>((resolve) => reset.once('error', resolve as (error: Error) => void));
    expect([status.INTERNAL, status.UNKNOWN, status.CANCELLED, status.UNAVAILABLE]).toContain(error.code);
    both.write(Buffer.from('after'));
    expect(await nextMessage(both)).toBe('after');
    both.end();
    expect(await messagesOf(both)).toEqual([]);
  });

  test('messages of 8 MiB, and a reader that stops holds the backend back', async () => {
    const client = await clientOf(service);
    const large = Buffer.alloc(8 * 1024 * 1024, 'sallyport');
    expect((await unary(client, 'Unary', {}, large)).equals(large)).toBe(true);

    const flood = client.makeServerStreamRequest(path('Flood'), same, same, Buffer.alloc(0));
    flood.pause();
    await until(() => floods.at(-1)?.isHeldBack === true);
    let bytes = 0;
    flood.on('data', (message: Buffer) => {
      bytes += message.length;
    });
    flood.resume();
    await new Promise((resolve) => flood.once('end', resolve));
    expect(bytes).toBe(FLOOD_MESSAGES * FLOOD_BYTES);
  });

  test('three hundred calls at once on one connection', async () => {
    const client = await clientOf(service);
    const answers = await Promise.all(
      Array.from({ length: 300 }, async (_, index) =>
        (await unary(client, 'Unary', {}, Buffer.from(`${index}`))).toString(),
      ),
    );
    expect(answers).toEqual(Array.from({ length: 300 }, (_, index) => `${index}`));
  });
});

describe('what the proxy refuses itself is a gRPC status', () => {
  test('a backend that is down is UNAVAILABLE; the log keeps the status and the reason', async () => {
    const error = await unary(await clientOf('down'), 'Down').catch((thrown: ServiceError) => thrown);
    expect(error).toMatchObject({ code: status.UNAVAILABLE, details: '502 Bad Gateway' });
    expect(await scenario.requestLine(path('Down'))).toMatchObject({
      httpRequest: { status: 502 },
      statusDetails: 'failed_to_connect_to_backend',
      backendService: 'down',
    });
  });

  test('a backend that does not answer within timeoutSec is UNAVAILABLE', async () => {
    const error = await unary(await clientOf('slow'), 'Hang').catch((thrown: ServiceError) => thrown);
    expect(error).toMatchObject({ code: status.UNAVAILABLE, details: '504 Gateway Timeout' });
  });
});

test('a drain lets calls finish: the connection gets GOAWAY, and no call fails', async () => {
  const service: ScenarioService = {
    name: 'one',
    protocol: 'H2C',
    ports: [await serve(ServerCredentials.createInsecure())],
  };
  const draining = await startScenario({ services: [service], sallyport: { drain: { delaySec: 0, timeoutSec: 20 } } });
  try {
    const client = await clientOf('one', draining);
    const both = client.makeBidiStreamRequest(path('Echo'), same, same);
    both.write(Buffer.from('before'));
    expect(await nextMessage(both)).toBe('before');
    const ended = draining.proxy.stop('SIGTERM', 30_000);
    await draining.proxy.waitForLog((line) => line.msg === 'draining');
    both.write(Buffer.from('while it drains'));
    expect(await nextMessage(both)).toBe('while it drains');
    both.end();
    expect(await messagesOf(both)).toEqual([]);
    expect(await ended).toEqual({ code: 0, signal: null });
  } finally {
    await draining.stop();
  }
});

// the server

interface HungCall {
  readonly deadlineMs: number;
  readonly cancelled: Promise<void>;
}

const hung: HungCall[] = [];
const floods: { isHeldBack: boolean }[] = [];
const FLOOD_MESSAGES = 64;
const FLOOD_BYTES = 1024 * 1024; // together far more than all windows and buffers on the way hold

type Definition = MethodDefinition<Buffer, Buffer>;

function path(method: string): string {
  return `/test.Everything/${method}`;
}

function same(bytes: Buffer): Buffer {
  return bytes;
}

function method(name: string, requestStream: boolean, responseStream: boolean): Definition {
  return {
    path: path(name),
    requestStream,
    responseStream,
    requestSerialize: same,
    requestDeserialize: same,
    responseSerialize: same,
    responseDeserialize: same,
  };
}

const unaryEcho: handleUnaryCall<Buffer, Buffer> = (call, callback) => {
  const initial = new Metadata();
  for (const value of call.metadata.get('x-text')) initial.add('x-text', value);
  call.sendMetadata(initial);
  const trailing = new Metadata();
  for (const value of call.metadata.get('x-bytes-bin')) trailing.add('x-bytes-bin', value);
  callback(null, call.request, trailing);
};

const count: handleClientStreamingCall<Buffer, Buffer> = (call, callback) => {
  let messages = 0;
  call.on('data', () => messages++);
  call.on('end', () => callback(null, Buffer.from(String(messages))));
};

const repeat: handleServerStreamingCall<Buffer, Buffer> = (call) => {
  for (let i = 0; i < Number(call.request.toString()); i++) call.write(Buffer.from(String(i)));
  call.end();
};

const echo: handleBidiStreamingCall<Buffer, Buffer> = (call) => {
  call.on('data', (message: Buffer) => call.write(message));
  call.on('end', () => call.end());
  call.on('error', () => {});
};

const refuse: handleUnaryCall<Buffer, Buffer> = (_call, callback) => {
  const metadata = new Metadata();
  metadata.set('x-why', 'because');
  callback({ code: status.NOT_FOUND, details: 'no such thing', metadata });
};

const breakOff: handleServerStreamingCall<Buffer, Buffer> = (call) => {
  call.write(Buffer.from('first'));
  call.emit('error', { code: status.DATA_LOSS, details: 'in the middle' });
};

const hang: handleServerStreamingCall<Buffer, Buffer> = (call) => {
  const cancelled = new Promise<void>((resolve) => call.on('cancelled', () => resolve()));
  const deadline = call.getDeadline();
  hung.push({ deadlineMs: deadline instanceof Date ? deadline.getTime() : deadline, cancelled });
};

const reset: handleServerStreamingCall<Buffer, Buffer> = (call) => {
  call.sendMetadata(new Metadata());
  const { stream } = (call as unknown as { call: { stream: { close(code: number): void } } }).call;
  setImmediate(() => stream.close(2)); // INTERNAL_ERROR
};

const flood: handleServerStreamingCall<Buffer, Buffer> = async (call) => {
  const state = { isHeldBack: false };
  floods.push(state);
  for (let i = 0; i < FLOOD_MESSAGES; i++) {
    if (call.write(Buffer.alloc(FLOOD_BYTES))) continue;
    state.isHeldBack = true;
    await new Promise((resolve) => call.once('drain', resolve));
  }
  call.end();
};

async function serve(serverCredentials: ServerCredentials): Promise<number> {
  const server = new Server({ 'grpc.max_receive_message_length': -1, 'grpc.max_send_message_length': -1 });
  server.addService(
    {
      unary: method('Unary', false, false),
      count: method('Count', true, false),
      repeat: method('Repeat', false, true),
      echo: method('Echo', true, true),
      refuse: method('Refuse', false, false),
      break: method('Break', false, true),
      hang: method('Hang', false, true),
      reset: method('Reset', false, true),
      flood: method('Flood', false, true),
    },
    { unary: unaryEcho, count, repeat, echo, refuse, break: breakOff, hang, reset, flood },
  );
  servers.push(server);
  return await new Promise((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', serverCredentials, (error, port) =>
      error === null ? resolve(port) : reject(error),
    ),
  );
}

// the client

async function clientOf(service: string, { rootFile, port }: Scenario = scenario): Promise<Client> {
  const client = new Client(`127.0.0.1:${port}`, credentials.createSsl(await readFile(rootFile)), {
    'grpc.ssl_target_name_override': `${service}.proxy.test`,
    'grpc.default_authority': `${service}.proxy.test`,
    'grpc.max_receive_message_length': -1,
    'grpc.enable_retries': 0,
  });
  clients.push(client);
  return client;
}

function unary(
  client: Client,
  name: string,
  options: { readonly deadline?: number } = {},
  message: Buffer = Buffer.from('hello'),
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(path(name), same, same, message, new Metadata(), options, settle(resolve, reject));
  });
}

function settle(resolve: (answer: Buffer) => void, reject: (error: ServiceError) => void) {
  return (error: ServiceError | null, answer?: Buffer) => {
    if (error === null) resolve(answer!);
    else reject(error);
  };
}

async function nextMessage(call: ClientDuplexStream<Buffer, Buffer>): Promise<string> {
  return await new Promise((resolve, reject) => {
    call.once('data', (message: Buffer) => {
      call.pause();
      resolve(message.toString());
    });
    call.once('error', reject);
    call.resume();
  });
}

/** To its end; rejects when it fails. */
async function messagesOf(call: ClientReadableStream<Buffer> | ClientDuplexStream<Buffer, Buffer>): Promise<string[]> {
  const messages: string[] = [];
  call.on('data', (message: Buffer) => messages.push(message.toString()));
  call.resume();
  await new Promise<void>((resolve, reject) => {
    call.once('end', () => resolve());
    call.once('error', reject);
  });
  return messages;
}
