import { isIP } from 'node:net';
import type { GeneralName } from './general-name.ts';

/**
 * A name, or the base of a constraint, in the form that is compared: read once, compared with any number of others. Hosts are
 * lower-cased; of a URI the host is all that counts.
 */
export type Comparable =
  | { readonly kind: 'dns' | 'uri'; readonly host: string }
  | { readonly kind: 'email'; readonly local: string | null; readonly host: string }
  | { readonly kind: 'ip'; readonly address: Buffer }
  | { readonly kind: 'directory'; readonly rdns: readonly string[] }
  | { readonly kind: 'other' | 'x400' | 'ediParty' | 'registeredId' };

/** A name to compare with constraints, or null if it cannot be read: the caller must refuse it then. */
export function comparableName(name: GeneralName): Comparable | null {
  switch (name.kind) {
    case 'dns':
      if (!isHostName(name.text.startsWith('*.') ? name.text.slice(2) : name.text)) return null;
      return { kind: 'dns', host: lower(name.text) };
    case 'uri': {
      const host = uriHost(name.text);
      return host === null ? null : { kind: 'uri', host };
    }
    case 'email':
      return isMailbox(name.text) ? mailbox(name.text) : null;
    default:
      return comparableOther(name);
  }
}

/** The base of a constraint, or null if it is none of the forms of RFC 5280 section 4.2.1.10. */
export function comparableBase(base: GeneralName): Comparable | null {
  switch (base.kind) {
    case 'dns':
    case 'uri':
      if (base.text !== '' && !isHostName(withoutLeadingDot(base.text))) return null;
      return { kind: base.kind, host: lower(base.text) };
    case 'email':
      if (base.text.includes('@')) return isMailbox(base.text) ? mailbox(base.text) : null;
      if (base.text !== '' && !isHostName(withoutLeadingDot(base.text))) return null;
      return { kind: 'email', local: null, host: lower(base.text) };
    case 'ip':
      return isPrefixMask(base.address.subarray(base.address.length / 2)) ? comparableOther(base) : null;
    default:
      return comparableOther(base);
  }
}

/**
 * Whether a name is inside a subtree (RFC 5280 section 4.2.1.10). Forms that the RFC leaves undefined (otherName, x400Address,
 * ediPartyName, registeredID) are constrained wholly: such a name matches every excluded and no permitted base of its form.
 */
export function matchesConstraint(name: Comparable, base: Comparable, side: 'permitted' | 'excluded'): boolean {
  if (name.kind === 'dns' && base.kind === 'dns') return matchesDns(name.host, base.host, side);
  if (name.kind === 'uri' && base.kind === 'uri') return matchesHost(name.host, base.host);
  if (name.kind === 'email' && base.kind === 'email') {
    if (base.local === null) return matchesHost(name.host, base.host);
    return name.local === base.local && name.host === base.host;
  }
  if (name.kind === 'ip' && base.kind === 'ip') return matchesIp(name.address, base.address);
  if (name.kind === 'directory' && base.kind === 'directory') return isPrefix(base.rdns, name.rdns);
  return side === 'excluded';
}

function comparableOther(name: GeneralName): Comparable | null {
  switch (name.kind) {
    case 'ip':
      return { kind: 'ip', address: name.address };
    case 'directory':
      return { kind: 'directory', rdns: name.name.rdnKeys };
    case 'other':
    case 'x400':
    case 'ediParty':
    case 'registeredId':
      return { kind: name.kind };
    default:
      return null;
  }
}

/**
 * Any number of labels may be added on the left; with a leading dot (not in the RFC, but common) at least one must be.
 * `*.example.com` is inside `example.com`, and an exclusion of `bar.example.com` catches it, because it stands for
 * bar.example.com too (CVE-2025-61727).
 */
function matchesDns(name: string, base: string, side: 'permitted' | 'excluded'): boolean {
  if (base === '') return true;
  if (base.startsWith('.')) return name.endsWith(base);
  if (name.endsWith(base)) {
    const extra = name.length - base.length;
    if (extra === 0 || name[extra - 1] === '.') return true;
  }
  if (side === 'permitted' || !name.startsWith('*.')) return false;
  return base.slice(base.indexOf('.') + 1) === name.slice(2);
}

/** All mailboxes or URIs of a host, or with a leading dot those of the hosts below it. */
function matchesHost(host: string, base: string): boolean {
  if (base === '') return true;
  return base.startsWith('.') ? host.endsWith(base) && host.length > base.length : host === base;
}

function matchesIp(address: Buffer, range: Buffer): boolean {
  if (range.length !== address.length * 2) return false;
  for (let index = 0; index < address.length; index++) {
    const mask = range[address.length + index]!;
    if ((address[index]! & mask) !== (range[index]! & mask)) return false;
  }
  return true;
}

function isPrefix(above: readonly string[], whole: readonly string[]): boolean {
  if (above.length > whole.length) return false;
  for (let index = 0; index < above.length; index++) if (above[index] !== whole[index]) return false;
  return true;
}

/** The local part counts byte for byte, the host without regard to case. */
function mailbox(text: string): Comparable {
  const at = text.indexOf('@');
  return { kind: 'email', local: text.slice(0, at), host: lower(text.slice(at + 1)) };
}

/** The host of `scheme://[user@]host[:port]…`, lower-cased; null without one, or where it is an address: the RFC wants a name. */
function uriHost(uri: string): string | null {
  const authority = /^[A-Za-z][A-Za-z0-9+.-]*:\/\/([^/?#]*)/.exec(uri)?.[1];
  if (authority === undefined) return null;
  const host = authority.slice(authority.lastIndexOf('@') + 1).replace(/:[0-9]*$/, '');
  return isHostName(host) && isIP(host) === 0 ? lower(host) : null;
}

function isMailbox(text: string): boolean {
  const at = text.indexOf('@');
  return at > 0 && at === text.lastIndexOf('@') && isHostName(text.slice(at + 1));
}

/** Labels of letters, digits, hyphen and underscore; a digit-only name is left to the caller. */
function isHostName(text: string): boolean {
  if (text.length === 0 || text.length > 253) return false;
  return text.split('.').every((label) => /^[A-Za-z0-9_-]{1,63}$/.test(label));
}

function isPrefixMask(mask: Buffer): boolean {
  let ended = false;
  for (const byte of mask) {
    if (ended && byte !== 0) return false;
    if (byte !== 0xff) {
      if ((((~byte & 0xff) + 1) & ~byte & 0xff) !== 0) return false;
      ended = true;
    }
  }
  return true;
}

function withoutLeadingDot(text: string): string {
  return text.startsWith('.') ? text.slice(1) : text;
}

function lower(text: string): string {
  return text.toLowerCase(); // IA5String: ASCII only
}
