// The action of each npm script after the tree is built.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { BUILD, ROOT } from './paths.mjs';
import { runTests } from './run-tests.mjs';
import { setUpBenches, setUpMesh, setUpMeshTests, setUpSources, setUpTests } from './setup.mjs';
import { runForeground } from './stage.mjs';
import { outputOf } from './typescript.mjs';

/** `npm run dev`, the one verb that runs sources, and the flags with which Node does. */
const DEVELOP = 'deploy/cli/dev.ts';
const SOURCE_FLAGS = ['--conditions=source', '--import', 'tsx'];

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
      await setUpTests();
      return exitWith(await runTests({ ...FAST_TESTS, filters: args }));
    case 'test:e2e':
      await setUpMeshTests();
      return exitWith(await runTests({ ...E2E_TESTS, filters: args }));
    case 'test:browser':
      await setUpMeshTests();
      return exitWith(await runTests({ ...BROWSER_TESTS, filters: args }));
    case 'dev':
      await setUpSources();
      return exitWith(await runForeground([...SOURCE_FLAGS, join(ROOT, DEVELOP), ...args]));
    case 'bench':
      await setUpBenches();
      return runDeveloperTool('test/perf/bench.ts', args);
    case 'fuzz':
      await setUpTests();
      return runDeveloperTool('test/fuzz/fuzz.ts', args);
    case 'chaos':
      await setUpMeshTests();
      return runDeveloperTool('test/chaos/chaos.ts', args);
    case 'parity':
      await setUpMeshTests();
      return runDeveloperTool('test/parity/parity.ts', args);
    case 'eval':
      await setUpMeshTests();
      return runDeveloperTool('test/eval/eval.ts', args);
  }
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

/** Runs a tool for developers, whose source has this path from the root. */
async function runDeveloperTool(source, args) {
  exitWith(await runForeground(['--enable-source-maps', outputOf(source), ...args]));
}

function exitWith(status) {
  process.exitCode = typeof status === 'number' ? status : 1;
}
