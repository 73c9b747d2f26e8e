import { sessionIdentity } from '#src/tls/session-identity.ts';
import { effectivePolicy } from '#src/tls/ssl-policy.ts';
import { EngineTickets, type TicketGeneration, TicketKeys } from '#src/tls/ticket-keys.ts';

const ROTATION_SEC = 1000;
const ROTATION_MS = ROTATION_SEC * 1000;
const START = 5_000 * ROTATION_MS; // the first moment of an epoch
const OLD = Buffer.alloc(32, 1);
const NEW = Buffer.alloc(40, 2);
const policy = effectivePolicy(null, START);
const identity = sessionIdentity('web', policy, 'sslCertificates/site');

describe('`EngineTickets`', () => {
  test('gives every instance with the same secret the same keys, without a word between them', () => {
    const mine = ticketsWith(OLD).generationFor(null, START);
    const theirs = ticketsWith(OLD).generationFor(null, START + ROTATION_MS - 1);
    expect(mine.ticketKeys).toHaveLength(48);
    expect(theirs.ticketKeys).toEqual(mine.ticketKeys);
  });

  test('gives other keys to another secret, epoch, engine and rotation period', () => {
    const other = sessionIdentity('web', policy, 'sslCertificates/other');
    const keys = [
      ticketsWith(OLD).generationFor(null, START),
      ticketsWith(NEW).generationFor(null, START),
      ticketsWith(OLD).generationFor(null, START + ROTATION_MS),
      new EngineTickets(shared([OLD]), other).generationFor(null, START),
      new EngineTickets(shared([OLD], ROTATION_SEC * 5), identity).generationFor(null, START),
    ];
    expect(new Set(keys.map(({ ticketKeys }) => ticketKeys.toString('hex'))).size).toBe(5);
    expect(new Set(keys.map(({ id }) => id)).size).toBe(5);
  });

  test('accepts a ticket of the last moment of an epoch for a whole further period, and no longer', () => {
    const tickets = ticketsWith(OLD);
    const issued = tickets.generationFor(null, START + ROTATION_MS - 1);
    const accepts = (nowMs: number) => tickets.generationFor(keyNameOf(issued), nowMs).id === issued.id;
    expect(accepts(START + ROTATION_MS)).toBe(true);
    expect(accepts(START + 2 * ROTATION_MS - 1)).toBe(true);
    expect(issued.validUntilMs).toBe(START + 2 * ROTATION_MS);
    expect(accepts(START + 2 * ROTATION_MS)).toBe(false);
  });

  test('accepts a ticket of an instance whose clock runs ahead into the next epoch', () => {
    const ahead = ticketsWith(OLD).generationFor(null, START + ROTATION_MS);
    const tickets = ticketsWith(OLD);
    expect(tickets.generationFor(keyNameOf(ahead), START).id).toBe(ahead.id);
    expect(tickets.generationFor(null, START).id).not.toBe(ahead.id);
  });

  test('issues under the newest secret and accepts the older ones of the list', () => {
    const keys = shared([OLD]);
    const tickets = new EngineTickets(keys, identity);
    const before = tickets.generationFor(null, START);
    keys.use({ secrets: [NEW, OLD], rotationSec: ROTATION_SEC, dangerTls12: false });
    const after = tickets.generationFor(null, START);
    expect(after.id).not.toBe(before.id);
    expect(tickets.generationFor(keyNameOf(before), START).id).toBe(before.id);
    keys.use({ secrets: [NEW], rotationSec: ROTATION_SEC, dangerTls12: false });
    expect(tickets.generationFor(keyNameOf(before), START).id).toBe(after.id);
  });

  test('answers a foreign key name with the current keys', () => {
    const tickets = ticketsWith(OLD);
    const current = tickets.generationFor(null, START);
    expect(tickets.generationFor(Buffer.alloc(16, 9), START)).toBe(current);
  });

  test('ends sessions after half a period, an hour at most', () => {
    expect(ticketsWith(OLD).generationFor(null, START).timeoutSec).toBe(500);
    const daily = new EngineTickets(shared([OLD], 86_400), identity);
    expect(daily.generationFor(null, START).timeoutSec).toBe(3600);
  });
});

describe('`TicketKeys`', () => {
  test('refuses a short secret without showing it', () => {
    expect(() => new TicketKeys(Buffer.from('secret'))).toThrow(/6 bytes, expected at least 32/);
    expect(() => shared([Buffer.from('secret')])).toThrow(/6 bytes, expected at least 32/);
  });

  test('lets TLS 1.2 have tickets under the own secret of a process, not under a shared one', () => {
    const own = new TicketKeys(OLD);
    expect([own.issuesFor('TLSv1.2'), own.issuesFor('TLSv1.3')]).toEqual([true, true]);
    const keys = shared([NEW]);
    expect([
      keys.issuesFor('TLSv1'),
      keys.issuesFor('TLSv1.2'),
      keys.issuesFor(null),
      keys.issuesFor('TLSv1.3'),
    ]).toEqual([false, false, false, true]);
    keys.use({ secrets: [NEW], rotationSec: ROTATION_SEC, dangerTls12: true });
    expect(keys.issuesFor('TLSv1.2')).toBe(true);
  });
});

function shared(secrets: readonly Uint8Array[], rotationSec = ROTATION_SEC): TicketKeys {
  const keys = new TicketKeys(Buffer.alloc(32, 7));
  keys.use({ secrets, rotationSec, dangerTls12: false });
  return keys;
}

function ticketsWith(secret: Uint8Array): EngineTickets {
  return new EngineTickets(shared([secret]), identity);
}

function keyNameOf(generation: TicketGeneration): Buffer {
  return generation.ticketKeys.subarray(0, 16);
}
