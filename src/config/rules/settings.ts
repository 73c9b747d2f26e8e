import { isIP } from 'node:net';
import { isAbsolute, join } from 'node:path';
import { normalAddress } from '../address.ts';
import { isHostName } from '../host-name.ts';
import { type Section, shownField } from '../resource.ts';
import type { SallyportSpec } from '../schema/kinds.ts';
import { nodeAt } from '../written.ts';
import type { RuleContext } from './context.ts';

/** Addresses, host names and what weakens security in `sallyport:`. */
export function checkSettings({ settings, findings }: RuleContext, section: Section | null): void {
  if (settings === null || section === null) return;
  const { admin } = settings;
  if (normalAddress(admin.address) === null) {
    findings.error(
      section,
      ['admin', 'address'],
      `Cannot accept admin.address: found ${shownField(section, ['admin', 'address'])}, expected an IP literal; write for instance 127.0.0.1`,
    );
  }
  for (const [index, host] of admin.hosts.entries()) {
    if (isHostName(host)) continue;
    findings.error(
      section,
      ['admin', 'hosts', index],
      `Cannot accept admin.hosts[${index}]: found ${shownField(section, ['admin', 'hosts', index])}, expected a host name without port; correct it`,
    );
  }
  checkSocket(admin.socket, findings, section);
  if (admin.dangerExposeDetails) {
    findings.warning(
      section,
      ['admin', 'dangerExposeDetails'],
      'The admin server shows configuration, certificates and handshakes to whoever reaches it; remove dangerExposeDetails unless the network keeps strangers out',
    );
  }
  const { masterKeyFile, dangerTls12Tickets } = settings.sessionTickets;
  if (dangerTls12Tickets) {
    findings.warning(
      section,
      ['sessionTickets', 'dangerTls12Tickets'],
      masterKeyFile === undefined
        ? 'It has no effect without masterKeyFile: TLS 1.2 clients get tickets under the random secret of the process anyway; remove dangerTls12Tickets'
        : 'TLS 1.2 tickets hold the secrets of their sessions: whoever gets masterKeyFile can read recorded TLS 1.2 traffic; remove dangerTls12Tickets unless resumption across instances is worth it',
    );
  }
  checkDns(settings.dns, findings, section);
  const floor = settings.dangerBackendMinTlsVersion;
  if (floor === 'TLS_1_0' || floor === 'TLS_1_1') {
    findings.warning(
      section,
      ['dangerBackendMinTlsVersion'],
      `Backends may use ${floor}, which RFC 8996 deprecates; remove dangerBackendMinTlsVersion once they speak TLS 1.2`,
    );
  }
}

/** Beside an address that somebody wrote it would be unclear where the server is. */
function checkSocket(socket: string | undefined, findings: RuleContext['findings'], section: Section): void {
  if (socket === undefined) return;
  const path = ['admin', 'socket'];
  const other = ['address', 'port'].find((field) => nodeAt(section.node, ['admin', field]).found);
  if (other !== undefined) {
    findings.error(
      section,
      path,
      `Cannot accept admin.socket: found admin.${other} too, expected one place to listen on; remove one`,
    );
  }
  const bytes = Buffer.byteLength(isAbsolute(socket) ? socket : join(section.document.folder, socket));
  if (bytes <= LONGEST_SOCKET_PATH) return;
  findings.error(
    section,
    path,
    `Cannot accept admin.socket: found a path of ${bytes} bytes, expected at most ${LONGEST_SOCKET_PATH}, which is what the system takes; choose a shorter one`,
  );
}

function checkDns(dns: SallyportSpec['dns'], findings: RuleContext['findings'], section: Section): void {
  for (const [index, server] of dns.servers.entries()) {
    if (isServer(server)) continue;
    const path = ['dns', 'servers', index];
    findings.error(
      section,
      path,
      `Cannot accept dns.servers[${index}]: found ${shownField(section, path)}, expected an IP literal, with or without port; write for instance 10.0.0.53, 10.0.0.53:5353 or "[2001:db8::53]:5353"`,
    );
  }
  if (dns.minTtlSec > dns.maxTtlSec) {
    findings.error(
      section,
      ['dns', 'minTtlSec'],
      `Cannot accept dns.minTtlSec: found ${dns.minTtlSec}, expected at most maxTtlSec, which is ${dns.maxTtlSec}; lower it`,
    );
  }
  for (const [index, name] of dns.dangerAllowPrivateNames.entries()) {
    const path = ['dns', 'dangerAllowPrivateNames', index];
    if (!isHostName(name)) {
      findings.error(
        section,
        path,
        `Cannot accept dns.dangerAllowPrivateNames[${index}]: found ${shownField(section, path)}, expected the fqdn of an endpoint; correct it`,
      );
      continue;
    }
    findings.warning(
      section,
      path,
      `Whoever controls ${shownField(section, path)} in DNS can make this proxy connect to services of this machine and link; remove it unless they are meant`,
    );
  }
}

function isServer(text: string): boolean {
  if (isIP(text) !== 0) return true;
  const parts = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text);
  if (parts === null) return false;
  const port = Number(parts[3]);
  const [, inBrackets, plain] = parts;
  const isAddress = inBrackets === undefined ? isIP(plain ?? '') === 4 : isIP(inBrackets) === 6;
  return isAddress && port >= 1 && port <= 65_535;
}

const LONGEST_SOCKET_PATH = 107; // unix(7): sun_path has 108 bytes, one of them NUL
