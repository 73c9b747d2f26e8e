import { client, type Proxy as RunningProxy } from './_proxy.ts';
import { type ClientOutcome, startClient, type Version } from './_sides.ts';

/** One request of a client that keeps every byte it gets: what follows a response must not go unseen. */
export interface Asked {
  /** So many bytes of the response body are here, or the exchange is over. */
  received(bytes: number): Promise<void>;
  readonly outcome: Promise<ClientOutcome & { readonly text: string }>;
}

export interface Asking {
  ask(method?: 'GET' | 'HEAD'): Asked;
  stop(): void;
}

export function asking(version: Version, { port }: RunningProxy): Asking {
  if (version === 'http2') {
    const session = startClient('http2', port);
    return {
      ask(method = 'GET') {
        const request = session.request({ method });
        return {
          received: (bytes) => Promise.race([request.received(bytes), request.outcome.then(() => {})]),
          outcome: request.outcome.then((seen) => ({ ...seen, text: seen.body })),
        };
      },
      stop: () => session.stop(),
    };
  }
  return { ask: (method) => askHttp1(port, `${method ?? 'GET'} /asked`), stop: () => {} };
}

/** `request`: method and target. */
export function askHttp1(port: number, request: string, fields = '', body = ''): Asked {
  const [method = ''] = request.split(' ');
  const connection = client(port);
  connection.send(`${request} HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n${fields}\r\n${body}`);
  const until = async (condition: (text: string) => boolean): Promise<void> =>
    connection.until((self) => self.closed || condition(self.text));
  return {
    received: (bytes) => until((text) => readHttp1(text, method).body.length >= bytes),
    outcome: until(() => false).then(() => ({ ...readHttp1(connection.text, method), text: connection.text })),
  };
}

/** As a strict client reads it (RFC 9112 section 6.3); bytes after the end make it incomplete too. */
function readHttp1(text: string, method: string): ClientOutcome {
  let rest = text;
  while (/^HTTP\/1\.1 1\d\d /.test(rest)) rest = rest.slice(rest.indexOf('\r\n\r\n') + 4);
  const end = rest.indexOf('\r\n\r\n');
  if (end === -1) return { status: 0, body: '', isComplete: false };
  const head = rest.slice(0, end).toLowerCase();
  const body = rest.slice(end + 4);
  const status = Number(/^http\/1\.1 (\d{3}) /.exec(head)?.[1] ?? 0);
  if (method === 'HEAD' || status === 204 || status === 304) return { status, body, isComplete: body === '' };
  if (head.includes('\r\ntransfer-encoding: chunked')) return { status, ...readChunks(body) };
  const length = /\r\ncontent-length: (\d+)/.exec(head)?.[1];
  return { status, body, isComplete: length === undefined || body.length === Number(length) };
}

function readChunks(text: string): { body: string; isComplete: boolean } {
  let body = '';
  for (let at = 0; ; ) {
    const lineEnd = text.indexOf('\r\n', at);
    const size = lineEnd === -1 ? Number.NaN : Number.parseInt(text.slice(at, lineEnd), 16);
    if (Number.isNaN(size)) return { body, isComplete: false };
    if (size === 0) return { body, isComplete: text.endsWith('\r\n\r\n') };
    body += text.slice(lineEnd + 2, lineEnd + 2 + size);
    at = lineEnd + 2 + size + 2;
  }
}
