// hot path: for every connection.
import { hash } from 'node:crypto';
import type { ClientHello } from './client-hello.ts';

/** JA3 (salesforce/ja3): MD5 over version, suites, extensions, groups and point formats as the hello lists them, without GREASE. */
export function ja3(hello: ClientHello): string {
  return hash('md5', ja3Text(hello));
}

/** What `ja3` hashes. */
export function ja3Text(hello: ClientHello): string {
  const suites = hello.cipherSuites.join('-');
  const extensions = hello.extensions.join('-');
  const groups = hello.groups === null ? '' : hello.groups.join('-');
  const formats = hello.pointFormats === null ? '' : hello.pointFormats.join('-');
  return `${hello.legacyVersion},${suites},${extensions},${groups},${formats}`;
}
