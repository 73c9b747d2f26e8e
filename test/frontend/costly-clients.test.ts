import { CostlyClients } from '#src/frontend/costly-clients.ts';
import { issue } from '#src/pki/issue/issue.ts';

let ordinary: Uint8Array;
let odd: Uint8Array;
beforeAll(async () => {
  ordinary = (await issue({ subject: 'CN=ordinary' })).der;
  odd = (await issue({ subject: 'CN=odd', keyType: 'p521' })).der;
});

describe('CostlyClients', () => {
  test('penalises an address for ten seconds, and an IPv6 one with its /64', () => {
    const clients = new CostlyClients();
    clients.refused('192.0.2.1', [odd], 25, 1000);
    clients.refused('2001:db8:1:2::3', null, 25, 1000);
    for (const address of ['192.0.2.1', '2001:db8:1:2::ffff']) {
      expect(clients.isPenalised(address, 10_999)).toBe(true);
      expect(clients.isPenalised(address, 11_000)).toBe(false);
    }
    for (const address of ['192.0.2.2', '2001:db8:1:3::3']) expect(clients.isPenalised(address, 1000)).toBe(false);
    expect(clients.size).toBe(0);
  });

  test('does not penalise what was cheap, nor an ordinary chain on a busy thread', () => {
    const clients = new CostlyClients();
    clients.refused('192.0.2.1', [odd], 19, 0);
    clients.refused('192.0.2.1', [], 500, 0);
    clients.refused('192.0.2.1', [ordinary, ordinary, ordinary], 500, 0);
    expect(clients.isPenalised('192.0.2.1', 0)).toBe(false);
    clients.refused(
      '192.0.2.1',
      Array.from({ length: 5 }, () => ordinary),
      500,
      0,
    );
    expect(clients.isPenalised('192.0.2.1', 0)).toBe(true);
  });

  test('remembers a bounded number of addresses, and drops those whose time is over (security rule 15)', () => {
    const clients = new CostlyClients();
    for (let i = 0; i < 10_100; i++) clients.refused(`10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`, [odd], 25, 0);
    expect(clients.size).toBe(10_000);
    expect(clients.isPenalised('10.0.0.0', 0)).toBe(false);
    clients.refused('192.0.2.1', [odd], 25, 20_000);
    expect(clients.size).toBe(1);
  });
});
