import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { isIP } from 'node:net';

export type DnsAnswer =
  | { readonly addresses: readonly string[]; readonly ttlSec?: number }
  | 'NXDOMAIN'
  | 'SERVFAIL'
  /** No answer at all. */
  | 'silence';

/** A DNS server on UDP and loopback that knows A and AAAA of the names it is told, and says NXDOMAIN to all others. */
export class DnsServer {
  readonly zone: Map<string, DnsAnswer>;
  /** `name A` or `name AAAA`, in the order of arrival. */
  readonly asked: string[] = [];
  readonly #socket: Socket;

  private constructor(socket: Socket, zone: Readonly<Record<string, DnsAnswer>>) {
    this.zone = new Map(Object.entries(zone));
    this.#socket = socket;
    socket.on('message', (query, { port, address }) => {
      const answer = this.#answer(query);
      if (answer !== null) socket.send(answer, port, address);
    });
  }

  static async start(zone: Readonly<Record<string, DnsAnswer>>): Promise<DnsServer> {
    const socket = createSocket('udp4');
    socket.bind(0, '127.0.0.1');
    await once(socket, 'listening');
    return new DnsServer(socket, zone);
  }

  /** As `sallyport.dns.servers` takes it. */
  get address(): string {
    return `127.0.0.1:${this.#socket.address().port}`;
  }

  async stop(): Promise<void> {
    this.#socket.close();
    await once(this.#socket, 'close');
  }

  #answer(query: Buffer): Buffer | null {
    const labels: string[] = [];
    let at = 12;
    for (let length = query[at]!; length > 0; length = query[at]!) {
      labels.push(query.toString('latin1', at + 1, at + 1 + length));
      at += 1 + length;
    }
    const type = query.readUInt16BE(at + 1);
    const question = query.subarray(12, at + 5);
    const name = labels.join('.').toLowerCase();
    this.asked.push(`${name} ${type === AAAA ? 'AAAA' : type === A ? 'A' : type}`);
    const known = this.zone.get(name) ?? 'NXDOMAIN';
    if (known === 'silence') return null;
    if (typeof known === 'string') return message(query, question, known === 'NXDOMAIN' ? 3 : 2, []);
    const addresses = known.addresses.filter((address) => isIP(address) === (type === AAAA ? 6 : 4));
    return message(
      query,
      question,
      0,
      type === A || type === AAAA ? addresses.map((address) => record(type, known.ttlSec ?? 0, address)) : [],
    );
  }
}

function message(query: Buffer, question: Buffer, rcode: number, records: readonly Buffer[]): Buffer {
  const head = Buffer.alloc(12);
  query.copy(head, 0, 0, 2);
  head.writeUInt16BE(0x8180 | rcode, 2); // response, recursion desired and available
  head.writeUInt16BE(1, 4);
  head.writeUInt16BE(records.length, 6);
  return Buffer.concat([head, question, ...records]);
}

function record(type: number, ttlSec: number, address: string): Buffer {
  const data = type === A ? Buffer.from(address.split('.').map(Number)) : ipv6(address);
  const head = Buffer.alloc(12);
  head.writeUInt16BE(0xc00c, 0); // the name of the question
  head.writeUInt16BE(type, 2);
  head.writeUInt16BE(1, 4);
  head.writeUInt32BE(ttlSec, 6);
  head.writeUInt16BE(data.length, 10);
  return Buffer.concat([head, data]);
}

function ipv6(address: string): Buffer {
  const [head = '', tail = ''] = address.split('::');
  const [front, back] = [head, tail].map((part) => (part === '' ? [] : part.split(':')));
  const groups = [...front!, ...Array<string>(8 - front!.length - back!.length).fill('0'), ...back!];
  const bytes = Buffer.alloc(16);
  for (const [index, group] of groups.entries()) bytes.writeUInt16BE(Number.parseInt(group, 16), index * 2);
  return bytes;
}

const A = 1;
const AAAA = 28;
