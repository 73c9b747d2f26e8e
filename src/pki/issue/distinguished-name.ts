import { Set as DerSet, IA5String, ObjectIdentifier, PrintableString, Sequence, Utf8String } from 'asn1js';
import { RelativeDistinguishedNames } from 'pkijs';

/**
 * Parses a name as RFC 4514 writes it: most specific attribute first, `,` between attributes, `\` before a special character
 * or as `\XX`. The DER has the opposite order (RFC 4514 §2.1). '' is the empty name. Multi-valued RDNs (`+`) are refused.
 * @throws Error when an attribute type is unknown or the text is malformed
 */
export function parseDistinguishedName(text: string): RelativeDistinguishedNames {
  const attributes = text === '' ? [] : split(text, ',').map((attribute) => parseAttribute(attribute, text));
  // By way of DER: pkijs itself would write all attributes into one multi-valued RDN.
  const name = new Sequence({ value: attributes.reverse().map((attribute) => new DerSet({ value: [attribute] })) });
  return RelativeDistinguishedNames.fromBER(name.toBER());
}

function parseAttribute(attribute: string, whole: string): Sequence {
  const equals = attribute.indexOf('=');
  const type = attribute.slice(0, Math.max(equals, 0)).trim().toUpperCase();
  const oid = ATTRIBUTE_OIDS.get(type);
  if (oid === undefined) {
    const known = [...ATTRIBUTE_OIDS.keys()].join(', ');
    throw new Error(
      `Cannot read the name '${whole}': found '${attribute.trim()}', expected TYPE=value with a type of ${known}`,
    );
  }
  if (split(attribute, '+').length > 1) {
    throw new Error(`Cannot read the name '${whole}': found a multi-valued part; write '\\+' for a plus sign`);
  }
  const value = unescapeValue(attribute.slice(equals + 1).trim());
  if (value === '') throw new Error(`Cannot read the name '${whole}': '${type}' is empty`);
  return new Sequence({ value: [new ObjectIdentifier({ value: oid }), encodeValue(type, value)] });
}

/** RFC 5280 appendix A: country is PrintableString, domainComponent and emailAddress are IA5String; §4.1.2.4: the rest UTF8String. */
function encodeValue(type: string, value: string): PrintableString | IA5String | Utf8String {
  if (type === 'C') return new PrintableString({ value });
  if (type === 'DC' || type === 'EMAILADDRESS') return new IA5String({ value });
  return new Utf8String({ value });
}

function split(text: string, separator: string): string[] {
  const parts: string[] = [];
  let start = 0;
  for (let i = 0; i < text.length; i++) {
    if (text[i] === '\\') i++;
    else if (text[i] === separator) {
      parts.push(text.slice(start, i));
      start = i + 1;
    }
  }
  parts.push(text.slice(start));
  return parts;
}

function unescapeValue(value: string): string {
  return value.replace(/(?:\\[0-9A-Fa-f]{2})+|\\(.)/g, (run, single: string | undefined) =>
    single === undefined ? Buffer.from(run.replaceAll('\\', ''), 'hex').toString('utf8') : single,
  );
}

/** RFC 4519 and RFC 2985 §5.2.1. */
const ATTRIBUTE_OIDS: ReadonlyMap<string, string> = new Map([
  ['CN', '2.5.4.3'],
  ['SERIALNUMBER', '2.5.4.5'],
  ['C', '2.5.4.6'],
  ['L', '2.5.4.7'],
  ['ST', '2.5.4.8'],
  ['STREET', '2.5.4.9'],
  ['O', '2.5.4.10'],
  ['OU', '2.5.4.11'],
  ['UID', '0.9.2342.19200300.100.1.1'],
  ['DC', '0.9.2342.19200300.100.1.25'],
  ['EMAILADDRESS', '1.2.840.113549.1.9.1'],
]);
