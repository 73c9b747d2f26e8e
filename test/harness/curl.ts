import { execFile } from 'node:child_process';

export interface CurlResult {
  /** 0: curl got a response. */
  readonly exitCode: number;
  readonly status: number;
  /** '1.1' or '2' */
  readonly httpVersion: string;
  readonly body: string;
  readonly error: string;
}

/** Runs the real curl with these arguments; never rejects on a failed transfer. */
export function curl(...args: readonly string[]): Promise<CurlResult> {
  const all = [
    '--silent',
    '--show-error',
    '--max-time',
    '20',
    '--write-out',
    '\n%{http_code} %{http_version}',
    ...args,
  ];
  return new Promise((resolve) => {
    execFile('curl', all, { maxBuffer: 16 * 1024 * 1024 }, (failure, stdout, stderr) => {
      const end = stdout.lastIndexOf('\n');
      const [status = '0', httpVersion = ''] = stdout.slice(end + 1).split(' ');
      const exitCode = failure === null ? 0 : Number(failure.code ?? 1);
      resolve({
        exitCode,
        status: Number(status),
        httpVersion,
        body: stdout.slice(0, Math.max(end, 0)),
        error: stderr,
      });
    });
  });
}
