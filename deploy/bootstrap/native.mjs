// Builds the native addon, and its tests where asked for, with CMake: only when a source changed.
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, totalmem } from 'node:os';
import { join } from 'node:path';
import { BUILD } from './paths.mjs';
import { runTool, stage } from './stage.mjs';
import { contentHash, isStamped, writeStamp } from './stamp.mjs';
import { findProgram, requireBuildTools } from './toolchain.mjs';

const ADDON = join(BUILD, 'native', 'autoglm.node');
const CMAKE_FOLDER = join(BUILD, 'cmake');
// Stands while the compiler runs: what a killed compiler left must not pass for built.
const UNFINISHED = join(BUILD, 'stamps', 'native-unfinished');
const JOB_BYTES = 1.5 * 2 ** 30;

const ADDON_SOURCES = ['native', 'package-lock.json'];
const TEST_SOURCES = [...ADDON_SOURCES, 'test/native'];

/** True when the addon is there and its sources have not changed since. */
export function isAddonBuilt() {
  return existsSync(ADDON) && isStamped('native', contentHash(ADDON_SOURCES, isNativeSource));
}

/** Builds what the processes load. */
export async function buildAddon() {
  const hash = contentHash(ADDON_SOURCES, isNativeSource);
  if (isAddonBuilt()) return;
  await build('building the native addon', 'autoglm_addon');
  writeStamp('native', hash);
}

/** Builds the addon and the programs ctest runs. */
export async function buildNativeTests() {
  const hash = contentHash(TEST_SOURCES, isNativeSource);
  if (existsSync(ADDON) && isStamped('native-tests', hash)) return;
  await build('building the native addon and its tests', 'all');
  writeStamp('native', contentHash(ADDON_SOURCES, isNativeSource));
  writeStamp('native-tests', hash);
}

/** Builds the program that measures the machine's limits, for the benches. */
export async function buildMachinePeak() {
  const hash = contentHash([...ADDON_SOURCES, 'test/perf'], isNativeSource);
  if (isStamped('machine-peak', hash)) return;
  await build('building the meter of the machine', 'print_machine_peak');
  writeStamp('machine-peak', hash);
}

function isNativeSource(path) {
  return /\.(cc|h|hpp|cu|cuh|txt|cmake|json)$/.test(path);
}

async function build(title, target) {
  requireBuildTools();
  await stage(title, async () => {
    await configure();
    const jobs = Math.max(1, Math.min(availableParallelism(), Math.floor(totalmem() / JOB_BYTES)));
    const clean = existsSync(UNFINISHED) ? ['--clean-first'] : [];
    mkdirSync(join(BUILD, 'stamps'), { recursive: true });
    writeFileSync(UNFINISHED, '');
    const args = [
      '--build',
      CMAKE_FOLDER,
      '--target',
      target,
      '--parallel',
      String(jobs),
      ...clean,
    ];
    try {
      await runTool('cmake', args);
    } finally {
      // A compiler that failed removed its output itself; only a kill leaves half a file.
      rmSync(UNFINISHED, { force: true });
    }
  });
}

/** Configures; a folder that an interrupted or moved configuration left behind is made anew. */
async function configure() {
  const generator = findProgram('ninja') === undefined ? 'Unix Makefiles' : 'Ninja';
  const args = ['-S', 'native', '-B', CMAKE_FOLDER, '-DCMAKE_BUILD_TYPE=Release'];
  const isFresh = !existsSync(join(CMAKE_FOLDER, 'CMakeCache.txt'));
  if (isFresh) args.push('-G', generator);
  try {
    await runTool('cmake', args);
  } catch (error) {
    if (isFresh) throw error;
    rmSync(CMAKE_FOLDER, { recursive: true, force: true });
    await configure();
  }
}
