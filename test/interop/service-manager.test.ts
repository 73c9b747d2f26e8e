// What a service manager of Type=notify hears, with the real systemd-notify and a socket of the kind that systemd makes.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { notifyServiceManager } from '#src/process/service-manager.ts';
import { makeTempFolder } from '../harness/temp-folder.ts';

test('READY=1 with the process id and a status', async () => {
  using folder = makeTempFolder();
  const socket = folder.file('notify');
  const receiver = spawn('socat', ['-u', `UNIX-RECVFROM:${socket},fork`, 'STDOUT'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(receiver, 'exit');
  let heard = '';
  receiver.stdout.setEncoding('utf8').on('data', (text: string) => (heard += text));
  try {
    while (!existsSync(socket)) await sleep(20);
    const failures: string[] = [];
    notifyServiceManager('READY=1', 'serving 2 addresses', (why) => failures.push(why), {
      ...process.env,
      NOTIFY_SOCKET: socket,
    });
    while (!heard.includes('STATUS=serving 2 addresses') && failures.length === 0) await sleep(20);
    expect(failures).toEqual([]);
    expect(heard).toContain(`READY=1\nMAINPID=${process.pid}\nSTATUS=serving 2 addresses`);
  } finally {
    receiver.kill('SIGKILL');
    await ended;
  }
});

test('a manager that cannot be reached costs a message', async () => {
  const why = await new Promise<string>((resolve) => {
    notifyServiceManager('READY=1', 'x', resolve, { ...process.env, NOTIFY_SOCKET: '/nonexistent/notify' });
  });
  expect(why).toContain('systemd-notify ended with 1');
});
