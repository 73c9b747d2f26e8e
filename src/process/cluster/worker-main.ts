// What a worker process runs. A terminal and a service manager signal the whole process group: only the primary decides what that means.
import { hardenRuntime } from '../runtime-guard.ts';

for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGUSR2'] as const) process.on(signal, () => {});
hardenRuntime();
const { runWorker } = await import('./worker.ts'); // after the handlers: it takes a moment to load
runWorker(process.argv[2] ?? '');
