#!/usr/bin/env node
// The `sallyport` command. Plain JavaScript that an old system node can read: it finds the Node that the lock file pins
// (or stays on its own where that is exactly this version, as in the container image) and runs the command line on it.
import { runSallyport } from './pinned-node.mjs';

process.exitCode = await runSallyport(process.argv.slice(2));
