/** The lines of the proxy's log that tell something of clients' TLS. */
export type LogLine = RequestLine | HandshakeLine | { readonly kind: 'other' };

export interface RequestLine {
  readonly kind: 'request';
  readonly targetProxy: string;
  readonly remoteIp: string;
  readonly userAgent: string | null;
  readonly protocol: string;
  readonly cipher: string;
  /** null: not logged (key exchange by RSA, or a resumed session). */
  readonly group: string | null;
  readonly sni: string | null;
  readonly ja4: string;
}

export interface HandshakeLine {
  readonly kind: 'handshake';
  readonly targetProxy: string;
  readonly remoteIp: string;
  readonly failed: boolean;
  /** How many handshakes it stands for: repeated failures are counted. */
  readonly count: number;
  readonly sni: string | null;
  readonly ja4: string;
  readonly offer: string | null;
}

/** One line; null: no JSON object. A log is a file like any other: nothing in it is relied on. */
export function readLogLine(text: string): LogLine | null {
  let line: unknown;
  try {
    line = JSON.parse(text);
  } catch {
    return null;
  }
  if (!isObject(line)) return null;
  const tls = line['tls'];
  const targetProxy = line['targetProxy'];
  if (!isObject(tls) || typeof targetProxy !== 'string') return OTHER;
  const sni = stringOf(tls['sni']);
  const fingerprint = stringOf(tls['ja4']);
  if (line['msg'] === 'request' && fingerprint !== null) {
    const request = isObject(line['httpRequest']) ? line['httpRequest'] : {};
    return {
      kind: 'request',
      targetProxy,
      remoteIp: stringOf(request['remoteIp']) ?? '',
      userAgent: stringOf(request['userAgent']),
      protocol: stringOf(tls['protocol']) ?? '',
      cipher: stringOf(tls['cipher']) ?? '',
      group: stringOf(tls['group']),
      sni,
      ja4: fingerprint,
    };
  }
  if (line['msg'] !== 'handshake') return OTHER;
  const suppressed = line['suppressed'];
  return {
    kind: 'handshake',
    targetProxy,
    remoteIp: stringOf(line['remoteIp']) ?? '',
    failed: line['reason'] !== undefined,
    count: 1 + (typeof suppressed === 'number' && suppressed > 0 ? suppressed : 0),
    sni,
    ja4: fingerprint ?? '',
    offer: stringOf(tls['offer']),
  };
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function stringOf(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}

const OTHER = { kind: 'other' } as const;
