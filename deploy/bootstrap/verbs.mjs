// The action of each npm script after the tree is built.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { BUILD, ROOT } from './paths.mjs';
import { runTests } from './run-tests.mjs';
import { setUpBenches, setUpMesh, setUpSources, setUpTests } from './setup.mjs';
import { SOURCE_FLAGS } from './source.mjs';
import { runForeground } from './stage.mjs';

const MAIN = join(BUILD, 'deploy', 'cli', 'main.js');

/** Commands that start nothing, so that a build of whatever sources serves them. */
const ASKING = [
  ...['status', 'chat', 'call', 'verify', 'observe'],
  ...['help', '--help', '-h', '--version', undefined],
];

const FAST_TESTS = {
  layers: ['test/unit', 'test/structure', 'test/parity', 'test/contract'],
  alone: [],
  native: true,
};
/** Those of `alone` measure times, such as how long streams pause, and need the machine to themselves. */
const E2E_TESTS = { layers: ['test/e2e'], alone: ['test/e2e/alone'], native: false };

/** The browser's tests start a mesh each and take pictures of what moves, so they run in turn too. */
const BROWSER_TESTS = { layers: ['test/browser'], alone: ['test/browser'], native: false };

/** Sets up and runs the verb; resolves to the verb's exit status. */
export async function handOver(verb, args) {
  switch (verb) {
    case 'build':
      return setUpMesh();
    case 'start':
    case 'serve':
      return runCommand(['serve', ...args]);
    case 'observe':
      return runCommand(['observe', ...args]);
    case 'test':
      return runFastTests(args);
    case 'test:e2e':
      await setUpSources();
      return exitWith(await runTests({ ...E2E_TESTS, filters: args }));
    case 'test:browser':
      await setUpSources();
      return exitWith(await runTests({ ...BROWSER_TESTS, filters: args }));
    case 'dev':
      await setUpSources();
      return runSource('deploy/cli/dev.ts', args);
    case 'bench':
      await setUpBenches();
      return runSource('test/perf/bench.ts', args);
    case 'fuzz':
      await setUpTests();
      return runSource('test/fuzz/fuzz.ts', args);
    case 'chaos':
      await setUpSources();
      return runSource('test/chaos/chaos.ts', args);
    case 'parity':
      await setUpSources();
      return runSource('test/parity/parity.ts', args);
    case 'eval':
      await setUpSources();
      return runSource('test/eval/eval.ts', args);
  }
}

/**
 * Runs the fast tests. All of them are hundreds of processes, which start in half the time if they
 * need not read TypeScript; for a few, compiling them first would take longer than they do.
 */
async function runFastTests(filters) {
  const compiled = filters.length === 0;
  await setUpTests({ compiled });
  exitWith(await runTests({ ...FAST_TESTS, filters, compiled }));
}

/** Runs the `autoglm` command in this process, so that a signal to it reaches the mesh. */
export async function runCommand(args) {
  // A question to a mesh is not worth a look at every source.
  if (!ASKING.includes(args[0]) || !isBuilt()) await setUpMesh();
  const { runCli } = await import(pathToFileURL(MAIN).href);
  await runCli(args);
}

function isBuilt() {
  return existsSync(MAIN) && existsSync(join(ROOT, 'node_modules', '.package-lock.json'));
}

async function runSource(file, args) {
  exitWith(await runForeground([...SOURCE_FLAGS, join(ROOT, file), ...args]));
}

function exitWith(status) {
  process.exitCode = typeof status === 'number' ? status : 1;
}
