import { isIP } from 'node:net';
import type { GeneralName } from './general-name.ts';

/**
 * Comparing names with the bases of name constraints (RFC 5280 section 4.2.1.10). Forms that the RFC leaves undefined
 * (otherName, x400Address, ediPartyName, registeredID) are constrained wholly: such a name matches every excluded and no
 * permitted base of its form. Whatever cannot be read is the caller's to refuse: `isReadable…`.
 */
export function matchesConstraint(name: GeneralName, base: GeneralName, side: 'permitted' | 'excluded'): boolean {
  if (name.kind === 'dns' && base.kind === 'dns') return matchesDns(lower(name.text), lower(base.text), side);
  if (name.kind === 'email' && base.kind === 'email') return matchesEmail(name.text, base.text);
  if (name.kind === 'uri' && base.kind === 'uri') return matchesHost(uriHost(name.text) ?? '', lower(base.text));
  if (name.kind === 'ip' && base.kind === 'ip') return matchesIp(name.address, base.address);
  if (name.kind === 'directory' && base.kind === 'directory') {
    const above = base.name.rdnKeys;
    const whole = name.name.rdnKeys;
    return above.length <= whole.length && above.every((rdn, index) => rdn === whole[index]);
  }
  return side === 'excluded';
}

export function isReadableConstraint(base: GeneralName): boolean {
  switch (base.kind) {
    case 'dns':
      return base.text === '' || isHostName(withoutLeadingDot(base.text));
    case 'uri':
      return base.text === '' || isHostName(withoutLeadingDot(base.text));
    case 'email':
      if (base.text === '') return true;
      return base.text.includes('@') ? isMailbox(base.text) : isHostName(withoutLeadingDot(base.text));
    case 'ip':
      return isPrefixMask(base.address.subarray(base.address.length / 2));
    default:
      return true;
  }
}

export function isReadableName(name: GeneralName): boolean {
  switch (name.kind) {
    case 'dns':
      return isHostName(name.text.startsWith('*.') ? name.text.slice(2) : name.text);
    case 'uri':
      return uriHost(name.text) !== null;
    case 'email':
      return isMailbox(name.text);
    default:
      return true;
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
  if (name === base || name.endsWith(`.${base}`)) return true;
  if (side === 'permitted' || !name.startsWith('*.')) return false;
  return base.slice(base.indexOf('.') + 1) === name.slice(2);
}

/** A mailbox, all of a host's mailboxes, or with a leading dot all mailboxes of the hosts below it. */
function matchesEmail(name: string, base: string): boolean {
  if (base === '') return true;
  const at = name.indexOf('@');
  const host = lower(name.slice(at + 1));
  const baseAt = base.indexOf('@');
  if (baseAt < 0) return matchesHost(host, lower(base));
  return name.slice(0, at) === base.slice(0, baseAt) && host === lower(base.slice(baseAt + 1));
}

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
