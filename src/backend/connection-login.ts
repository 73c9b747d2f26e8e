// hot path: asked once per request head and once per response head.
import type { HeaderList } from '../http/exchange.ts';

/**
 * Whether a head belongs to a login that is bound to the connection instead of the request: NTLM or Negotiate (RFC 4559), asked for
 * or given. What comes next on that connection may be served as the user who logged in, so nobody else may (security rule 34).
 * A quoted parameter that holds one of these words counts too: it costs a connection, and parsing challenges could miss one.
 */
export function isConnectionLogin(headers: HeaderList): boolean {
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i]!;
    if (name !== 'authorization' && name !== 'www-authenticate') continue;
    const value = headers[i + 1]!.toLowerCase();
    if (name === 'authorization' ? startsWithScheme(value) : namesScheme(value)) return true;
  }
  return false;
}

function startsWithScheme(credentials: string): boolean {
  const trimmed = credentials.trimStart();
  for (let i = 0; i < SCHEMES.length; i++) if (trimmed.startsWith(SCHEMES[i]!)) return true;
  return false;
}

function namesScheme(challenges: string): boolean {
  for (let i = 0; i < SCHEMES.length; i++) if (challenges.includes(SCHEMES[i]!)) return true;
  return false;
}

/** Nego2 is what Windows offers beside Negotiate (MS-N2HT). */
const SCHEMES = ['ntlm', 'negotiate', 'nego2', 'kerberos'] as const;
