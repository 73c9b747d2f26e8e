import fc from 'fast-check';
import type { ConnectionFacts, TlsFacts } from '#src/http/exchange.ts';
import { isFieldValue } from '#src/http/field-value.ts';
import { type CustomHeader, forbiddenName, HeaderTemplates, parseCustomHeader } from '#src/http/header-template.ts';
import { HEADER_VARIABLES } from '#src/http/header-variables.ts';

const tls: TlsFacts = {
  protocol: 'TLSv1.2',
  cipher: 'TLS_RSA_WITH_AES_128_GCM_SHA256',
  cipherCode: '009c',
  group: null,
  sni: 'pets.example',
  alpn: 'http/1.1',
  resumed: false,
  ja3: '0123456789abcdef0123456789abcdef',
  ja4: 't12d1309h1_abc_def',
  certificate: 'pets',
  sslPolicy: null,
};
const connection: ConnectionFacts = {
  id: '1',
  remoteAddress: '192.0.2.7',
  remotePort: 50_123,
  localAddress: '2001:db8::1',
  localPort: 443,
  targetProxy: 'web',
  forwardingRule: 'https',
  tls,
};
const headers = ['accept', '*/*', 'origin', 'https://a.example'];
const source = { connection, protocol: 'HTTP/2', headers } as const;

function expanded(text: string, from: Parameters<HeaderTemplates['append']>[1] = source): string | undefined {
  const fields: string[] = [];
  new HeaderTemplates([parsed(text)]).append(fields, from);
  return fields[1];
}

function parsed(text: string): CustomHeader {
  const header = parseCustomHeader(text);
  if (typeof header === 'string') throw new Error(header);
  return header;
}

describe('parseCustomHeader()', () => {
  test('lower-cases the name, and trims name and value', () => {
    expect(parseCustomHeader('  X-Some-Thing :  a b  ')).toEqual({ name: 'x-some-thing', parts: [{ text: 'a b' }] });
    expect(parseCustomHeader('X-Blank:')).toEqual({ name: 'x-blank', parts: [] });
  });

  test('takes a value with colons, variables and literal braces', () => {
    expect(parseCustomHeader('a:x:{client_port}-{{y}}')).toEqual({
      name: 'a',
      parts: [{ text: 'x:' }, { variable: 'client_port' }, { text: '-{y}' }],
    });
  });

  test.each([
    ['no colon', 'found no colon'],
    [': value', 'found a name that is no token'],
    ['a b: c', 'found a name that is no token'],
    ['a:{client_prot}', 'found the variable {client_prot}, which does not exist'],
    ['a:{CLIENT_PORT}', 'which does not exist'],
    ['a:{', 'found a { that nothing closes'],
    ['a:{client_port', 'found a { that nothing closes'],
    ['a:}', 'found a } that closes nothing'],
    ['a:x\r\ny', 'found a character that no header value may have'],
    ['a:\u{1f512}', 'found a character that no header value may have'],
  ])('refuses %j', (text, problem) => {
    expect(parseCustomHeader(text)).toContain(problem);
  });

  test('never throws', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const header = parseCustomHeader(text);
        if (typeof header === 'string') return;
        const fields: string[] = [];
        new HeaderTemplates([header]).append(fields, source);
        expect(isFieldValue(fields[1]!)).toBe(true);
      }),
    );
  });
});

describe('HeaderTemplates', () => {
  test.each([
    ['{client_ip_address}', '192.0.2.7'],
    ['{client_port}', '50123'],
    ['{client_encrypted}', 'true'],
    ['{client_protocol}', 'HTTP/2'],
    ['{origin_request_header}', 'https://a.example'],
    ['{server_ip_address}', '2001:db8::1'],
    ['{server_port}', '443'],
    ['{tls_sni_hostname}', 'pets.example'],
    ['{tls_version}', 'TLSv1.2'],
    ['{tls_cipher_suite}', '009C'],
    ['{tls_ja3_fingerprint}', '0123456789abcdef0123456789abcdef'],
    ['{tls_ja4_fingerprint}', 't12d1309h1_abc_def'],
    ['{client_cert_present}', 'false'],
    ['{client_cert_chain_verified}', 'false'],
    ['{client_cert_error}', ''],
    ['{client_rtt_msec}', ''],
    ['{client_region}', ''],
    ['from {client_ip_address}:{client_port}, {client_city}', 'from 192.0.2.7:50123,'],
  ])('fills %s with %j', (value, expected) => {
    expect(expanded(`x:${value}`)).toBe(expected);
  });

  test('has a value for every variable, on a connection without TLS too', () => {
    for (const variable of HEADER_VARIABLES) {
      expect(typeof expanded(`x:{${variable}}`)).toBe('string');
      const plain = expanded(`x:{${variable}}`, { connection: { ...connection, tls: null }, protocol: 'HTTP/1.1' });
      if (variable.startsWith('tls_')) expect(plain).toBe('');
      if (variable === 'client_encrypted') expect(plain).toBe('false');
    }
  });

  test('sends a value that must not be sent empty (security rule 15)', () => {
    const hostile = { ...connection, tls: { ...tls, sni: 'a\r\nx-admin: 1' } };
    expect(expanded('x:sni={tls_sni_hostname}', { connection: hostile, protocol: 'HTTP/1.1' })).toBe('');
  });

  test('overwrite() replaces every field of the same name and leaves the others in order', () => {
    const fields = ['a', '1', 'server', 'x', 'b', '2', 'server', 'y'];
    new HeaderTemplates([parsed('Server: us'), parsed('c:3')]).overwrite(fields, source);
    expect(fields).toEqual(['a', '1', 'b', '2', 'server', 'us', 'c', '3']);
  });
});

describe('forbiddenName()', () => {
  test.each(['x-user-ip', 'cdn-loop', 'x-google-a', 'x-googleb', 'x-goog-iap', 'x-gfe', 'x-gfe-ssl', 'x-amz-date'])(
    'keeps %s for Google',
    (name) => {
      expect(forbiddenName(name, 'request')).toBe('Google reserves it');
      expect(forbiddenName(name, 'response')).toBe('Google reserves it');
    },
  );

  test.each(['connection', 'keep-alive', 'transfer-encoding', 'te', 'trailer', 'upgrade', 'proxy-connection'])(
    'refuses the hop-by-hop field %s',
    (name) => {
      expect(forbiddenName(name, 'request')).toBe('it concerns one connection only');
    },
  );

  test.each(['host', 'content-length', 'via', 'x-forwarded-for', 'x_forwarded_proto', 'expect', 'early-data'])(
    'refuses %s, which the proxy sets',
    (name) => {
      expect(forbiddenName(name, 'request')).toBe('the proxy sets it itself');
    },
  );

  test('allows other names', () => {
    for (const name of ['x-client-cert-present', 'client-cert', 'forwarded', 'x-amzn', 'host-name'])
      expect(forbiddenName(name, 'request')).toBeNull();
    expect(forbiddenName('host', 'response')).toBeNull();
  });
});
