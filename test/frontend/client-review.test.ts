import { connect as connectHttp2 } from 'node:http2';
import type { TLSSocket } from 'node:tls';
import type { Issued } from '#src/pki/issue/contract.ts';
import { issueCrl } from '#src/pki/issue/crl.ts';
import { issue } from '#src/pki/issue/issue.ts';
import { asking, type ClientMode, identity, startClientDoor, type Trust } from './_client-door.ts';
import { startTlsDoor, type TlsDoor, withTls } from './_tls-door.ts';

/*
 *   root ── client         other ── stranger
 * Security rule 21, spec 10.19: what a change of trust does to connections that are open.
 */
let root: Issued;
let other: Issued;
let client: Issued;
let stranger: Issued;
let door: TlsDoor;

beforeAll(async () => {
  root = await issue({ subject: 'CN=Client Root', ca: true });
  other = await issue({ subject: 'CN=Other Root', ca: true });
  client = await issue({ subject: 'CN=client', issuer: root, extendedKeyUsage: ['clientAuth'] });
  stranger = await issue({ subject: 'CN=stranger', issuer: other, extendedKeyUsage: ['clientAuth'] });
});
afterEach(() => door.close());

/** A reload: the next configuration asks so. */
function reload(mode: ClientMode, trust: Trust, timeoutMs = 5000): void {
  door.proxy = asking(door.proxy, mode, trust);
  door.listener.reviewClients(timeoutMs);
}

/** A connection that takes one request after another. */
class Http1Client {
  readonly socket: TLSSocket;
  text = '';
  isClosed = false;

  constructor(socket: TLSSocket) {
    this.socket = socket;
    socket.setEncoding('latin1');
    socket.on('data', (chunk: string) => {
      this.text += chunk;
    });
    socket.on('close', () => {
      this.isClosed = true;
    });
    socket.on('end', () => socket.end());
  }

  send(path: string): void {
    this.socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
  }

  answered(count: number): Promise<void> {
    return door.recorder.until(() => this.text.split('HTTP/1.1 200').length - 1 === count);
  }

  closed(): Promise<void> {
    return door.recorder.until(() => this.isClosed);
  }
}

test('an idle connection whose client is not trusted any more is closed; one that is trusted goes on', async () => {
  door = await startClientDoor('REJECT_INVALID', { anchors: [root, other] });
  const kept = new Http1Client(door.connect(identity(client)));
  const gone = new Http1Client(door.connect(identity(stranger)));
  kept.send('/1');
  gone.send('/1');
  await kept.answered(1);
  await gone.answered(1);
  reload('REJECT_INVALID', { anchors: [root] });
  await gone.closed();
  kept.send('/2');
  await kept.answered(2);
  expect(kept.isClosed).toBe(false);
  expect(door.recorder.handshakes).toHaveLength(2);
});

test('an exchange in flight ends with Connection: close, and what was pipelined behind it is not served', async () => {
  door = await startClientDoor('REJECT_INVALID', { anchors: [root, other] });
  door.recorder.answer = () => {};
  const gone = new Http1Client(door.connect(identity(stranger)));
  gone.send('/first');
  gone.send('/second');
  await door.recorder.until(() => door.recorder.exchanges.length === 1);
  reload('REJECT_INVALID', { anchors: [root] });
  door.recorder.exchanges[0]?.respond(200, 'done');
  await gone.closed();
  expect(gone.text).toContain('done');
  expect(gone.text.match(/HTTP\/1\.1/g)).toHaveLength(1);
  expect(door.recorder.exchanges).toHaveLength(1);
});

test('HTTP/2 gets GOAWAY and finishes its stream', async () => {
  door = await startClientDoor('REJECT_INVALID', { anchors: [root, other] });
  door.recorder.answer = () => {};
  const socket = door.connect({ ...identity(stranger), ALPNProtocols: ['h2'] });
  const session = connectHttp2('https://localhost', { createConnection: () => socket });
  session.on('error', () => {});
  const goaways: number[] = [];
  session.on('goaway', (code) => goaways.push(code));
  let status = 0;
  let isEnded = false;
  const stream = session.request({ ':path': '/long' });
  stream.on('response', (headers) => {
    status = headers[':status'] ?? 0;
  });
  stream.on('end', () => {
    isEnded = true;
  });
  stream.on('error', () => {});
  stream.resume();
  await door.recorder.until(() => door.recorder.exchanges.length === 1);
  reload('REJECT_INVALID', { anchors: [root] });
  await door.recorder.until(() => goaways.length > 0);
  expect(goaways).toEqual([0]);
  door.recorder.exchanges[0]?.respond(200, 'done');
  await door.recorder.until(() => isEnded && socket.destroyed);
  expect(status).toBe(200);
});

