#!/usr/bin/env node
// The `autoglm` command: builds the missing parts, then runs the command line.
import { enter } from '../bootstrap/enter.mjs';

enter(async (...args) => {
  const { runCommand } = await import('../bootstrap/verbs.mjs');
  await runCommand(args);
});
