// The beginning and the end of every program that a user starts.
import { endWithReader } from './closed-output.mjs';
import { endBy, Interruption, listenForEnd } from './ending.mjs';
import { requireNode } from './toolchain.mjs';

/** Runs `main` with the command line's arguments; a refusal is one clear line and exit status 1. */
export async function enter(main) {
  endWithReader();
  listenForEnd();
  try {
    requireNode(process.versions.node);
    await main(...process.argv.slice(2));
  } catch (error) {
    process.stderr.write(`${error.message}\n`);
    if (error instanceof Interruption) endBy(error.signal);
    process.exitCode = 1;
  }
}
