#!/usr/bin/env node
// The `autoglm` command: builds what is missing, then runs the command line.
import { endWithReader } from '../bootstrap/closed-output.mjs';
import { requireNode } from '../bootstrap/toolchain.mjs';

async function main() {
  endWithReader();
  requireNode(process.versions.node);
  const { runCommand } = await import('../bootstrap/verbs.mjs');
  await runCommand(process.argv.slice(2));
}

main().catch((error) => {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
});
