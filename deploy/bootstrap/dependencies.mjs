// Installs the npm packages if node_modules is not as package-lock.json demands.
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Interruption } from './ending.mjs';
import { ROOT } from './paths.mjs';
import { lackingPackages, listShortly } from './plan.mjs';
import { runTool, stage } from './stage.mjs';

const LOCKFILE = join(ROOT, 'package-lock.json');
/** The lockfile that npm writes into node_modules at the end of an installation. */
const INSTALLED = join(ROOT, 'node_modules', '.package-lock.json');

const MACHINE = { os: process.platform, cpu: process.arch, libc: libcName };

/**
 * Returns the paths of packages that the lockfile names and node_modules lacks; `withDev` adds
 * development packages.
 */
export function missingPackages(withDev) {
  const wanted = readPackages(LOCKFILE);
  if (wanted === undefined) throw new Error(`${LOCKFILE} is missing or not JSON`);
  const found = readPackages(INSTALLED) ?? {};
  const isThere = ([path]) => existsSync(join(ROOT, path, 'package.json'));
  const there = Object.fromEntries(Object.entries(found).filter(isThere));
  return lackingPackages({ wanted, found: there, withDev, machine: MACHINE });
}

/**
 * Installs the packages that the lockfile names. None may run code at installation; none needs to.
 */
export async function installPackages(withDev) {
  // npm removes packages in no fixed order, so an interrupted removal must not look complete.
  rmSync(INSTALLED, { force: true });
  // Set regardless of NODE_ENV, which is about running programs, not about building them.
  const kinds = withDev ? ['dev', 'optional'] : ['optional'];
  const include = kinds.map((kind) => `--include=${kind}`);
  const args = ['ci', '--ignore-scripts', '--no-audit', '--no-fund', ...include];
  let failure = '';
  await stage('installing npm packages', () => runTool('npm', args)).catch((error) => {
    if (error instanceof Interruption) throw error;
    failure = `${error.message}\n`;
  });
  const missing = missingPackages(withDev);
  if (failure === '' && missing.length === 0) return;
  const how = `"npm ${args.join(' ')}" installs them where npm has a network or a filled cache`;
  throw new Error(`${failure}missing: npm packages (${listShortly(missing)}); ${how}`);
}

function readPackages(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8')).packages;
  } catch {
    return undefined;
  }
}

/** Returns the name of the C library as lockfiles write it. */
function libcName() {
  // Network addresses are not needed, and resolving their names without a network takes seconds.
  process.report.excludeNetwork = true;
  return process.report.getReport().header.glibcVersionRuntime === undefined ? 'musl' : 'glibc';
}
