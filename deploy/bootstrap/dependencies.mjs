// Installs the npm packages when node_modules is not what package-lock.json asks for.
import { mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './paths.mjs';
import { runTool, stage } from './stage.mjs';

/** Brings node_modules to the state of the lockfile. */
export async function installDependencies() {
  if (!isInstalled()) {
    await stage('installing npm packages', installByLockfile);
  }
  linkOwnCommand();
}

/**
 * Installs what the lockfile names and leaves it as it is. Not by `npm ci`: that refuses a lockfile
 * without the optional packages of platforms it was not written on. No package may run code at
 * installation; none of ours needs to.
 */
async function installByLockfile() {
  await runTool('npm', ['install', '--no-save', '--ignore-scripts', '--no-audit', '--no-fund']);
  if (!isInstalled()) throw new Error('npm installed something else than package-lock.json names');
}

/**
 * Compares the lockfile npm leaves in node_modules as its last act with ours; packages it lacks may
 * only be the optional ones of other platforms. An interrupted installation leaves none.
 */
function isInstalled() {
  const wanted = readPackages(join(ROOT, 'package-lock.json'));
  const found = readPackages(join(ROOT, 'node_modules', '.package-lock.json'));
  if (wanted === undefined) throw new Error('package-lock.json is missing or not JSON');
  if (found === undefined) return false;
  return Object.entries(wanted).every(([path, { version, integrity, optional }]) => {
    const one = found[path];
    if (path === '') return true;
    if (one === undefined) return optional === true;
    return one.version === version && one.integrity === integrity;
  });
}

function readPackages(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8')).packages;
  } catch {
    return undefined;
  }
}

/** Lets `npx autoglm` find this package's own command: npm links only those of dependencies. */
function linkOwnCommand() {
  const folder = join(ROOT, 'node_modules', '.bin');
  const link = join(folder, 'autoglm');
  const target = join('..', '..', 'deploy', 'cli', 'autoglm.mjs');
  mkdirSync(folder, { recursive: true });
  try {
    symlinkSync(target, link);
  } catch (error) {
    if (error.code !== 'EEXIST') throw error;
  }
}
