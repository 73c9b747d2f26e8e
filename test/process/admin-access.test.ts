// Who gets in at the admin server of a real process (security rule 38): a token file, a UNIX socket.
import { once } from 'node:events';
import { existsSync, statSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { type ClientRequest, get, type IncomingMessage } from 'node:http';
import { createServer } from 'node:net';
import { afterEach, describe, expect, test } from '@jest/globals';
import { freePort } from '../harness/free-port.ts';
import { runSallyport } from '../harness/run-sallyport.ts';
import { type Scenario, startScenario } from '../harness/scenario.ts';
import { makeTempFolder, type TempFolder } from '../harness/temp-folder.ts';

const SERVICES = [{ name: 'api', protocol: 'HTTP', ports: [9] }] as const;
const TOKEN = '4f1d0a7be2c94d6f8a35b1c07e92d4f6';
const NEXT_TOKEN = 'c9e2a1f0475b4e83b6d7f8091a2b3c4d';
const EVERY_PATH = ['/', '/page.js', '/metrics', '/config', '/certificates', '/backends', '/handshakes', '/nowhere'];

let scenario: Scenario | undefined;
let folder: TempFolder | undefined;
afterEach(async () => {
  await scenario?.stop();
  scenario = undefined;
  folder?.remove();
  folder = undefined;
});

describe('admin.tokenFile (security rule 38)', () => {
  test.each([1, 2])(
    'everything but the probes needs the token, and a changed file changes it, with %i worker(s)',
    async (workers) => {
      const { adminPort, proxy, tokenFile } = await startWithToken(workers);
      for (const path of ['/livez', '/readyz']) expect(await statusOf(adminPort, path)).toMatchObject({ status: 200 });
      for (const path of EVERY_PATH) {
        expect(await statusOf(adminPort, path)).toEqual({ status: 401, challenge: 'Bearer realm="sallyport"' });
        expect(await statusOf(adminPort, path, NEXT_TOKEN)).toEqual({
          status: 401,
          challenge: 'Bearer realm="sallyport", error="invalid_token"',
        });
        const status = path === '/nowhere' ? 404 : 200;
        expect(await statusOf(adminPort, path, TOKEN)).toEqual({ status, challenge: undefined });
      }
      await writeFile(tokenFile, `${NEXT_TOKEN}\n`);
      await proxy.waitForLog(({ msg }) => msg === 'reloaded', 20_000);
      expect(await statusOf(adminPort, '/metrics', TOKEN)).toMatchObject({ status: 401 });
      expect(await statusOf(adminPort, '/metrics', NEXT_TOKEN)).toMatchObject({ status: 200 });
    },
    120_000,
  );

  test('a file that holds none leaves the old token in force, and no token is ever shown', async () => {
    const { adminPort, proxy, tokenFile } = await startWithToken();
    await writeFile(tokenFile, 'too-short-to-be-a-token');
    const refused = await proxy.waitForLog(({ msg }) => msg?.startsWith('reload refused') === true, 20_000);
    expect(String(refused['diagnostics'])).toContain(`Cannot read admin.tokenFile '${tokenFile}': found 23 characters`);
    expect(await statusOf(adminPort, '/config', TOKEN)).toMatchObject({ status: 200 });
    const headers = { authorization: `Bearer ${TOKEN}` };
    const shown = await Promise.all(
      EVERY_PATH.map(async (path) => (await fetch(`http://127.0.0.1:${adminPort}${path}`, { headers })).text()),
    );
    const everything = shown.join() + proxy.text() + JSON.stringify(proxy.log);
    expect(everything).not.toContain(TOKEN);
    expect(everything).not.toContain('too-short-to-be-a-token');
  }, 120_000);
});

describe('admin.socket (security rule 38)', () => {
  test('is a UNIX socket of this user alone, with everything, gone when the process is', async () => {
    const socket = makeTempSocket();
    scenario = await startScenario({ services: SERVICES, sallyport: { admin: { socket } } });
    expect(scenario.proxy.listening['admin']).toBe(socket);
    expect(statSync(socket).mode & 0o777).toBe(0o600);
    for (const path of ['/livez', '/readyz', '/metrics', '/config', '/'])
      expect(await socketStatus(socket, path)).toBe(200);
    expect(await scenario.proxy.stop()).toEqual({ code: 0, signal: null });
    expect(existsSync(socket)).toBe(false);
  }, 120_000);

  test('one that a killed process left is replaced', async () => {
    const socket = makeTempSocket();
    scenario = await startScenario({ services: SERVICES, sallyport: { admin: { socket } } });
    await scenario.proxy.stop('SIGKILL');
    expect(existsSync(socket)).toBe(true);
    const next = await runSallyport({ config: scenario.configFile });
    expect(await socketStatus(socket, '/readyz')).toBe(200);
    expect(statSync(socket).mode & 0o777).toBe(0o600);
    await next.stop('SIGINT');
  }, 120_000);

  test('one at which somebody answers is not, nor what is no socket', async () => {
    const socket = makeTempSocket();
    const other = createServer((connection) => connection.on('error', () => {}).end()).listen(socket);
    await once(other, 'listening');
    const options = { services: SERVICES, sallyport: { admin: { socket } } };
    const refusal = `Cannot listen on ${socket} (sallyport.admin): EADDRINUSE`;
    await expect(startScenario(options)).rejects.toThrow(refusal);
    other.close();
    await once(other, 'close');
    await writeFile(socket, 'precious');
    await expect(startScenario(options)).rejects.toThrow(refusal);
    expect(statSync(socket).size).toBe('precious'.length);
  }, 120_000);
});

async function startWithToken(workers = 1): Promise<Scenario & { readonly tokenFile: string }> {
  folder = makeTempFolder();
  const tokenFile = folder.write('token', `${TOKEN}\n`);
  const adminPort = await freePort();
  scenario = await startScenario({ services: SERVICES, sallyport: { workers, admin: { port: adminPort, tokenFile } } });
  return { ...scenario, adminPort, tokenFile };
}

function makeTempSocket(): string {
  folder = makeTempFolder();
  return folder.file('admin.sock');
}

async function statusOf(
  port: number,
  path: string,
  token?: string,
): Promise<{ status: number | undefined; challenge: string | undefined }> {
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const { statusCode, headers: answered } = await answerTo(
    get({ host: '127.0.0.1', port, path, headers, agent: false }),
  );
  return { status: statusCode, challenge: answered['www-authenticate'] };
}

async function socketStatus(socketPath: string, path: string): Promise<number | undefined> {
  return (await answerTo(get({ socketPath, path, agent: false }))).statusCode;
}

async function answerTo(asked: ClientRequest): Promise<IncomingMessage> {
  const [answer] = (await once(asked, 'response')) as [IncomingMessage];
  answer.resume();
  await once(answer, 'end');
  return answer;
}
