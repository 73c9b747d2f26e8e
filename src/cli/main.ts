import { hardenRuntime, runtimeRefusals } from '../process/runtime-guard.ts';
import { buildProgram } from './program.ts';

hardenRuntime();
const refusals = runtimeRefusals(process.env, process.execArgv, process.versions.node);
if (refusals.length > 0) {
  for (const refusal of refusals) process.stderr.write(`sallyport: ${refusal}\n`);
  process.exitCode = 1;
} else {
  process.exitCode = await buildProgram().run(process.argv.slice(2));
}
