// Ctrl-C at a terminal reaches the launcher and its child alike. `script` (util-linux) gives us the terminal.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { collect, copyOfLauncher, nodesOnPath, version } from '../launcher/launcher-copy.ts';

const ROOT = join(import.meta.dirname, '..', '..');

test.each(nodesOnPath().map((node) => [version(node), node]))(
  'on node %s one Ctrl-C is one SIGINT, so that it begins a drain and does not cut it short',
  async (_version, node) => {
    using folder = copyOfLauncher();
    symlinkSync(join(ROOT, 'node_modules'), folder.file('node_modules'));
    const terminal = spawn('script', ['-qefc', `${node} bin/sallyport.mjs stay`, '/dev/null'], { cwd: folder.path });
    const output = collect(terminal);
    const ended = once(terminal, 'close');
    await output.until('started');
    const { pid } = JSON.parse(/started (.*)/.exec(output.text())?.[1] ?? '{}') as { pid: number };
    try {
      terminal.stdin.write('\x03');
      await output.until('received SIGINT');
      await new Promise((resolve) => setTimeout(resolve, 1000)); // a second one would be here by then
      expect(output.text().match(/received SIGINT/g)).toHaveLength(1);
      terminal.stdin.write('\x03');
      await output.until('received SIGINT', 2);
    } finally {
      process.kill(pid, 'SIGTERM');
    }
    await ended;
    expect(output.text()).toContain('received SIGTERM');
  },
);
