import type { ErrorCode } from '../base/errors.ts';

/** What a proxy that asks for client certificates knows of its client. */
export interface ClientCertificateFacts {
  readonly present: boolean;
  readonly verified: boolean;
  /** client_cert_*; null when it is verified. */
  readonly error: ErrorCode | null;
  /** One sentence for operators; '' when it is verified. */
  readonly reason: string;
  /** DER, as the client sent them, leaf first. */
  readonly chain: readonly Uint8Array[];
  /** null: none was sent, or it cannot be parsed. */
  readonly leaf: ClientLeaf | null;
}

/** The client's own certificate. Its texts are a stranger's unless the facts say `verified`. */
export interface ClientLeaf {
  readonly sha256: string;
  /** The serial number in hexadecimal digits, without a sign byte. */
  readonly serialHex: string;
  /** RFC 4514, escaped for logs. */
  readonly subject: string;
  readonly issuer: string;
  /** DER of the Names. */
  readonly subjectDer: Uint8Array;
  readonly issuerDer: Uint8Array;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly dnsNames: readonly string[];
  readonly uris: readonly string[];
}

/** Values of the client_cert_* header variables (spec 4.1), by variable. */
export type ClientCertificateValues = Readonly<Record<ClientCertificateVariable, string>>;

export type ClientCertificateVariable = (typeof CLIENT_CERTIFICATE_VARIABLES)[number];

export const CLIENT_CERTIFICATE_VARIABLES = [
  'client_cert_present',
  'client_cert_chain_verified',
  'client_cert_error',
  'client_cert_sha256_fingerprint',
  'client_cert_serial_number',
  'client_cert_spiffe_id',
  'client_cert_uri_sans',
  'client_cert_dnsname_sans',
  'client_cert_valid_not_before',
  'client_cert_valid_not_after',
  'client_cert_issuer_dn',
  'client_cert_subject_dn',
  'client_cert_leaf',
  'client_cert_chain',
] as const;

/**
 * The values for one client; made once per connection. A value over its limit is empty, and its name with `_exceeded_size_limit`
 * joins `client_cert_error`, comma separated (spec 2.8). Limits count the bytes of the value as it is sent.
 */
export function clientCertificateValues(facts: ClientCertificateFacts | null): ClientCertificateValues {
  if (facts === null) return NOT_ASKED;
  let values = known.get(facts);
  if (values === undefined) {
    values = makeValues(facts);
    known.set(facts, values);
  }
  return values;
}

function makeValues(facts: ClientCertificateFacts): ClientCertificateValues {
  const { leaf } = facts;
  const errors: string[] = facts.error === null ? [] : [facts.error];
  const limited = (value: string, most: number, name: string) => {
    if (value.length <= most) return value;
    errors.push(`client_cert_${name}_exceeded_size_limit`);
    return '';
  };
  const values = {
    ...NOT_ASKED,
    client_cert_present: String(facts.present),
    client_cert_chain_verified: String(facts.verified),
  };
  if (leaf !== null) {
    const spiffeId = spiffeIdOf(leaf.uris);
    const uris = leaf.uris.filter((uri) => !isSpiffe(uri));
    values.client_cert_sha256_fingerprint = Buffer.from(leaf.sha256, 'hex').toString('base64').replace(/=+$/, '');
    values.client_cert_serial_number = limited(leaf.serialHex, 50, 'serial_number');
    values.client_cert_spiffe_id = limited(spiffeId, 2048, 'spiffe_id');
    values.client_cert_uri_sans = limited(base64List(uris), 512, 'uri_sans');
    values.client_cert_dnsname_sans = limited(base64List(leaf.dnsNames), 512, 'dnsname_sans');
    values.client_cert_valid_not_before = rfc3339(leaf.notBeforeMs);
    values.client_cert_valid_not_after = rfc3339(leaf.notAfterMs);
    values.client_cert_issuer_dn = limited(base64(leaf.issuerDer), 512, 'issuer_dn');
    values.client_cert_subject_dn = limited(base64(leaf.subjectDer), 512, 'subject_dn');
  }
  if (facts.verified) {
    const [first, ...rest] = facts.chain.map(byteSequence);
    const chain = rest.join(', '); // a List of RFC 8941, as RFC 9440 section 2.2 wants it
    values.client_cert_leaf = limited(first ?? '', MAX_CERTIFICATE_VALUE, 'validated_leaf');
    const isTooLong = (first ?? '').length + chain.length > MAX_CERTIFICATE_VALUE;
    values.client_cert_chain = limited(chain, isTooLong ? -1 : MAX_CERTIFICATE_VALUE, 'validated_chain');
  }
  values.client_cert_error = errors.join(',');
  return values;
}

/**
 * The one SPIFFE ID (SPIFFE ID section 2, X.509-SVID section 2: exactly one); '' when there is none, several, or it is not valid.
 */
function spiffeIdOf(uris: readonly string[]): string {
  const ids = uris.filter(isSpiffe);
  const [id] = ids;
  if (id === undefined || ids.length > 1 || !id.startsWith(SPIFFE)) return '';
  const [domain = '', ...segments] = id.slice(SPIFFE.length).split('/');
  if (!/^[a-z0-9._-]{1,255}$/.test(domain)) return '';
  for (const segment of segments) {
    if (!/^[A-Za-z0-9._-]+$/.test(segment) || segment === '.' || segment === '..') return '';
  }
  return id;
}

function isSpiffe(uri: string): boolean {
  return uri.slice(0, SPIFFE.length).toLowerCase() === SPIFFE;
}

/** RFC 9440 section 2.1: a Byte Sequence of RFC 8941. */
function byteSequence(der: Uint8Array): string {
  return `:${base64(der)}:`;
}

function base64List(texts: readonly string[]): string {
  return texts.map((text) => Buffer.from(text, 'latin1').toString('base64')).join(',');
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
}

/** `2022-07-01T18:05:09+00:00`: whole seconds, as certificates have them. */
function rfc3339(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}+00:00`;
}

const known = new WeakMap<ClientCertificateFacts, ClientCertificateValues>();
const SPIFFE = 'spiffe://';
const MAX_CERTIFICATE_VALUE = 16 * 1024;
const NOT_ASKED: Record<ClientCertificateVariable, string> = {
  client_cert_present: 'false',
  client_cert_chain_verified: 'false',
  client_cert_error: '',
  client_cert_sha256_fingerprint: '',
  client_cert_serial_number: '',
  client_cert_spiffe_id: '',
  client_cert_uri_sans: '',
  client_cert_dnsname_sans: '',
  client_cert_valid_not_before: '',
  client_cert_valid_not_after: '',
  client_cert_issuer_dn: '',
  client_cert_subject_dn: '',
  client_cert_leaf: '',
  client_cert_chain: '',
};
