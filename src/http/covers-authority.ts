/**
 * True when a certificate with these names covers `host[:port]` (RFC 9110 section 7.4, RFC 6125 section 6.4: a wildcard is the whole
 * left-most label). `names`: lower case, addresses as literals without brackets.
 */
export function coversAuthority(names: readonly string[], authority: string): boolean {
  const host = hostOf(authority);
  const dot = host.indexOf('.');
  const parent = dot > 0 ? host.slice(dot) : '';
  for (let i = 0; i < names.length; i++) {
    const name = names[i]!;
    if (name === host) return true;
    if (
      parent !== '' &&
      name.length === parent.length + 1 &&
      name.charCodeAt(0) === ASTERISK &&
      name.endsWith(parent)
    ) {
      return true;
    }
  }
  return false;
}

/** Lower case, without port, brackets and trailing dot. */
function hostOf(authority: string): string {
  let host = authority.toLowerCase();
  if (host.startsWith('[')) return host.slice(1, host.indexOf(']'));
  const colon = host.indexOf(':');
  if (colon !== -1) host = host.slice(0, colon);
  return host.endsWith('.') ? host.slice(0, -1) : host;
}

const ASTERISK = 0x2a;
