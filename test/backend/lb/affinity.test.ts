import fc from 'fast-check';
import type { Requester } from '#src/backend/contract.ts';
import { Fleet } from '#src/backend/lb/fleet.ts';
import type { LinkedAffinity, LinkedBalancing } from '#src/config/linked.ts';
import type { HeaderList } from '#src/http/exchange.ts';
import { PLAIN_BALANCING, REQUESTER } from '../support.ts';
import { endpoints, seededRandom, TestEndpoint } from './_fleet.ts';

const GENERATED: LinkedAffinity = { by: 'GENERATED_COOKIE', cookie: { name: 'GCLB', path: '/', ttlSec: 0 } };
const HTTP_COOKIE: LinkedAffinity = { by: 'HTTP_COOKIE', cookie: { name: 'session', path: '/shop', ttlSec: 60 } };

class Secrets {
  version = 0;
  secrets: readonly Uint8Array[] = [Buffer.alloc(32, 1)];

  use(...fills: readonly number[]): void {
    this.secrets = fills.map((fill) => Buffer.alloc(32, fill));
    this.version++;
  }
}

function fleet(
  of: readonly TestEndpoint[],
  balancing: Partial<LinkedBalancing>,
  secrets = new Secrets(),
  name = 'api',
) {
  const all = { ...PLAIN_BALANCING, ...balancing };
  return new Fleet({ name, balancing: all }, [of], { secrets, random: seededRandom(1) });
}

function from(headers: HeaderList, connection: Partial<Requester['connection']> = {}): Requester {
  return { connection: { ...REQUESTER.connection, ...connection }, headers };
}

/** The cookie that a client sends back. */
function cookieOf(of: ReturnType<typeof fleet>, endpoint: TestEndpoint, headers: HeaderList = []): HeaderList {
  const set = of.cookies!.setCookieFor(endpoint, { headers, scheme: 'https' });
  return ['cookie', `theme=dark; ${set!.slice(0, set!.indexOf(';'))}`];
}

