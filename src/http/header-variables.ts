import {
  CLIENT_CERTIFICATE_VARIABLES,
  type ClientCertificateVariable,
  clientCertificateValues,
} from './client-certificate.ts';
import type { ConnectionFacts, HeaderList, HttpProtocol } from './exchange.ts';

/** What a variable can be taken from. */
export interface VariableSource {
  readonly connection: ConnectionFacts;
  readonly protocol: HttpProtocol;
  /** Of the request; names in lower case. */
  readonly headers?: HeaderList;
}

export type HeaderVariable =
  | ClientCertificateVariable
  | (typeof CONNECTION_VARIABLES)[number]
  | (typeof PLACE_VARIABLES)[number]
  | (typeof UNKNOWABLE)[number];

/** Every variable of spec 4.1. */
export function isHeaderVariable(name: string): name is HeaderVariable {
  return VARIABLES.has(name);
}

/** Why a variable is always empty and what to do about it; null where it can be known. `hasPlaces`: there is a database of addresses. */
export function whyEmpty(variable: HeaderVariable, hasPlaces: boolean): string | null {
  if ((UNKNOWABLE as readonly string[]).includes(variable)) return 'this proxy has no way to know it; remove it';
  if (hasPlaces || !(PLACE_VARIABLES as readonly string[]).includes(variable)) return null;
  return 'it comes from sallyport.geoipDatabase, which is not set; set it, or remove the variable';
}

/** True for variables that say who the client is: nobody but the proxy may set a field that is filled from one (security rule 18). */
export function isIdentityVariable(variable: HeaderVariable): boolean {
  return variable.startsWith('tls_') || variable.startsWith('client_cert_');
}

/** The value for one request; '' where it is not known. Not yet checked to be a field value. */
export function variableValue(variable: HeaderVariable, { connection, protocol, headers }: VariableSource): string {
  const { tls } = connection;
  switch (variable) {
    case 'client_ip_address':
      return connection.remoteAddress;
    case 'client_port':
      return String(connection.remotePort);
    case 'client_encrypted':
      return tls === null ? 'false' : 'true';
    case 'client_protocol':
      return protocol;
    case 'origin_request_header':
      return headers === undefined ? '' : firstOf(headers, 'origin');
    case 'server_ip_address':
      return connection.localAddress;
    case 'server_port':
      return String(connection.localPort);
    case 'tls_sni_hostname':
      return tls?.sni ?? '';
    case 'tls_version':
      return tls?.protocol ?? '';
    case 'tls_cipher_suite':
      return tls === null || tls.cipherCode === '0000' ? '' : tls.cipherCode.toUpperCase();
    case 'tls_ja3_fingerprint':
      return tls?.ja3 ?? '';
    case 'tls_ja4_fingerprint':
      return tls?.ja4 ?? '';
    case 'client_region':
      return connection.place?.region ?? '';
    case 'client_region_subdivision':
      return connection.place?.subdivision ?? '';
    case 'client_city':
      return connection.place?.city ?? '';
    case 'client_city_lat_long':
      return connection.place?.latLong ?? '';
    case 'asn':
      return connection.place?.asn ?? '';
    default:
      return isClientCertificateVariable(variable)
        ? clientCertificateValues(tls?.clientCertificate ?? null)[variable]
        : '';
  }
}

function firstOf(headers: HeaderList, name: string): string {
  for (let i = 0; i < headers.length; i += 2) if (headers[i] === name) return headers[i + 1]!;
  return '';
}

function isClientCertificateVariable(variable: HeaderVariable): variable is ClientCertificateVariable {
  return variable.startsWith('client_cert_');
}

const CONNECTION_VARIABLES = [
  'client_ip_address',
  'client_port',
  'client_encrypted',
  'client_protocol',
  'origin_request_header',
  'server_ip_address',
  'server_port',
  'tls_sni_hostname',
  'tls_version',
  'tls_cipher_suite',
  'tls_ja3_fingerprint',
  'tls_ja4_fingerprint',
] as const;

/** Looked up by the client's address. */
const PLACE_VARIABLES = [
  'client_region',
  'client_region_subdivision',
  'client_city',
  'client_city_lat_long',
  'asn',
] as const;

/** What needs a CDN, a database of devices, or the kernel's TCP_INFO, for which Node has no API. */
const UNKNOWABLE = [
  'cdn_cache_id',
  'cdn_cache_status',
  'client_rtt_msec',
  'device_request_type',
  'user_agent_family',
] as const;

const VARIABLES: ReadonlySet<string> = new Set([
  ...CLIENT_CERTIFICATE_VARIABLES,
  ...CONNECTION_VARIABLES,
  ...PLACE_VARIABLES,
  ...UNKNOWABLE,
]);
export const HEADER_VARIABLES: readonly string[] = [...VARIABLES];
