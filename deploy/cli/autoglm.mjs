#!/usr/bin/env node
// The `autoglm` command: builds what is missing, then runs the command line.
import { enter } from '../bootstrap/enter.mjs';

enter(async (...args) => {
  const { runCommand } = await import('../bootstrap/verbs.mjs');
  await runCommand(args);
});
