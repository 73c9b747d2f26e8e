import { connect } from 'node:net';
import { cipherSuiteName } from '#src/tls/cipher-suite-names.ts';
import { clientPresets } from '#src/tls/client-presets.ts';
import { withServerName } from '#src/tls/client-presets-sni.ts';
import { versionName } from '#src/tls/tls-version.ts';
import { type RunningSallyport, runSallyport } from '../harness/run-sallyport.ts';
import { makeWorld, type World, worldPorts } from './_world.ts';

// What `explain policy` says, against the running proxy: every preset's bytes to every proxy.
let world: World;
let ports: Record<string, number>;
let proxy: RunningSallyport;
beforeAll(async () => {
  const port = await worldPorts();
  ports = { pair: port, one: port + 1, open: port + 2, mapped: port + 3, stream: port + 4 };
  world = await makeWorld({ port });
  proxy = await runSallyport({ config: world.config });
}, 30_000);
afterAll(async () => {
  await proxy.stop();
  world.folder.remove();
});

interface Outcome {
  readonly name: string;
  readonly negotiated: { readonly version: string; readonly suite: string } | null;
  readonly failure: { readonly reason: string } | null;
}

test.each(['pair', 'one', 'open', 'mapped', 'stream'])(
  'what is explained for %s is what the running proxy does',
  async (name) => {
    const { answer } = await world.explainJson('policy', '--proxy', name, '--sni', 'site.example');
    for (const { name: client, negotiated, failure } of (answer as { clients: readonly Outcome[] }).clients) {
      const { bytes } = clientPresets().find((preset) => preset.name === client)!;
      const flight = await answerTo(withServerName(bytes, 'site.example'), ports[name]!);
      if (negotiated !== null) {
        const { version, suite } = negotiated;
        expect({ client, ...flight }).toEqual({ client, version, suite });
        continue;
      }
      expect({ client, ...flight }).toEqual({ client, alert: expect.any(Number) });
      const line = await proxy.waitForLog((candidate) => {
        return (
          candidate.msg === 'handshake' && candidate['targetProxy'] === name && candidate['reason'] === failure!.reason
        );
      });
      expect(line['side']).toBe('proxy');
    }
  },
);

type Flight =
  | { readonly version: string; readonly suite: string }
  | { readonly alert: number }
  | { readonly closed: true };

/** Version and suite of the ServerHello, or the alert. */
function answerTo(hello: Buffer, port: number): Promise<Flight> {
  return new Promise((resolve, reject) => {
    let received = Buffer.alloc(0);
    const socket = connect(port, '127.0.0.1', () => socket.write(hello));
    socket.on('error', reject);
    socket.on('close', () => resolve({ closed: true }));
    socket.on('data', (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      if (received.length < 5 || received.length < 5 + received.readUInt16BE(3)) return;
      resolve(readFlight(received));
      socket.destroy();
    });
  });
}

function readFlight(record: Buffer): Flight {
  if (record[0] === 21) return { alert: record[6]! };
  const suiteAt = 5 + 4 + 2 + 32 + 1 + record[43]!;
  const suite = cipherSuiteName(record.readUInt16BE(suiteAt));
  const extensions = record.subarray(suiteAt + 5, 5 + 4 + record.readUIntBE(6, 3));
  for (let at = 0; at < extensions.length; at += 4 + extensions.readUInt16BE(at + 2)) {
    if (extensions.readUInt16BE(at) === 43) return { version: versionName(extensions.readUInt16BE(at + 4)), suite };
  }
  return { version: versionName(record.readUInt16BE(9)), suite };
}
