import fc from 'fast-check';
import { redactQueryValues, requestHeadersMember } from '#src/telemetry/logged-fields.ts';

describe('redactQueryValues()', () => {
  test.each([
    ['https://a.example/p', 'https://a.example/p'],
    ['https://a.example/p?', 'https://a.example/p?'],
    ['/p?token=abc&page=2', '/p?token=*&page=*'],
    ['/p?secret', '/p?*'],
    ['/p?a=1&&b', '/p?a=*&&*'],
    ['/p?a=b=c?d', '/p?a=*'],
    ['/p?=x', '/p?=*'],
    ['/p?a=', '/p?a=*'],
  ])('%s is written as %s', (url, redacted) => {
    expect(redactQueryValues(url)).toBe(redacted);
  });

  test('no value of any query is left, and names and their order are', () => {
    const part = fc.tuple(fc.stringMatching(/^[a-z]{1,5}$/), fc.stringMatching(/^V[A-Z0-9=?/%]{0,9}$/));
    fc.assert(
      fc.property(fc.array(part, { minLength: 1, maxLength: 8 }), (parts) => {
        const redacted = redactQueryValues(`/p?${parts.map(([name, value]) => `${name}=${value}`).join('&')}`);
        expect(redacted).toBe(`/p?${parts.map(([name]) => `${name}=*`).join('&')}`);
      }),
    );
  });
});

describe('requestHeadersMember()', () => {
  test('has what was asked for and is there, several of a name in one', () => {
    const headers = ['x-request-id', 'r"1', 'x-tag', 'a', 'x-other', 'no', 'x-tag', 'b'];
    expect(JSON.parse(`{"a":1${requestHeadersMember(headers, ['x-tag', 'x-request-id', 'x-missing'])}}`)).toEqual({
      a: 1,
      requestHeaders: { 'x-tag': 'a, b', 'x-request-id': 'r"1' },
    });
    expect(requestHeadersMember(headers, ['x-missing'])).toBe('');
  });
});
