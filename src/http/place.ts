/** Where a client seems to be, as header variables say it (spec 4.1); '' for what the database does not know. */
export interface Place {
  /** ISO 3166-1: `US`. */
  readonly region: string;
  /** The country's code and that of its subdivision, ISO 3166-2 without the hyphen: `USCA`. */
  readonly subdivision: string;
  /** In English. */
  readonly city: string;
  /** Degrees with six decimals: `37.386051,-122.083851`. */
  readonly latLong: string;
  /** Number of the autonomous system: `64496`. */
  readonly asn: string;
}

/** `address`: an IP literal. Null: the database has no entry for it. Never throws. */
export type PlaceLookup = (address: string) => Place | null;

/** From a record in MaxMind's layout (country, city, ISP and ASN databases, and those that join them); members of another type count as absent. */
export function placeOf(record: unknown): Place | null {
  const root = members(record);
  if (root === null) return null;
  const country = members(root['country']) ?? members(root['registered_country']);
  const region = textOf(country?.['iso_code']);
  const subdivisions = root['subdivisions'];
  const subdivision = textOf(members(Array.isArray(subdivisions) ? subdivisions[0] : null)?.['iso_code']);
  const names = members(members(root['city'])?.['names']);
  const location = members(root['location']);
  const number = root['autonomous_system_number'] ?? members(root['traits'])?.['autonomous_system_number'];
  return {
    region,
    subdivision: region === '' || subdivision === '' ? '' : region + subdivision,
    city: textOf(names?.['en']),
    latLong: latLongOf(location?.['latitude'], location?.['longitude']),
    asn: typeof number === 'number' && Number.isSafeInteger(number) && number > 0 ? String(number) : '',
  };
}

function latLongOf(latitude: unknown, longitude: unknown): string {
  if (typeof latitude !== 'number' || typeof longitude !== 'number') return '';
  if (!(Math.abs(latitude) <= 90 && Math.abs(longitude) <= 180)) return '';
  return `${latitude.toFixed(6)},${longitude.toFixed(6)}`;
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function members(value: unknown): Readonly<Record<string, unknown>> | null {
  return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : null;
}
