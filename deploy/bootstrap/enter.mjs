// What every program that a user starts does first and last.
import { endWithReader } from './closed-output.mjs';
import { endBy, Interruption, listenForEnd } from './ending.mjs';
import { requireNode } from './toolchain.mjs';

/** Runs `main` with the arguments of the command line; a refusal is one clear line and status 1. */
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
