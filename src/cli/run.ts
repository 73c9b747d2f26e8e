import { StartError, startProxy } from '../process/run.ts';

/** `sallyport run`: 0 after a drain, 1 if it could not start. */
export async function runCommand(options: { config: string }): Promise<number> {
  try {
    const proxy = await startProxy({ configPath: options.config });
    return await proxy.ended;
  } catch (error) {
    if (!(error instanceof StartError)) throw error;
    process.stderr.write(`${error.message}\n`);
    return 1;
  }
}
