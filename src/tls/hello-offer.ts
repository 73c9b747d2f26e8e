import type { ClientHello } from './client-hello.ts';
import { ja3Text } from './ja3.ts';

/**
 * All of a hello that negotiation looks at, as one line for a log: the text that JA3 hashes, then supported_versions, key shares,
 * signature_algorithms, signature_algorithms_cert and ALPN, with `|` between. Codes have four hex digits, `-` is an absent extension.
 * Null for a hello that offers so much that it would not fit into a log line.
 */
export function helloOffer(hello: ClientHello): string | null {
  // Checked first: 30,000 suites are not joined to find out that they are too many.
  const items = hello.cipherSuites.length + hello.extensions.length + (hello.signatureAlgorithms?.length ?? 0);
  if (items > MAX_ITEMS) return null;
  const offer = [
    ja3Text(hello),
    hexList(hello.supportedVersions),
    hexList(hello.keyShares),
    hexList(hello.signatureAlgorithms),
    hexList(hello.signatureAlgorithmsCert),
    hello.alpn === null ? ABSENT : hello.alpn.map(escapeProtocol).join(','),
  ].join('|');
  return offer.length > MAX_LENGTH ? null : offer;
}

/** A hello that negotiates as the one whose offer this is would; null: not an offer. `serverName` as the log has it beside the offer. */
export function offeredHello(offer: string, serverName: string | null): ClientHello | null {
  if (offer.length > MAX_LENGTH || !OFFER.test(offer)) return null;
  const [ja3 = '', versions = '', shares = '', schemes = '', schemesCert = '', alpn = ''] = offer.split('|');
  const [version = '', suites = '', extensions = '', groups = '', formats = ''] = ja3.split(',');
  const types = decimals(extensions);
  const cipherSuites = decimals(suites);
  return {
    recordVersion: 0x0301,
    legacyVersion: Number(version),
    supportedVersions: codes(versions),
    cipherSuites,
    compressionMethods: [0],
    extensions: types,
    groups: types.includes(10) ? decimals(groups) : null,
    keyShares: codes(shares),
    pointFormats: types.includes(11) ? decimals(formats) : null,
    signatureAlgorithms: codes(schemes),
    signatureAlgorithmsCert: codes(schemesCert),
    alpn: alpn === ABSENT ? null : alpn.split(',').map(unescapeProtocol),
    serverName,
    serverNameAsSent: serverName,
    ticketKeyName: null,
    hasPreSharedKey: types.includes(41),
    hasSessionTicket: false,
    statusRequest: types.includes(5),
    earlyData: types.includes(42),
    fallbackScsv: cipherSuites.includes(0x5600),
    byteLength: 0,
  };
}

function hexList(values: readonly number[] | null): string {
  return values === null ? ABSENT : values.map((code) => code.toString(16).padStart(4, '0')).join(',');
}

function codes(list: string): readonly number[] | null {
  if (list === ABSENT) return null;
  return list === '' ? [] : list.split(',').map((code) => Number.parseInt(code, 16));
}

function decimals(list: string): readonly number[] {
  return list === '' ? [] : list.split('-').map(Number);
}

/** A stranger's bytes: what is not plain, or has a meaning here, becomes %XX. */
function escapeProtocol(protocol: string): string {
  return protocol.replaceAll(/[^!-~]|[%,|]/g, (byte) => `%${byte.charCodeAt(0).toString(16).padStart(2, '0')}`);
}

function unescapeProtocol(text: string): string {
  return text.replaceAll(/%([0-9a-f]{2})/g, (_whole, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

const ABSENT = '-';
const MAX_ITEMS = 300; // an ordinary hello has under 120
const MAX_LENGTH = 2048; // with the rest of the line below the 4,096 bytes that a pipe takes whole
const OFFER = /^\d{1,5}(,[\d-]*){4}(\|(-|[0-9a-f]{4}(,[0-9a-f]{4})*|)){4}\|[!-{}~]*$/;
