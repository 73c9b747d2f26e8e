// What a service manager of Type=notify hears, with the real systemd-notify and a socket of the kind that systemd makes.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { notifyServiceManager } from '#src/process/service-manager.ts';
import { type Scenario, startScenario } from '../harness/scenario.ts';
import { makeTempFolder } from '../harness/temp-folder.ts';
import { nodesOnPath, version } from '../launcher/launcher-copy.ts';

const ROOT = join(import.meta.dirname, '..', '..');

describe('notifyServiceManager()', () => {
  test('says READY=1 with the process id and a status', async () => {
    await using manager = await startManager();
    const failures: string[] = [];
    const env = { ...process.env, NOTIFY_SOCKET: manager.socket };
    notifyServiceManager('READY=1', 'serving 2 addresses', (why) => failures.push(why), env);
    await manager.hears('STATUS=serving 2 addresses');
    expect(failures).toEqual([]);
    expect(manager.text()).toContain(`READY=1\nMAINPID=${process.pid}\nSTATUS=serving 2 addresses`);
  });

  test('reports a manager that cannot be reached', async () => {
    const why = await new Promise<string>((resolve) => {
      notifyServiceManager('READY=1', 'x', resolve, { ...process.env, NOTIFY_SOCKET: '/nonexistent/notify' });
    });
    expect(why).toContain('systemd-notify ended with 1');
  });
});

describe('a service of Type=notify', () => {
  let scenario: Scenario | undefined;
  afterEach(async () => {
    await scenario?.stop();
    scenario = undefined;
  });

  test.each([1, 2])(
    'is ready when /readyz says so and stops when it drains, with %i worker(s)',
    async (workers) => {
      await using manager = await startManager();
      scenario = await startScenario({
        services: SERVICES,
        sallyport: { workers },
        env: { NOTIFY_SOCKET: manager.socket },
      });
      await manager.hears('READY=1');
      expect((await fetch(`http://127.0.0.1:${scenario.adminPort}/readyz`)).status).toBe(200);
      expect(manager.text()).toContain(`READY=1\nMAINPID=${scenario.proxy.pid}\nSTATUS=127.0.0.1:${scenario.port}`);
      expect(manager.text()).not.toContain('STOPPING=1');
      scenario.proxy.signal('SIGTERM');
      expect(await scenario.proxy.ended).toEqual({ code: 0, signal: null });
      await manager.hears('STATUS=draining');
      expect(manager.text()).toContain(`STOPPING=1\nMAINPID=${scenario.proxy.pid}\nSTATUS=draining`);
      // One message each, and none of a worker.
      expect(manager.text().match(/^MAINPID=.*$/gm)).toEqual(Array(2).fill(`MAINPID=${scenario.proxy.pid}`));
    },
    120_000,
  );

  test('serves all the same when the manager cannot be told, and says why', async () => {
    scenario = await startScenario({ services: SERVICES, env: { NOTIFY_SOCKET: '/nonexistent/notify' } });
    const { proxy } = scenario;
    await proxy.waitForLog(({ msg }) => msg === 'cannot tell the service manager', 30_000);
    expect((await fetch(`http://127.0.0.1:${scenario.adminPort}/readyz`)).status).toBe(200);
    expect(proxy.log.filter(({ msg }) => msg === 'cannot tell the service manager')).toEqual([
      expect.objectContaining({ level: 'warn', state: 'READY=1', why: 'systemd-notify ended with 1' }),
    ]);
  }, 120_000);

  // An old node stays as the parent of the pinned one: systemctl stop must reach the latter, once.
  test.each(nodesOnPath().map((node) => [version(node), node]))(
    'names the pid that runs, started by node %s',
    async (_version, node) => {
      await using manager = await startManager();
      scenario = await startScenario({ services: SERVICES });
      await scenario.proxy.stop('SIGINT');
      const launcher = spawn(node, ['bin/sallyport.mjs', 'run', '--config', scenario.configFile], {
        cwd: ROOT,
        env: { ...process.env, NODE_OPTIONS: '', NOTIFY_SOCKET: manager.socket },
        stdio: 'ignore',
      });
      const ended = once(launcher, 'exit');
      try {
        await manager.hears('READY=1');
        const main = Number(/^MAINPID=(\d+)$/m.exec(manager.text())?.[1]);
        expect(readFileSync(`/proc/${main}/cmdline`, 'utf8').split('\0')).toEqual(
          expect.arrayContaining(['--disable-sigusr1', '--v8-pool-size=1', 'run', scenario.configFile]),
        );
        process.kill(main, 'SIGTERM');
        expect(await ended).toEqual([0, null]);
        await manager.hears(`STOPPING=1\nMAINPID=${main}`);
      } finally {
        launcher.kill('SIGKILL');
      }
    },
    120_000,
  );
});

interface ServiceManager extends AsyncDisposable {
  readonly socket: string;
  text(): string;
  /** Resolves once it was told this; rejects after half a minute. */
  hears(wanted: string): Promise<void>;
}

async function startManager(): Promise<ServiceManager> {
  const folder = makeTempFolder();
  const socket = folder.file('notify');
  const receiver = spawn('socat', ['-u', `UNIX-RECVFROM:${socket},fork`, 'STDOUT'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(receiver, 'exit');
  let text = '';
  receiver.stdout.setEncoding('utf8').on('data', (heard: string) => (text += heard));
  const until = async (isSo: () => boolean, what: string) => {
    const deadline = performance.now() + 30_000;
    while (!isSo()) {
      if (performance.now() > deadline) throw new Error(`Cannot find ${what}; the manager was told:\n${text}`);
      await sleep(20);
    }
  };
  await until(() => existsSync(socket), 'the socket');
  return {
    socket,
    text: () => text,
    hears: (wanted) => until(() => text.includes(wanted), wanted),
    async [Symbol.asyncDispose]() {
      receiver.kill('SIGKILL');
      await ended;
      folder.remove();
    },
  };
}

const SERVICES = [{ name: 'api', protocol: 'HTTP', ports: [9] }] as const;
