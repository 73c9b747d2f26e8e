import { type ClientHello, HelloReader } from '../tls/client-hello.ts';
import { type ClientPreset, clientPresets, findClientPreset, presetHello } from '../tls/client-presets.ts';
import { withServerName } from '../tls/client-presets-sni.ts';

/** Whom an explanation is about. */
export interface ExplainedClient {
  readonly name: string;
  readonly title: string;
  /** Where its hello comes from. */
  readonly origin: string;
  /** Its hello, asking for a name (null: no SNI; undefined: as it was sent). */
  hello(serverName?: string | null): ClientHello;
}

export function everyPreset(): readonly ExplainedClient[] {
  return clientPresets().map(ofPreset);
}

/** The client of a preset's name; a string says why there is none. */
export function presetClient(name: string): ExplainedClient | string {
  const found = findClientPreset(name);
  if ('bytes' in found) return ofPreset(found);
  if (found.length > 0)
    return `Cannot choose a client: '${name}' fits ${found.map((preset) => preset.name).join(', ')}; name one of them`;
  const names = clientPresets().map((preset) => preset.name);
  return `Cannot find the client '${name}', expected one of ${names.join(', ')}`;
}

/** The client whose ClientHello this is (TLS records in hex, white space and colons are nothing); a string says what is wrong. */
export function hexClient(hex: string): ExplainedClient | string {
  const digits = hex.replaceAll(/[\s:]/g, '');
  if (digits.length === 0 || digits.length % 2 !== 0 || !/^[0-9a-f]+$/i.test(digits)) {
    return 'Cannot read --hello: found something else than pairs of hex digits, expected the bytes of a ClientHello record';
  }
  const bytes = Buffer.from(digits, 'hex');
  const read = readHello(bytes);
  if (typeof read === 'string') return `Cannot read --hello: ${read}, expected one whole ClientHello in TLS records`;
  return {
    name: 'hello',
    title: 'the given ClientHello',
    origin: `--hello, ${bytes.length} bytes`,
    hello: (serverName) => {
      if (serverName === undefined) return read;
      const rewritten = readHello(withServerName(bytes, serverName));
      return typeof rewritten === 'string' ? read : rewritten;
    },
  };
}

/** Who asks when nobody is named: the newest browser among the presets. */
export const DEFAULT_CLIENT = 'chromium';

function ofPreset(preset: ClientPreset): ExplainedClient {
  const { name, title, origin } = preset;
  return { name, title, origin, hello: (serverName = null) => presetHello(preset, serverName) };
}

function readHello(bytes: Buffer): ClientHello | string {
  const reader = new HelloReader();
  const status = reader.push(bytes);
  if (reader.hello !== null) return reader.hello;
  return reader.detail === '' ? status : `${status}: ${reader.detail}`;
}
