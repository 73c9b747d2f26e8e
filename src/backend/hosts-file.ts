import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';

/**
 * The addresses of a name in a hosts file (hosts(5)): what the system's own resolver asks first, and the DNS protocol never sees.
 * Empty when the name is not in it or the file cannot be read. Read anew each time: it is small, and changes without notice.
 */
export async function hostsFileAddresses(file: string, name: string): Promise<readonly string[]> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch {
    return []; // without the file there is only DNS
  }
  return addressesIn(text, name);
}

export function addressesIn(text: string, name: string): readonly string[] {
  const wanted = name.toLowerCase();
  const found = new Set<string>();
  for (const line of text.slice(0, MAX_CHARACTERS).split('\n')) {
    const [address = '', ...names] = line.replace(/#.*/, '').trim().split(/\s+/);
    if (isIP(address) !== 0 && names.some((one) => one.toLowerCase() === wanted)) found.add(address);
  }
  return [...found];
}

const MAX_CHARACTERS = 1_048_576; // block lists of that size exist; more is no hosts file
