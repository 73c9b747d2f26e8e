import { type ClientHello, HelloReader } from './client-hello.ts';
import { buildHello } from './client-presets-build.ts';
import { withServerName } from './client-presets-sni.ts';
import { CAPTURED_CLIENTS } from './presets/captured.ts';
import { DESCRIBED_CLIENTS } from './presets/described.ts';

/** A client whose ClientHello is known: what `explain` asks "would this one connect?" with. */
export interface ClientPreset {
  /** For the command line, for instance `java-8`. */
  readonly name: string;
  readonly title: string;
  /** `captured: what sent it, on what, when` or `described: who published it`. */
  readonly origin: string;
  /** One ClientHello in TLS records. */
  readonly bytes: Buffer;
}

/** A hello as it was sent. */
export interface CapturedClient {
  readonly name: string;
  readonly title: string;
  readonly origin: string;
  /** TLS records in hex; white space is nothing. */
  readonly hello: string;
}

/** What a client is known to offer; the lists have the order of the wire. */
export interface DescribedClient {
  readonly name: string;
  readonly title: string;
  readonly origin: string;
  /** The text that JA3 hashes: version, suites, extensions, groups, point formats. */
  readonly ja3: string;
  /** Four hex digits each, between commas, as JA4_r writes them; absent: no such extension. */
  readonly signatureAlgorithms?: string;
  readonly signatureAlgorithmsCert?: string;
  readonly supportedVersions?: string;
  /** Groups that a share is sent for. */
  readonly keyShares?: string;
  readonly alpn?: readonly string[];
}

/** The captured ones, then the described ones. */
export function clientPresets(): readonly ClientPreset[] {
  presets ??= [
    ...CAPTURED_CLIENTS.map(({ name, title, origin, hello }) => {
      return { name, title, origin, bytes: Buffer.from(hello.replaceAll(/\s/g, ''), 'hex') };
    }),
    ...DESCRIBED_CLIENTS.map((client) => {
      return { name: client.name, title: client.title, origin: client.origin, bytes: buildHello(client) };
    }),
  ];
  return presets;
}

/** By name, or by the beginning of one (`chromium`); the candidates where that fits several, none where it fits nothing. */
export function findClientPreset(name: string): ClientPreset | readonly ClientPreset[] {
  const exact = clientPresets().find((preset) => preset.name === name);
  if (exact !== undefined) return exact;
  const candidates = clientPresets().filter((preset) => preset.name.startsWith(name));
  return candidates.length === 1 ? candidates[0]! : candidates;
}

/**
 * The preset's hello, asking for `serverName` (lower case; null: no SNI). A client that never sends SNI stays without.
 * Lengths grow or shrink with the name; a padding extension stays as it was.
 */
export function presetHello(preset: ClientPreset, serverName: string | null): ClientHello {
  const reader = new HelloReader();
  reader.push(withServerName(preset.bytes, serverName));
  if (reader.hello !== null) return reader.hello;
  throw new Error(`Cannot read the preset ${preset.name}: ${reader.detail}, expected a ClientHello`);
}

let presets: readonly ClientPreset[] | null = null;
