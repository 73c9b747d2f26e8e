import { cipherSuiteName } from './cipher-suite-names.ts';
import type { ClientHello } from './client-hello.ts';
import { groupName } from './named-groups.ts';
import { versionName } from './tls-version.ts';

/** What a hello offered, by name, for logs; 4 KiB at the very most, whatever was sent. */
export interface HelloSummary {
  readonly sni: string | null;
  readonly offeredVersions: readonly string[];
  readonly offeredCiphers: readonly string[];
  readonly offeredGroups: readonly string[];
  readonly alpn: readonly string[];
}

export function summarizeHello(hello: ClientHello): HelloSummary {
  const versions = hello.supportedVersions ?? [hello.legacyVersion];
  return {
    sni: hello.serverName,
    offeredVersions: named(versions, versionName, MAX_VERSIONS),
    offeredCiphers: named(hello.cipherSuites, cipherSuiteName, MAX_CIPHERS),
    offeredGroups: named(hello.groups ?? [], groupName, MAX_GROUPS),
    alpn: (hello.alpn ?? []).slice(0, MAX_PROTOCOLS).map((protocol) => protocol.slice(0, MAX_PROTOCOL_CHARACTERS)),
  };
}

function named(codes: readonly number[], nameOf: (code: number) => string, limit: number): string[] {
  return codes.slice(0, limit).map(nameOf);
}

// Together under 4 KiB: 253 + 8 * 8 + 60 * 50 + 16 * 22 + 8 * 32 characters
const MAX_VERSIONS = 8;
const MAX_CIPHERS = 60;
const MAX_GROUPS = 16;
const MAX_PROTOCOLS = 8;
const MAX_PROTOCOL_CHARACTERS = 32;
