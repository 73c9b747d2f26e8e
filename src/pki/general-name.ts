import { contextConstructed, contextPrimitive, DerError, type DerReader, TAG } from './der.ts';
import { type DistinguishedName, parseDistinguishedName } from './distinguished-name.ts';
import { printable } from './printable.ts';

/** A GeneralName (RFC 5280 section 4.2.1.6). Bytes are as sent; nothing is folded or decoded further. */
export type GeneralName =
  | { readonly kind: 'email' | 'dns' | 'uri'; readonly text: string }
  | { readonly kind: 'ip'; readonly address: Buffer }
  | { readonly kind: 'directory'; readonly name: DistinguishedName }
  | { readonly kind: 'other' | 'x400' | 'ediParty' | 'registeredId'; readonly der: Buffer };

/**
 * Reads one GeneralName: a name, or the base of a name constraint, where an iPAddress carries a mask and texts may be empty.
 * Throws DerError.
 */
export function readGeneralName(reader: DerReader, role: 'name' | 'constraint'): GeneralName {
  const { tag, whole, content } = reader.element();
  const text = () => (role === 'name' ? filled(ia5(content)) : ia5(content));
  switch (tag) {
    case contextConstructed(0):
      return { kind: 'other', der: whole };
    case contextPrimitive(1):
      return { kind: 'email', text: text() };
    case contextPrimitive(2):
      return { kind: 'dns', text: text() };
    case contextConstructed(3):
      return { kind: 'x400', der: whole };
    case contextConstructed(4):
      return { kind: 'directory', name: parseDistinguishedName(content) };
    case contextConstructed(5):
      return { kind: 'ediParty', der: whole };
    case contextPrimitive(6):
      return { kind: 'uri', text: text() };
    case contextPrimitive(7): {
      const unit = role === 'name' ? 4 : 8;
      if (content.length !== unit && content.length !== unit * 4) {
        throw new DerError(`iPAddress of ${content.length} bytes, expected ${unit} or ${unit * 4}`);
      }
      return { kind: 'ip', address: content };
    }
    case contextPrimitive(8):
      return { kind: 'registeredId', der: whole };
    default:
      throw new DerError(`GeneralName with tag 0x${tag.toString(16)}`);
  }
}

/** Reads GeneralNames ::= SEQUENCE SIZE (1..MAX), under its own or an implicit tag. */
export function readGeneralNames(reader: DerReader, tag: number = TAG.sequence): GeneralName[] {
  const sequence = reader.enter(tag);
  const names: GeneralName[] = [];
  while (!sequence.atEnd) names.push(readGeneralName(sequence, 'name'));
  if (names.length === 0) throw new DerError('empty GeneralNames');
  return names;
}

/** For messages: 'DNS:example.com', 'IP:10.0.0.1/255.0.0.0'. */
export function generalNameText(name: GeneralName): string {
  switch (name.kind) {
    case 'email':
    case 'dns':
    case 'uri':
      return `${LABELS[name.kind]}:${printable(name.text)}`;
    case 'ip':
      return `IP:${ipText(name.address)}`;
    case 'directory':
      return `DirName:${name.name.text}`;
    default:
      return `${LABELS[name.kind]}:${name.der.toString('hex', 0, 24)}`;
  }
}

function ipText(bytes: Buffer): string {
  if (bytes.length === 4) return bytes.join('.');
  if (bytes.length === 8) return `${bytes.subarray(0, 4).join('.')}/${bytes.subarray(4).join('.')}`;
  const groups = (half: Buffer) => half.toString('hex').replace(/(.{4})(?=.)/g, '$1:');
  return bytes.length === 16 ? groups(bytes) : `${groups(bytes.subarray(0, 16))}/${groups(bytes.subarray(16))}`;
}

function ia5(content: Buffer): string {
  for (let index = 0; index < content.length; index++) {
    if (content[index]! > 0x7f) throw new DerError('IA5String with a byte above 7F');
  }
  return content.toString('latin1');
}

/** Names must not be empty or blank (RFC 5280 section 4.2.1.6). */
function filled(text: string): string {
  if (text.trim() === '') throw new DerError('empty GeneralName');
  return text;
}

const LABELS = {
  email: 'email',
  dns: 'DNS',
  uri: 'URI',
  other: 'otherName',
  x400: 'x400Address',
  ediParty: 'ediPartyName',
  registeredId: 'registeredID',
} as const;
