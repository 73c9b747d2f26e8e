import fc from 'fast-check';
import { ProxyError } from '#src/base/errors.ts';
import { AccessLog } from '#src/telemetry/access-log.ts';
import { connectionFacts, exchange, exchangeRecord, Lines, StillClock, tlsFacts } from './support.ts';

function accessLog(options: { sampleRate?: number; random?: () => number } = {}) {
  const lines = new Lines();
  const clock = new StillClock();
  const log = new AccessLog(lines, { clock, sampleRate: 1, ...options });
  return { log, lines, clock };
}

describe('AccessLog', () => {
  test('writes exactly the documented members of a request that went well', () => {
    const { log, lines } = accessLog();
    log.requestFinished(exchangeRecord());
    expect(lines.parsed).toEqual([
      {
        time: '2026-11-21T11:59:59.989Z', // when the head was complete: 10.5 ms before the end
        level: 'info',
        msg: 'request',
        httpRequest: {
          requestMethod: 'GET',
          requestUrl: 'https://a.example/pets?x=1',
          requestSize: 3,
          status: 200,
          responseSize: 1024,
          userAgent: 'test/1',
          remoteIp: '203.0.113.7',
          serverIp: '127.0.0.1',
          referer: 'https://b.example/',
          latency: '0.010500s',
          protocol: 'HTTP/2',
        },
        statusDetails: 'response_sent_by_backend',
        targetProxy: 'web',
        forwardingRule: 'https',
        urlMap: 'map',
        backendService: 'api',
        backend: '127.0.0.1:9443',
        attempts: 1,
        trace: '0af7651916cd43dd8448eb211c80319c',
        tls: {
          protocol: 'TLSv1.3',
          cipher: 'TLS_AES_128_GCM_SHA256',
          group: 'X25519MLKEM768',
          sni: 'a.example',
          alpn: 'h2',
          resumed: false,
          ja4: 't13d1516h2_8daaf6152771_b0da82dd1658',
        },
        backendTls: { protocol: 'TLSv1.3', cipher: 'TLS_AES_256_GCM_SHA384', resumed: true, verdict: 'verified' },
      },
    ]);
  });

  test('redacts the values of queries, those of the referer too, and writes the fields that were asked for', () => {
    const lines = new Lines();
    const log = new AccessLog(lines, {
      clock: new StillClock(),
      sampleRate: 1,
      redactQueryValues: true,
      requestHeaders: ['x-request-id'],
    });
    const headers = ['referer', 'https://b.example/?token=Tone', 'x-request-id', 'r1', 'cookie', 'session=Sone'];
    log.requestFinished(exchangeRecord({ exchange: exchange({ target: '/pets?token=Ttwo', headers }) }));
    expect(lines.parsed[0]).toMatchObject({
      httpRequest: { requestUrl: 'https://a.example/pets?token=*', referer: 'https://b.example/?token=*' },
      requestHeaders: { 'x-request-id': 'r1' },
    });
    expect(JSON.stringify(lines.parsed)).not.toMatch(/Tone|Ttwo|Sone/);
  });

  test('says who a client is where the proxy asks, and what it claims to be where nobody verified it', () => {
    const { log, lines } = accessLog();
    const leaf = {
      sha256: 'ab'.repeat(32),
      serialHex: '0f',
      subject: 'CN=alice',
      issuer: 'CN=ca',
      subjectDer: Buffer.alloc(0),
      issuerDer: Buffer.alloc(0),
      notBeforeMs: 0,
      notAfterMs: Date.UTC(2027, 0, 1),
      dnsNames: [],
      uris: [],
    };
    const sent = { present: true, chain: [], leaf };
    const asked = [
      { ...sent, verified: true, error: null, reason: '' },
      { ...sent, verified: false, error: 'client_cert_validation_failed', reason: 'validity at depth 0: "it" expired' },
      { present: false, verified: false, error: 'client_cert_not_provided', reason: 'none', chain: [], leaf: null },
    ] as const;
    for (const clientCertificate of asked) {
      const connection = connectionFacts({ tls: { ...tlsFacts(), clientCertificate } });
      log.requestFinished(exchangeRecord({ exchange: exchange({ connection }) }));
    }
    const members = lines.parsed.map((line) =>
      Object.fromEntries(Object.entries(line['tls'] as object).filter(([name]) => name.startsWith('clientCert'))),
    );
    const identity = {
      clientCertSha256Fingerprint: 'ab'.repeat(32),
      clientCertSerialNumber: '0f',
      clientCertSubject: 'CN=alice',
      clientCertIssuer: 'CN=ca',
      clientCertValidNotAfter: '2027-01-01T00:00:00.000Z',
    };
    expect(members).toEqual([
      { clientCertPresent: true, clientCertChainVerified: true, ...identity },
      {
        clientCertPresent: true,
        clientCertChainVerified: false,
        clientCertError: 'client_cert_validation_failed',
        clientCertReason: 'validity at depth 0: "it" expired',
        ...identity,
      },
      {
        clientCertPresent: false,
        clientCertChainVerified: false,
        clientCertError: 'client_cert_not_provided',
        clientCertReason: 'none',
      },
    ]);
  });

  test('leaves out what does not apply', () => {
    const { log, lines } = accessLog();
    const connection = connectionFacts({ tls: null });
    log.requestFinished(
      exchangeRecord({
        exchange: exchange({ connection, headers: [], scheme: 'http', protocol: 'HTTP/1.1' }),
        status: 404,
        statusDetails: 'route_not_found',
        urlMap: '',
        backendService: null,
        backend: null,
        attempts: 0,
        backendTls: null,
        trace: null,
        backendLatencyMs: null,
      }),
    );
    const [line] = lines.parsed;
    expect(Object.keys(line!)).toEqual([
      'time',
      'level',
      'msg',
      'httpRequest',
      'statusDetails',
      'targetProxy',
      'forwardingRule',
    ]);
    expect(Object.keys(line!['httpRequest'] as object)).toEqual([
      'requestMethod',
      'requestUrl',
      'requestSize',
      'status',
      'responseSize',
      'remoteIp',
      'latency',
      'protocol',
    ]);
  });

  test('says which rule refused a backend certificate, where, and why', () => {
    const { log, lines } = accessLog();
    const error = new ProxyError('ssl_certificate_chain_verification_failed', {
      detail: 'the chain ends at nobody we trust',
    });
    log.requestFinished(
      exchangeRecord({
        status: 502,
        statusDetails: error.spec.statusDetails,
        proxyStatus: 'sallyport; error=tls_certificate_error',
        error,
        backendTls: {
          protocol: 'TLSv1.3',
          cipher: 'TLS_AES_256_GCM_SHA384',
          resumed: false,
          verdict: 'refused',
          rule: 'path-length',
          depth: 1,
          reason: 'pathLenConstraint 0 was exceeded',
        },
      }),
    );
    expect(lines.parsed[0]).toMatchObject({
      level: 'warn',
      statusDetails: 'ssl_certificate_chain_verification_failed',
      proxyStatus: 'sallyport; error=tls_certificate_error',
      backendTls: { verdict: 'refused', rule: 'path-length', depth: 1, reason: 'pathLenConstraint 0 was exceeded' },
      detail: 'the chain ends at nobody we trust',
    });
  });

  test('is one line of printable ASCII that reads back, whatever strangers send (security rule 15)', () => {
    const units = fc.array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 80 });
    const stranger = units.map((codes) => String.fromCharCode(...codes));
    fc.assert(
      fc.property(stranger, stranger, stranger, stranger, stranger, (method, target, userAgent, referer, sni) => {
        const { log, lines } = accessLog();
        const connection = connectionFacts({ tls: tlsFacts({ sni }) });
        const headers = ['user-agent', userAgent, 'referer', referer];
        log.requestFinished(exchangeRecord({ exchange: exchange({ connection, method, target, headers }) }));
        expect(lines.all[0]).toMatch(/^[ -~]+$/);
        const read = lines.parsed[0] as { httpRequest: Record<string, string> };
        // 80 units are 480 characters when each is escaped: below the caps of these two.
        expect(read.httpRequest['requestUrl']).toBe(`https://a.example${target}`);
        expect(read.httpRequest['userAgent'] ?? '').toBe(userAgent);
      }),
    );
  });

  test('caps what strangers choose (security rule 15)', () => {
    const { log, lines } = accessLog();
    const long = 'x'.repeat(60_000);
    const headers = ['user-agent', long, 'referer', long];
    log.requestFinished(exchangeRecord({ exchange: exchange({ method: long, target: `/${long}`, headers }) }));
    expect(lines.all[0]!.length).toBeLessThan(4096);
  });

  test('writes URL, method, status and sizes of each request of a connection, whatever the one before had', () => {
    const { log, lines } = accessLog();
    const connection = connectionFacts();
    const long = 'x'.repeat(300);
    const requests = [
      ['https', 'a.example', '/1', 'GET', 200, 0],
      ['https', 'a.example', '/2', 'GET', 200, 7],
      ['https', 'b.example', '/"2"', 'POST', 200, 7],
      ['http', 'b.example', '/3', 'POST', 404, 7],
      ['http', long, '/4', 'GET', 404, 0],
      ['http', '"quoted"', '/5', 'GET', 200, 0],
      ['http', '"quoted"', '*', 'OPTIONS', 200, 0],
      ['https', 'a.example', '/1', 'GET', 200, 0],
    ] as const;
    for (const [scheme, authority, target, method, status, requestBytes] of requests) {
      const of = exchange({ connection, scheme, authority, target, method });
      log.requestFinished(exchangeRecord({ exchange: of, status, requestBytes }));
    }
    const read = lines.parsed.map(({ httpRequest }) => httpRequest as Record<string, unknown>);
    expect(
      read.map((line) => [line['requestUrl'], line['requestMethod'], line['status'], line['requestSize']]),
    ).toEqual(
      requests.map(([scheme, authority, target, method, status, requestBytes]) => [
        `${scheme}://${authority}${target === '*' ? '' : target}`,
        method,
        status,
        requestBytes,
      ]),
    );
  });

  test('cuts a URL at 2,048 characters, the same with and without something to escape', () => {
    const { log, lines } = accessLog();
    const origin = 'https://a.example'.length;
    for (const target of [`/${'x'.repeat(2047 - origin)}`, `/${'x'.repeat(2048 - origin)}`, `/é${'x'.repeat(3000)}`])
      log.requestFinished(exchangeRecord({ exchange: exchange({ target }) }));
    const [whole, cut, escaped] = lines.parsed.map(
      ({ httpRequest }) => (httpRequest as { requestUrl: string }).requestUrl,
    );
    expect(whole).toBe(`https://a.example/${'x'.repeat(2047 - origin)}`);
    expect(cut).toBe(`https://a.example/${'x'.repeat(2047 - origin)}…`);
    expect(escaped).toMatch(/^https:..a\.example.éx+…$/);
  });

  test('does not carry what it remembers of one request over to the next', () => {
    const { log, lines } = accessLog();
    const connection = connectionFacts();
    const request = (userAgent: string, backend: string, verdict: string, status: string) =>
      exchangeRecord({
        exchange: exchange({ connection, headers: userAgent === '' ? [] : ['user-agent', userAgent] }),
        backend,
        backendService: `service of ${backend}`,
        statusDetails: status,
        backendTls: { protocol: 'TLSv1.3', cipher: 'C', resumed: false, verdict, rule: null, depth: -1, reason: null },
      });
    const facts = [
      ['one', '127.0.0.1:1', 'verified', 'a'],
      ['one', '[::1]:2', 'resumed', 'b'],
      ['', '127.0.0.1:1', 'verified', 'b'],
      ['two', '127.0.0.1:1', 'allowlisted', 'a'],
    ] as const;
    for (const [agent, backend, verdict, status] of facts)
      log.requestFinished(request(agent, backend, verdict, status));
    const seen = lines.parsed.map((line) => {
      const { userAgent, serverIp } = line['httpRequest'] as { userAgent?: string; serverIp: string };
      const { verdict } = line['backendTls'] as { verdict: string };
      return [userAgent, serverIp, line['backend'], line['backendService'], verdict, line['statusDetails']];
    });
    expect(seen).toEqual([
      ['one', '127.0.0.1', '127.0.0.1:1', 'service of 127.0.0.1:1', 'verified', 'a'],
      ['one', '::1', '[::1]:2', 'service of [::1]:2', 'resumed', 'b'],
      [undefined, '127.0.0.1', '127.0.0.1:1', 'service of 127.0.0.1:1', 'verified', 'b'],
      ['two', '127.0.0.1', '127.0.0.1:1', 'service of 127.0.0.1:1', 'allowlisted', 'a'],
    ]);
  });

  test('logs the sampled share', () => {
    const draws = [0.1, 0.25, 0.9];
    const { log, lines } = accessLog({ sampleRate: 0.25, random: () => draws.shift()! });
    for (let i = 0; i < 3; i++) log.requestFinished(exchangeRecord());
    expect(lines.all).toHaveLength(1);
  });

  test.each([
    [0, '0.000000s'],
    [0.0004, '0.000000s'],
    [1.2345, '0.001235s'],
    [999.9999, '1.000000s'],
    [61_000, '61.000000s'],
  ])('writes a latency of %d ms as %s', (latencyMs, text) => {
    const { log, lines } = accessLog();
    log.requestFinished(exchangeRecord({ latencyMs }));
    expect(lines.parsed[0]).toMatchObject({ httpRequest: { latency: text } });
  });

  test('says of bytes that were no request what there is to say', () => {
    const { log, lines } = accessLog();
    log.badRequest(connectionFacts(), new ProxyError('headers_too_long', { detail: '61,441 bytes' }));
    expect(lines.parsed[0]).toMatchObject({
      msg: 'request',
      httpRequest: { status: 413, remoteIp: '203.0.113.7' },
      statusDetails: 'headers_too_long',
      proxyStatus: 'sallyport; error=http_request_error',
      targetProxy: 'web',
      detail: '61,441 bytes',
    });
  });

  test('begins the detail with our code where several share a word, and only there', () => {
    const { log, lines } = accessLog();
    log.badRequest(connectionFacts(), new ProxyError('client_rate_exceeded'));
    log.badRequest(connectionFacts(), new ProxyError('backend_connect_refused', { detail: 'ECONNREFUSED' }));
    log.badRequest(connectionFacts(), new ProxyError('backend_timeout'));
    expect(lines.parsed.map(({ detail }) => detail)).toEqual([
      'client_rate_exceeded',
      'backend_connect_refused: ECONNREFUSED',
      undefined,
    ]);
  });
});
