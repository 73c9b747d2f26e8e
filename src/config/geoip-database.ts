import { readFile } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import type { Response } from 'maxmind';
import { type PlaceLookup, placeOf } from '../http/place.ts';
import type { FileReader } from './file-reader.ts';
import type { Findings } from './findings.ts';
import type { Section } from './resource.ts';
import type { SallyportSpec } from './schema/kinds.ts';
import { writtenText } from './shown.ts';

/** `sallyport.geoipDatabase`, open. */
export interface GeoipDatabase {
  /** Changes with the file. */
  readonly identity: string;
  readonly placeOf: PlaceLookup;
}

/**
 * Opens `geoipDatabase`; null without one, and after a report. Each process reads the file itself, which is too large for IPC: workers
 * are told what it was known by, and one that starts when the file is gone serves without places rather than not at all
 * (that it is gone was reported when the change was seen).
 */
export async function openGeoipDatabase(
  settings: SallyportSpec | null,
  section: Section | null,
  { findings, files }: { readonly findings: Findings; readonly files: FileReader },
): Promise<GeoipDatabase | null> {
  const file = settings?.geoipDatabase;
  if (file === undefined || section === null) {
    lastOpened = null;
    return null;
  }
  const path = isAbsolute(file) ? file : join(section.document.folder, file);
  const fail = (problem: string) => {
    const written = writtenText(file, section.node, PATH);
    findings.error(section, PATH, `Cannot read geoipDatabase '${written}': ${problem}`);
    return null;
  };
  const { identity, problem } = await files.identityOf(path, MAX_BYTES);
  if (identity === null) return fail(`${problem}, expected a readable MaxMind database (.mmdb)`);
  if (lastOpened?.path === path && lastOpened.database.identity === identity) return lastOpened.database;
  const lookup = await lookupIn(path).catch(() => null);
  if (lookup === null && !files.isReplay) {
    return fail('found something else, expected a whole MaxMind database (.mmdb, not compressed)');
  }
  const database = { identity, placeOf: lookup ?? nowhere };
  lastOpened = { path, database };
  return database;
}

/** @throws Error when it is no database, or not whole */
async function lookupIn(path: string): Promise<PlaceLookup> {
  const { Reader } = await import('maxmind'); // loaded with the first database
  const bytes = await readFile(path);
  const reader = new Reader<Response>(bytes);
  const { searchTreeSize, ipVersion } = reader.metadata;
  if (!(searchTreeSize > 0 && searchTreeSize + SEPARATOR_BYTES <= bytes.length) || (ipVersion !== 4 && ipVersion !== 6))
    throw new Error('Cannot use the database: its search tree goes beyond its end');
  return (address) => {
    if (ipVersion === 4 && address.includes(':')) return null; // the reader would walk the tree by other bits
    try {
      return placeOf(reader.get(address));
    } catch {
      return null; // a damaged record, or an address that is none
    }
  };
}

function nowhere(): null {
  return null;
}

/** A reload that leaves the file alone must not read it again; one file is configured at a time. */
let lastOpened: { readonly path: string; readonly database: GeoipDatabase } | null = null;

const PATH = ['geoipDatabase'];
const SEPARATOR_BYTES = 16; // MaxMind DB file format 2.0, between search tree and data
const MAX_BYTES = 1024 * 1024 * 1024; // it is held in memory; the largest that MaxMind sells has a third of that