describe('GENERATED_COOKIE', () => {
  test('keeps a client at its endpoint, whatever the policy would say, and sets nothing again', () => {
    const all = endpoints(5);
    const api = fleet(all, { affinity: GENERATED });
    const headers = cookieOf(api, all[3]!);
    expect(Array.from({ length: 10 }, () => api.pick([], from(headers)))).toEqual(Array(10).fill(all[3]));
    expect(api.cookies!.setCookieFor(all[3]!, { headers, scheme: 'https' })).toBeNull();
  });

  test('the cookie is no address, is out of reach for scripts, and is Secure where it came by TLS', () => {
    const [endpoint] = endpoints(1);
    const api = fleet([endpoint!], { affinity: GENERATED });
    const set = (scheme: 'http' | 'https') => api.cookies!.setCookieFor(endpoint!, { headers: [], scheme })!;
    expect(set('https')).toMatch(/^GCLB=[\w-]{22}; Path=\/; HttpOnly; SameSite=Lax; Secure$/);
    expect(set('http')).toMatch(/^GCLB=[\w-]{22}; Path=\/; HttpOnly; SameSite=Lax$/);
    const token = set('http').slice(5, 27);
    for (const text of [token, Buffer.from(token, 'base64url').toString('latin1')]) {
      expect(text).not.toContain('10.0');
      expect(text).not.toContain('api');
    }
  });

  test('affinityCookieTtlSec is its Max-Age', () => {
    const [endpoint] = endpoints(1);
    const affinity: LinkedAffinity = { by: 'GENERATED_COOKIE', cookie: { name: 'GCLB', path: '/', ttlSec: 3600 } };
    const set = fleet([endpoint!], { affinity }).cookies!.setCookieFor(endpoint!, { headers: [], scheme: 'http' });
    expect(set).toContain('; Path=/; Max-Age=3600; HttpOnly');
  });

  test.each<[string, (endpoint: TestEndpoint) => void]>([
    ['unhealthy', (endpoint) => Object.assign(endpoint, { isHealthy: false })],
    ['ejected', (endpoint) => Object.assign(endpoint.conduct, { isEjected: true })],
    ['unreachable', (endpoint) => Object.assign(endpoint, { isFailing: true })],
    ['drained, and its time is over', (endpoint) => Object.assign(endpoint, { isDrained: true })],
  ])('a client whose endpoint is %s gets another one, and its cookie', (_what, spoil) => {
    const all = endpoints(3);
    const api = fleet(all, { affinity: GENERATED });
    const headers = cookieOf(api, all[1]!);
    spoil(all[1]!);
    const picked = new Set(Array.from({ length: 20 }, () => api.pick([], from(headers))));
    if (!all[1]!.isDrained) expect(picked).toEqual(new Set([all[0], all[2]]));
    else expect(picked.size).toBe(3); // its weight is the policy's matter
    expect(api.cookies!.setCookieFor(all[0]!, { headers, scheme: 'https' })).not.toBeNull();
  });

  test('a drained endpoint keeps those who are bound to it, and gets nobody else', () => {
    const all = endpoints(3, (index) => (index === 0 ? 0 : 1));
    const api = fleet(all, { affinity: GENERATED });
    const bound = cookieOf(api, all[0]!);
    expect(api.pick([], from(bound))).toBe(all[0]);
    expect(new Set(Array.from({ length: 20 }, () => api.pick([], from([]))))).toEqual(new Set([all[1], all[2]]));
  });

  test('an endpoint that was tried is not given again', () => {
    const all = endpoints(2);
    const api = fleet(all, { affinity: GENERATED });
    expect(api.pick([all[0]!], from(cookieOf(api, all[0]!)))).toBe(all[1]);
  });

  test('a cookie counts only among the current endpoints of its service (security rule 37)', () => {
    const all = endpoints(3);
    const secrets = new Secrets();
    const api = fleet(all, { affinity: GENERATED }, secrets);
    const headers = cookieOf(api, all[2]!);
    expect(api.cookies!.boundTo(headers)).toBe(all[2]);
    expect(fleet(all, { affinity: GENERATED }, secrets, 'other').cookies!.boundTo(headers)).toBeNull();
    expect(fleet(all.slice(0, 2), { affinity: GENERATED }, secrets).cookies!.boundTo(headers)).toBeNull();
    api.use([all.slice(0, 2)]);
    expect(api.cookies!.boundTo(headers)).toBeNull();
  });

  test('a cookie under another secret is nothing; a new secret beside the old one keeps it', () => {
    const all = endpoints(3);
    const secrets = new Secrets();
    const api = fleet(all, { affinity: GENERATED }, secrets);
    const headers = cookieOf(api, all[1]!);
    secrets.use(2, 1);
    expect(api.cookies!.boundTo(headers)).toBe(all[1]);
    const renewed = cookieOf(api, all[1]!);
    expect(renewed).not.toEqual(headers);
    secrets.use(2);
    expect(api.cookies!.boundTo(headers)).toBeNull();
    expect(api.cookies!.boundTo(renewed)).toBe(all[1]);
  });

  test('instances that share a secret understand each other', () => {
    const [here, there] = [endpoints(4), endpoints(4)];
    const headers = cookieOf(fleet(here, { affinity: GENERATED }), here[2]!);
    expect(fleet(there, { affinity: GENERATED }).cookies!.boundTo(headers)).toBe(there[2]);
  });

  test('services that share a host keep each its own token in the one cookie, the newest first, eight at most', () => {
    const fleets = Array.from({ length: 9 }, (_, index) => {
      const of = [new TestEndpoint(`10.1.0.${index}`)];
      return { of, api: fleet(of, { affinity: GENERATED }, new Secrets(), `service-${index}`) };
    });
    let headers: HeaderList = [];
    for (const { api, of } of fleets) headers = cookieOf(api, of[0]!, headers);
    expect(fleets.map(({ api }) => api.cookies!.boundTo(headers)?.address ?? null)).toEqual([
      null,
      ...fleets.slice(1).map(({ of }) => of[0]!.address),
    ]);
  });

  test('what a stranger writes into the cookie binds nobody, and only tokens of base64url come back', () => {
    const all = endpoints(3);
    const api = fleet(all, { affinity: GENERATED });
    const unit = fc.constantFrom('A', 'z', '0', '-', '_', '.', ';', ' ', '"', '\r', '\n', '\u00e9', '=');
    const token = fc.string({ unit: fc.constantFrom('A', 'z', '0', '-', '_'), minLength: 20, maxLength: 24 });
    const value = fc.oneof(
      fc.string({ unit, maxLength: 300 }),
      fc.array(token, { maxLength: 12 }).map((list) => list.join('.')),
    );
    fc.assert(
      fc.property(value, (text) => {
        const headers = ['cookie', `GCLB=${text}`];
        expect(api.cookies!.boundTo(headers)).toBeNull();
        const set = api.cookies!.setCookieFor(all[0]!, { headers, scheme: 'https' });
        expect(set).toMatch(/^GCLB=[\w-]{22}(?:\.[\w-]{22}){0,7}; Path=\/; HttpOnly; SameSite=Lax; Secure$/);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('HTTP_COOKIE', () => {
  test("the application's value decides, the same for ever, and is not replaced", () => {
    const all = endpoints(10);
    const [one, other] = [1, 2].map(() => fleet(all, { policy: 'MAGLEV', affinity: HTTP_COOKIE }));
    const values = Array.from({ length: 100 }, (_, index) => ['cookie', `session=user-${index}`]);
    const picked = values.map((headers) => one!.pick([], from(headers)));
    expect(values.map((headers) => other!.pick([], from(headers)))).toEqual(picked);
    expect(new Set(picked).size).toBe(10);
    expect(one!.cookies!.setCookieFor(all[0]!, { headers: values[0]!, scheme: 'https' })).toBeNull();
  });

  test('a client without one gets ours, with path and ttl, and stays', () => {
    const all = endpoints(10);
    const shop = fleet(all, { policy: 'RING_HASH', affinity: HTTP_COOKIE });
    const first = shop.pick([], from([]))!;
    const set = shop.cookies!.setCookieFor(first, { headers: [], scheme: 'https' })!;
    expect(set).toMatch(/^session=[\w-]{22}; Path=\/shop; Max-Age=60; HttpOnly; SameSite=Lax; Secure$/);
    expect(shop.pick([], from(['cookie', set.split(';')[0]!]))).toBe(first);
  });
});

describe('affinity by a hash', () => {
  const many = Array.from({ length: 200 }, (_, index) => index);

  test.each<[LinkedAffinity['by'], Partial<Requester['connection']>, boolean]>([
    ['CLIENT_IP', { remotePort: 1 }, true],
    ['CLIENT_IP', { localAddress: '198.51.100.9' }, false],
    ['CLIENT_IP_NO_DESTINATION', { localAddress: '198.51.100.9', remotePort: 1 }, true],
    ['CLIENT_IP_PROTO', { remotePort: 1 }, true],
    ['CLIENT_IP_PORT_PROTO', { remotePort: 1 }, false],
    ['CLIENT_IP_PORT_PROTO', {}, true],
  ])('%s with another %o: stays %s', (by, other, stays) => {
    const affinity = { by } as LinkedAffinity;
    const api = fleet(endpoints(50), { policy: 'MAGLEV', affinity });
    const same = many.filter((index) => {
      const remoteAddress = `192.0.2.${index}`;
      return api.pick([], from([], { remoteAddress })) === api.pick([], from([], { remoteAddress, ...other }));
    });
    if (stays) expect(same).toHaveLength(200);
    else expect(same.length).toBeLessThan(30);
  });

  test('HEADER_FIELD goes by the value, all fields of the name; without one it goes anywhere', () => {
    const api = fleet(endpoints(50), { policy: 'RING_HASH', affinity: { by: 'HEADER_FIELD', header: 'x-user' } });
    const of = (...headers: string[]) => api.pick([], from(headers));
    expect(of('x-user', 'a')).toBe(of('host', 'h', 'x-user', 'a'));
    expect(new Set(many.map((index) => of('x-user', `u${index}`))).size).toBeGreaterThan(40);
    expect(new Set(many.map((index) => of('x-user', 'a', 'x-user', `u${index}`))).size).toBeGreaterThan(40);
    expect(new Set(many.map(() => of('host', 'h'))).size).toBeGreaterThan(40);
  });
});

describe('health', () => {
  test('none is picked when none is well; below the panic threshold health is ignored', () => {
    const all = endpoints(4);
    const [strict, panicking] = [fleet(all, {}), fleet(all, { panicThresholdPercent: 50 })];
    for (const endpoint of all.slice(1)) endpoint.isHealthy = false;
    const picks = (of: typeof strict) => new Set(Array.from({ length: 40 }, () => of.pick([], REQUESTER)));
    expect(picks(strict)).toEqual(new Set([all[0]]));
    expect(picks(panicking)).toEqual(new Set(all));
    all[1]!.isHealthy = true; // half of them are well: no panic
    expect(picks(panicking)).toEqual(new Set([all[0], all[1]]));
    for (const endpoint of all) endpoint.isHealthy = false;
    expect(picks(strict)).toEqual(new Set([null]));
    expect(picks(panicking)).toEqual(new Set(all));
  });

  test('a second tier serves when nobody in the first may', () => {
    const [first, second] = [endpoints(2), [new TestEndpoint('10.9.0.1'), new TestEndpoint('10.9.0.2')]];
    const api = new Fleet({ name: 'api', balancing: PLAIN_BALANCING }, [first, second], {
      secrets: new Secrets(),
      random: seededRandom(1),
    });
    const picks = () => new Set(Array.from({ length: 20 }, () => api.pick([], REQUESTER)));
    expect(picks()).toEqual(new Set(first));
    for (const endpoint of first) endpoint.isFailing = true;
    expect(picks()).toEqual(new Set(second));
    for (const endpoint of second) endpoint.isHealthy = false;
    expect(picks().size).toBe(1); // failing is better than nothing
  });
});
