import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, renameSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LineWriter } from '#src/telemetry/line-writer.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'line-writer-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

describe('LineWriter to a file', () => {
  test('writes every line in order, long ones among them', async () => {
    const path = join(folder, 'log');
    const writer = LineWriter.toFile(path);
    const lines = Array.from({ length: 5000 }, (_, i) => (i % 100 === 0 ? 'L'.repeat(70_000) : `line ${i}`));
    for (const line of lines) {
      writer.line(line);
      if (line.length > 1000) await writer.drain(5000);
    }
    await writer.close(5000);
    expect(readFileSync(path, 'latin1').split('\n')).toEqual([...lines, '']);
    expect(writer.droppedLines).toBe(0);
  });

  test('makes the file 0600 and appends to one that is there', async () => {
    const path = join(folder, 'log');
    for (const line of ['one', 'two']) {
      const writer = LineWriter.toFile(path);
      writer.line(line);
      await writer.close(5000);
    }
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readFileSync(path, 'latin1')).toBe('one\ntwo\n');
  });

  test('refuses a symbolic link', () => {
    const target = join(folder, 'passwd');
    writeFileSync(target, '');
    symlinkSync(target, join(folder, 'log'));
    expect(() => LineWriter.toFile(join(folder, 'log'))).toThrow(expect.objectContaining({ code: 'ELOOP' }));
  });

  test('writes without being asked within a moment', async () => {
    const path = join(folder, 'log');
    const writer = LineWriter.toFile(path);
    writer.line('soon');
    while (statSync(path).size === 0) await new Promise((resolve) => setTimeout(resolve, 10));
    expect(readFileSync(path, 'latin1')).toBe('soon\n');
    await writer.close(5000);
  });

  test('`reopen()` goes on in a new file and loses nothing', async () => {
    const path = join(folder, 'log');
    const writer = LineWriter.toFile(path);
    writer.line('before');
    renameSync(path, `${path}.1`);
    expect(writer.reopen()).toBe(true);
    writer.line('after');
    await writer.close(5000);
    expect(readFileSync(`${path}.1`, 'latin1')).toBe('before\n');
    expect(readFileSync(path, 'latin1')).toBe('after\n');
  });

  test('`reopen()` keeps the old file, and says so in it, when there is no new one to open', async () => {
    const path = join(folder, 'log');
    const writer = LineWriter.toFile(path);
    renameSync(path, `${path}.1`);
    symlinkSync(`${path}.1`, path);
    writer.reopen();
    writer.line('still here');
    await writer.close(5000);
    const lines = readFileSync(`${path}.1`, 'latin1').trimEnd().split('\n');
    expect(lines).toContain('still here');
    expect(lines.some((line) => line.includes('Cannot reopen the log file') && line.includes('ELOOP'))).toBe(true);
  });

  test('drops lines beyond its bound, counts them, and says so where they are missing', async () => {
    const path = join(folder, 'log');
    const writer = LineWriter.toFile(path);
    const lines = 20_000; // 20 MB in one turn of the loop, in which no write can finish
    for (let i = 0; i < lines; i++) writer.line('x'.repeat(1000));
    await writer.close(10_000);
    const written = readFileSync(path, 'latin1').trimEnd().split('\n');
    const notice = written.filter((line) => line.includes('droppedLines')).map((line) => JSON.parse(line) as object);
    expect(writer.droppedLines).toBeGreaterThan(0);
    expect(notice.at(-1)).toMatchObject({ level: 'warn', droppedLines: writer.droppedLines });
    expect(written.length - notice.length + writer.droppedLines).toBe(lines);
  });

  test('`flushSync()` saves what waits when the process exits', () => {
    const path = join(folder, 'log');
    runScript(`
      const writer = LineWriter.toFile(${JSON.stringify(path)});
      process.on('exit', () => writer.flushSync());
      for (let i = 0; i < 500; i++) writer.line('line ' + i + ' ' + 'x'.repeat(1000));
      process.exit(0);`);
    const written = readFileSync(path, 'latin1').trimEnd().split('\n');
    expect(new Set(written.map((line) => line.split(' ')[1])).size).toBe(500);
    expect(written.every((line) => line.length > 1000)).toBe(true);
  });

  test('a full disk loses lines, not the process, and the loss is counted', async () => {
    const writer = LineWriter.toFile('/dev/full');
    writer.line('lost');
    await writer.drain(5000);
    expect(writer.droppedLines).toBe(1);
    await writer.close(5000);
  });
});

describe('LineWriter to a pipe', () => {
  test('delivers everything to a reader that is slow but reads', () => {
    const output = runScript(
      `
      const writer = LineWriter.toDescriptor(1);
      for (let i = 0; i < 5000; i++) writer.line('line ' + i + ' ' + 'x'.repeat(100));
      await writer.close(10_000);`,
      'sleep 0.3; cat',
    );
    expect(
      output
        .trimEnd()
        .split('\n')
        .map((line) => line.split(' ')[1]),
    ).toEqual(Array.from({ length: 5000 }, (_, i) => String(i)));
  });

  test('two processes on one pipe never tear each other’s lines', () => {
    const script = `
      const writer = LineWriter.toDescriptor(1);
      for (let i = 0; i < 3000; i++) { writer.line(process.argv[1] + 'x'.repeat(300) + process.argv[1]); if (i % 50 === 0) await new Promise(setImmediate); }
      await writer.close(10_000);`;
    const one = scriptArguments(script);
    const quoted = [process.execPath, ...one].map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(' ');
    const output = execFileSync('sh', ['-c', `(${quoted} a & ${quoted} b; wait) | (sleep 0.3; cat)`], {
      encoding: 'latin1',
      maxBuffer: 64 * 1024 * 1024,
    });
    const lines = output.trimEnd().split('\n');
    expect(lines).toHaveLength(6000);
    expect(lines.filter((line) => !/^(a|b)x{300}\1$/.test(line))).toEqual([]);
  });

  test('a reader that never reads stops neither the event loop nor the exit', async () => {
    const child = spawn(
      process.execPath,
      scriptArguments(`
        const writer = LineWriter.toDescriptor(1);
        process.on('exit', () => writer.flushSync());
        for (let i = 0; i < 20_000; i++) writer.line('x'.repeat(1000));
        await new Promise((resolve) => setTimeout(resolve, 50));
        process.stderr.write('dropped ' + (writer.droppedLines > 0));
        process.exit(7);`),
      { stdio: ['ignore', 'pipe', 'pipe'] },
    );
    child.stdout.pause();
    let text = '';
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
    const code = await new Promise((resolve) => child.on('exit', resolve));
    child.stdout.destroy();
    expect(code).toBe(7);
    expect(text).toBe('dropped true');
  });
});

/** Runs a module that has LineWriter in scope; returns what came through the pipe on its standard output. */
function runScript(script: string, reader = 'cat'): string {
  const quoted = [process.execPath, ...scriptArguments(script)].map((word) => `'${word.replaceAll("'", "'\\''")}'`);
  return execFileSync('sh', ['-c', `${quoted.join(' ')} | (${reader})`], { encoding: 'latin1', maxBuffer: 1 << 26 });
}

function scriptArguments(script: string): string[] {
  const module = JSON.stringify(new URL('../../src/telemetry/line-writer.ts', import.meta.url).href);
  return ['--input-type=module', '-e', `import { LineWriter } from ${module};\n${script}`];
}
