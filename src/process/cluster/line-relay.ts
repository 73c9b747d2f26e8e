import type { Readable } from 'node:stream';
import type { LineSink } from '../../telemetry/line-writer.ts';

/**
 * Carries the lines of a worker's standard output to the one writer of the process: two processes on one pipe would tear the lines
 * beyond PIPE_BUF of each other. A reader that stalls costs lines there, counted, and never holds up a worker.
 * Resolves with what was left without its line feed at the end: a worker that was killed in the middle of a line leaves a part of it.
 */
export function relayLines(from: Readable, to: LineSink): Promise<{ readonly tornBytes: number }> {
  let rest = '';
  let torn = 0;
  from.setEncoding('latin1'); // lines are ASCII; what is not arrives as it left
  from.on('data', (chunk: string) => {
    let start = 0;
    for (let end = chunk.indexOf('\n'); end !== -1; end = chunk.indexOf('\n', start)) {
      to.line(rest === '' ? chunk.slice(start, end) : rest + chunk.slice(start, end));
      rest = '';
      start = end + 1;
    }
    if (start < chunk.length) rest += chunk.slice(start);
    if (rest.length <= MAX_LINE) return;
    torn += rest.length;
    rest = '';
  });
  return new Promise((resolve) => {
    from.on('error', () => {});
    from.on('close', () => resolve({ tornBytes: torn + rest.length }));
  });
}

const MAX_LINE = 1024 * 1024; // the longest line of the log has some ten kilobytes
