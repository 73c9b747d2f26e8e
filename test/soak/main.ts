// `npm run soak [-- --help]`: a proxy under mixed traffic with faults, and the account of it.
import { parseOptions, USAGE } from './options.ts';
import { formatReport } from './report.ts';
import { soak } from './soak.ts';

try {
  const args = process.argv.slice(2);
  if (args.includes('--help')) {
    console.log(USAGE);
  } else {
    const report = await soak(parseOptions(args), (text) => console.error(text));
    console.log(formatReport(report));
    process.exitCode = report.mistakes.length === 0 ? 0 : 1;
  }
} catch (error) {
  console.error(error);
  process.exitCode = 1;
}
