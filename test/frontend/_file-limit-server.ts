// Run by file-limit.test.ts under `ulimit -n 256`, by strict-parser.test.ts with a flag: prints port and limit, then what is reported, one line each.
import { openFileLimit } from '#src/frontend/admission.ts';
import { startTlsDoor } from './_tls-door.ts';

const door = await startTlsDoor({
  limits: { connections: 10_000, connectionsPerAddress: 10_000, unfinishedHandshakes: 10_000 },
});
process.stdout.write(`${JSON.stringify({ port: door.port, fileLimit: openFileLimit() })}\n`);
door.recorder.onAcceptPaused = (reason) => {
  process.stdout.write(`${JSON.stringify({ reason })}\n`);
};
process.stdin.resume().on('end', () => process.exit(0)); // with the test that started it
