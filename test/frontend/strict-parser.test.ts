import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { connect } from 'node:tls';

// The command line refuses the flag (runtime-guard.test.ts); this holds where it is passed by.
test('--insecure-http-parser makes our parser lenient in nothing (security rule 11)', async () => {
  const script = join(import.meta.dirname, '_file-limit-server.ts');
  const server = spawn(process.execPath, ['--insecure-http-parser', script], { stdio: ['pipe', 'pipe', 'inherit'] });
  const [line] = (await once(createInterface({ input: server.stdout }), 'line')) as [string];
  const { port } = JSON.parse(line) as { port: number };
  const answers: [string, string][] = [];
  for (const [what, rest] of HEADS) answers.push([what, await answerTo(port, rest)]);
  server.stdin.end();
  await once(server, 'exit');
  expect(answers).toEqual(HEADS.map(([what, , status]) => [what, `HTTP/1.1 ${status}`]));
});

/** What follows the request line, and what it is answered. */
const HEADS: readonly (readonly [string, string, number])[] = [
  ['an ordinary request', 'Host: a\r\nContent-Length: 1\r\n\r\n1', 200],
  ['Content-Length beside chunked', 'Host: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n', 400],
  ['a control character in a value', 'Host: a\r\nX: 1\x012\r\nContent-Length: 1\r\n\r\n1', 400],
  ['a value that goes on in the next line', 'Host: a\r\nX: 1\r\n 2\r\nContent-Length: 1\r\n\r\n1', 400],
  ['a line that ends with LF', 'Host: a\nX: 1\nContent-Length: 1\n\n1', 400],
];

async function answerTo(port: number, rest: string): Promise<string> {
  const client = connect({ port, host: '127.0.0.1', servername: 'localhost', rejectUnauthorized: false });
  client.write(`POST / HTTP/1.1\r\n${rest}`, 'latin1');
  const [first] = (await once(client, 'data')) as [Buffer];
  client.destroy();
  return first.toString('latin1', 0, 'HTTP/1.1 200'.length);
}
