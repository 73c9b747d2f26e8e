import { promises as dns } from 'node:dns';
import { isIP } from 'node:net';
import { hostsFileAddresses } from './hosts-file.ts';

/** Which records of a name are asked for. */
export type Families = 'IPv4' | 'IPv6' | 'both';

export interface FoundAddresses {
  /** At least one. */
  readonly addresses: readonly string[];
  /** The smallest of the answers. */
  readonly ttlSec: number;
}

/** No address. `isAnswer`: whoever was asked says that there is none, rather than not having answered. */
export class NameLookupError extends Error {
  readonly code: string;
  readonly isAnswer: boolean;

  constructor(code: string, isAnswer: boolean) {
    super(code);
    this.name = 'NameLookupError';
    this.code = code;
    this.isAnswer = isAnswer;
  }
}

export interface NameLookup {
  /** @throws NameLookupError */
  lookUp(name: string, families: Families): Promise<FoundAddresses>;
  /** What is under way fails with ECANCELLED. */
  cancel(): void;
}

export interface NameLookupOptions {
  /** `address` or `address:port`; empty: those of the system. */
  readonly servers: readonly string[];
  readonly timeoutMs: number;
  /** For tests; /etc/hosts otherwise. */
  readonly hostsFile?: string;
}

/**
 * Looks names up as the system would, with the time that answers live, which getaddrinfo does not tell:
 *
 * 1. `localhost` and names under it are loopback and never asked of anybody (RFC 6761 section 6.3);
 * 2. the hosts file;
 * 3. DNS: A, AAAA or both;
 * 4. without servers of our own configuration, where DNS knows nothing: getaddrinfo, for search domains and other sources of the system.
 */
export function nameLookup({ servers, timeoutMs, hostsFile = HOSTS_FILE }: NameLookupOptions): NameLookup {
  const resolver = new dns.Resolver({ timeout: timeoutMs, tries: TRIES });
  if (servers.length > 0) resolver.setServers(servers);

  return {
    async lookUp(name, families) {
      if (name === 'localhost' || name.endsWith('.localhost'))
        return { addresses: ofFamilies(['127.0.0.1', '::1'], families), ttlSec: UNDATED_TTL_SEC };
      const local = ofFamilies(await hostsFileAddresses(hostsFile, name), families);
      if (local.length > 0) return { addresses: local, ttlSec: UNDATED_TTL_SEC };
      try {
        return await askDns(resolver, name, families);
      } catch (error) {
        const system = servers.length > 0 ? [] : await askSystem(name, families);
        if (system.length === 0) throw error;
        return { addresses: system, ttlSec: UNDATED_TTL_SEC };
      }
    },
    cancel: () => resolver.cancel(),
  };
}

/** One family without an answer leaves it open which addresses there are: nothing is concluded from the other alone. */
async function askDns(resolver: dns.Resolver, name: string, families: Families): Promise<FoundAddresses> {
  const outcomes = await Promise.allSettled([
    families === 'IPv6' ? [] : resolver.resolve4(name, { ttl: true }),
    families === 'IPv4' ? [] : resolver.resolve6(name, { ttl: true }),
  ]);
  const addresses: string[] = [];
  let ttlSec = Number.POSITIVE_INFINITY;
  let none = 'ENODATA';
  for (const outcome of outcomes) {
    if (outcome.status === 'fulfilled') {
      for (const { address, ttl } of outcome.value) {
        addresses.push(address);
        ttlSec = Math.min(ttlSec, ttl);
      }
      continue;
    }
    const { code = 'ESERVFAIL' } = outcome.reason as NodeJS.ErrnoException;
    if (!NO_SUCH.has(code)) throw new NameLookupError(code, false);
    none = code;
  }
  if (addresses.length === 0) throw new NameLookupError(none, true);
  return { addresses, ttlSec };
}

async function askSystem(name: string, families: Families): Promise<readonly string[]> {
  try {
    const found = await dns.lookup(name, { all: true, order: 'verbatim' });
    return ofFamilies(
      found.map(({ address }) => address),
      families,
    );
  } catch {
    return []; // DNS has said why
  }
}

function ofFamilies(addresses: readonly string[], families: Families): readonly string[] {
  return addresses.filter((address) => families === 'both' || isIP(address) === (families === 'IPv4' ? 4 : 6));
}

/** NXDOMAIN, and a name without records of that type. */
const NO_SUCH: ReadonlySet<string> = new Set(['ENOTFOUND', 'ENODATA']);
const HOSTS_FILE = '/etc/hosts';
const TRIES = 2;
const UNDATED_TTL_SEC = 30; // of sources that say nothing about it
