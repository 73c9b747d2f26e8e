// hot path where affinity goes by the client's address or a header.
import type { LinkedAffinity } from '../../config/linked.ts';
import type { HeaderList } from '../../http/exchange.ts';
import type { Requester } from '../contract.ts';
import { hashOf, NO_HASH } from './hash.ts';

/** Of what binds a requester to an endpoint; NO_HASH: nothing does, the header is missing. */
export function requesterHash(affinity: HashAffinity, { connection, headers }: Requester): number {
  const { remoteAddress, remotePort, localAddress, localPort } = connection;
  switch (affinity.by) {
    case 'CLIENT_IP':
      return hashOf(`${remoteAddress} ${localAddress}`);
    case 'CLIENT_IP_NO_DESTINATION':
      return hashOf(remoteAddress);
    case 'CLIENT_IP_PROTO':
      return hashOf(`${remoteAddress} ${localAddress} tcp`);
    case 'CLIENT_IP_PORT_PROTO':
      return hashOf(`${remoteAddress} ${remotePort} ${localAddress} ${localPort} tcp`);
    case 'HEADER_FIELD':
      return headerHash(headers, affinity.header);
  }
}

export type HashAffinity = Exclude<LinkedAffinity, { readonly cookie: object }>;

/** Over all fields of the name, in order. */
function headerHash(headers: HeaderList, name: string): number {
  let hash = NO_HASH;
  for (let i = 0; i < headers.length; i += 2) {
    if (headers[i] === name) hash = hashOf(headers[i + 1]!, hash === NO_HASH ? 0 : hash);
  }
  return hash;
}