test('a connection that was never asked for a certificate ends when its proxy begins to ask, under another name too', async () => {
  door = await startTlsDoor();
  const before = new Http1Client(door.connect());
  before.send('/1');
  await before.answered(1);
  door.proxy = { ...door.proxy, name: 'another' };
  reload('ALLOW_INVALID_OR_MISSING_CLIENT_CERT', { anchors: [root] });
  await before.closed();
});

test('a handshake that a reload overtakes is judged by the new trust before any exchange', async () => {
  door = await startClientDoor('REJECT_INVALID', { anchors: [root, other] });
  const old = door.proxy;
  const wanted = asking(old, 'REJECT_INVALID', { anchors: [root] });
  const before = old.tls!.clientAuthentication!;
  door.proxy = withTls(old, {
    clientAuthentication: {
      ...before,
      judge(chain, atMs) {
        door.proxy = wanted; // the reload comes between its hello and its certificate
        return before.judge(chain, atMs);
      },
    },
  });
  const gone = new Http1Client(door.connect(identity(stranger)));
  gone.send('/1');
  await gone.closed();
  expect(door.recorder.handshakes).toHaveLength(1);
  expect(door.recorder.exchanges).toEqual([]);
  expect(gone.text).toBe('');
});

test('with ALLOW_… a client that was verified and is not any more ends; one that never was goes on', async () => {
  const mode = 'ALLOW_INVALID_OR_MISSING_CLIENT_CERT';
  door = await startClientDoor(mode, { anchors: [other] });
  const verified = new Http1Client(door.connect(identity(stranger)));
  const invalid = new Http1Client(door.connect(identity(client)));
  const without = new Http1Client(door.connect());
  for (const each of [verified, invalid, without]) {
    each.send('/1');
    await each.answered(1);
  }
  reload(mode, { anchors: [root] });
  await verified.closed();
  invalid.send('/2');
  without.send('/2');
  await invalid.answered(2);
  await without.answered(2);
  // what backends are told from now on is the new verdict
  const facts = door.recorder.handshakes.map(({ connection }) => connection.tls?.clientCertificate);
  expect(facts.map((each) => each?.verified)).toEqual([true, true, false]);
  expect(facts[2]?.error).toBe('client_cert_not_provided');
});

test('a new CRL ends the connections of the client that it revokes, and no other (security rule 22)', async () => {
  const revoked = await issue({
    subject: 'CN=revoked',
    issuer: root,
    extendedKeyUsage: ['clientAuth'],
    serialHex: '0badc0de',
  });
  door = await startClientDoor('REJECT_INVALID', { anchors: [root], crls: [issueCrl({ issuer: root, number: 1 })] });
  const gone = new Http1Client(door.connect(identity(revoked)));
  const kept = new Http1Client(door.connect(identity(client)));
  for (const each of [gone, kept]) {
    each.send('/1');
    await each.answered(1);
  }
  const crl = issueCrl({ issuer: root, number: 2, revoked: [{ serialHex: '0badc0de' }] });
  reload('REJECT_INVALID', { anchors: [root], crls: [crl] });
  await gone.closed();
  kept.send('/2');
  await kept.answered(2);
  const again = new Http1Client(door.connect(identity(revoked)));
  await again.closed();
  expect(door.recorder.handshakeFailures[0]).toMatchObject({ statusDetails: 'client_cert_validation_failed' });
  expect(door.recorder.handshakeFailures[0]?.detail).toContain('revo');
});

test('what still runs after the time limit is cut', async () => {
  door = await startClientDoor('REJECT_INVALID', { anchors: [root, other] });
  door.recorder.answer = () => {};
  const gone = new Http1Client(door.connect(identity(stranger)));
  gone.send('/for-ever');
  await door.recorder.until(() => door.recorder.exchanges.length === 1);
  reload('REJECT_INVALID', { anchors: [root] }, 50);
  await gone.closed();
  expect(door.recorder.exchanges[0]?.aborted).not.toBeNull();
});

test('a connection does not outlive its certificate', async () => {
  const brief = await issue({
    subject: 'CN=brief',
    issuer: root,
    extendedKeyUsage: ['clientAuth'],
    notAfter: new Date(Math.floor(Date.now() / 1000) * 1000 + 2000),
  });
  door = await startClientDoor('REJECT_INVALID', { anchors: [root] });
  const gone = new Http1Client(door.connect(identity(brief)));
  const kept = new Http1Client(door.connect(identity(client)));
  gone.send('/1');
  kept.send('/1');
  await gone.answered(1);
  await kept.answered(1);
  await gone.closed();
  expect(kept.isClosed).toBe(false);
});
