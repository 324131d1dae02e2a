// Installs the npm packages when node_modules is not what package-lock.json asks for.
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Interruption } from './ending.mjs';
import { ROOT } from './paths.mjs';
import { lackingPackages, listShortly } from './plan.mjs';
import { runTool, stage } from './stage.mjs';

const LOCKFILE = join(ROOT, 'package-lock.json');
/** The lockfile npm leaves in node_modules as its last act. */
const INSTALLED = join(ROOT, 'node_modules', '.package-lock.json');

const MACHINE = { os: process.platform, cpu: process.arch, libc: libcName };

/** Paths of the packages the lockfile names and node_modules lacks, development packages too or not. */
export function missingPackages(withDev) {
  const wanted = readPackages(LOCKFILE);
  if (wanted === undefined) throw new Error(`${LOCKFILE} is missing or not JSON`);
  const found = readPackages(INSTALLED) ?? {};
  const isThere = ([path]) => existsSync(join(ROOT, path, 'package.json'));
  const there = Object.fromEntries(Object.entries(found).filter(isThere));
  return lackingPackages({ wanted, found: there, withDev, machine: MACHINE });
}

/** Installs what the lockfile names. No package may run code at installation; none of ours needs to. */
export async function installPackages(withDev) {
  // npm removes what is there in no order: broken off, it must not pass for complete.
  rmSync(INSTALLED, { force: true });
  // Whatever NODE_ENV says: it is about how programs run, not about building them.
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

/** The C library as lockfiles name it. */
function libcName() {
  // Addresses are not needed, and finding their names would take seconds without a network.
  process.report.excludeNetwork = true;
  return process.report.getReport().header.glibcVersionRuntime === undefined ? 'musl' : 'glibc';
}
