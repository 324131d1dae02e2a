// Makes a tree ready for a verb. If the tree has everything, nothing is written and neither network
// nor compiler is needed, so such a tree may be read-only, pruned or offline.
import { accessSync, constants, existsSync } from 'node:fs';
import { join } from 'node:path';
import { CONSOLE } from './console.mjs';
import { installPackages, missingPackages } from './dependencies.mjs';
import { exclusively } from './lock.mjs';
import { ADDON, MACHINE_PEAK, NATIVE_TESTS } from './native.mjs';
import { BUILD, ROOT } from './paths.mjs';
import { describeLack, planSetUp } from './plan.mjs';
import { requireBuildTools } from './toolchain.mjs';
import { TESTS, TYPESCRIPT } from './typescript.mjs';

/** Prepares what a running mesh needs. */
export function setUpMesh() {
  const builds = [ADDON, TYPESCRIPT, CONSOLE];
  return prepare({ builds, needsDev: false, command: 'npm run build' });
}

/** Prepares what `npm run dev` needs, which runs TypeScript from its sources. */
export function setUpSources() {
  const command = 'npm ci --include=dev && npm run build';
  return prepare({ builds: [ADDON, TYPESCRIPT, CONSOLE], needsDev: true, command });
}

/** Prepares what the fast tests need. */
export function setUpTests() {
  const builds = [NATIVE_TESTS, TYPESCRIPT, TESTS];
  return prepare({ builds, needsDev: true, command: 'npm test' });
}

/** Prepares what tests and tools need that start whole meshes. */
export function setUpMeshTests() {
  const builds = [ADDON, TYPESCRIPT, CONSOLE, TESTS];
  return prepare({ builds, needsDev: true, command: 'npm ci --include=dev && npm run build' });
}

/** Prepares what the benchmarks need, some of which start a mesh. */
export function setUpBenches() {
  const builds = [ADDON, MACHINE_PEAK, TYPESCRIPT, CONSOLE, TESTS];
  return prepare({ builds, needsDev: true, command: 'npm run bench' });
}

async function prepare(needs) {
  const onWait = () => process.stderr.write('[set-up] waiting for another set-up of this tree\n');
  await exclusively(async () => {
    const plan = planSetUp(needs, missingPackages);
    if (plan.packages.length > 0 || plan.builds.length > 0) await carryOut(plan, needs.command);
  }, onWait);
}

async function carryOut(plan, command) {
  const { packages, builds, withDev } = plan;
  // Refuses before minutes are spent on installing.
  requireWritable(plan, command);
  if (builds.some(({ needsCompiler }) => needsCompiler)) requireBuildTools();
  if (packages.length > 0) await installPackages(withDev);
  for (const { build } of builds) await build();
}

/**
 * Refuses a tree that cannot be written; `command` is the one that, in a writable tree, makes what
 * this tree lacks.
 */
function requireWritable(plan, command) {
  const folders = [ROOT];
  if (plan.packages.length > 0) folders.push(join(ROOT, 'node_modules'));
  if (plan.builds.length > 0) folders.push(BUILD);
  const closed = folders.filter(existsSync).find((folder) => !isWritable(folder));
  if (closed === undefined) return;
  const where = `${closed} cannot be written; run "${command}" where it can be`;
  throw new Error(`${describeLack(plan)}; ${where}`);
}

function isWritable(folder) {
  try {
    accessSync(folder, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
