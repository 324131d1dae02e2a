// Builds the native addon, and its tests if asked for, with CMake, only if a source has changed.
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, totalmem } from 'node:os';
import { join } from 'node:path';
import { Interruption } from './ending.mjs';
import { BUILD } from './paths.mjs';
import { shareOf } from './progress.mjs';
import { runTool, stage } from './stage.mjs';
import { contentHash, isStamped, writeStamp } from './stamp.mjs';
import { findProgram } from './toolchain.mjs';

const ADDON_FILE = join(BUILD, 'native', 'autoglm.node');
const CMAKE_FOLDER = join(BUILD, 'cmake');
// Exists while the compiler runs, so that the output of a killed compiler does not count as built.
const UNFINISHED = join(BUILD, 'stamps', 'native-unfinished');
const JOB_BYTES = 1.5 * 2 ** 30;

const ADDON_SOURCES = ['native', 'package-lock.json'];
const TEST_SOURCES = [...ADDON_SOURCES, 'test/native'];
const PEAK_SOURCES = [...ADDON_SOURCES, 'test/perf'];

/** The addon that the processes load, and kernels for GPUs where there is a GPU. */
export const ADDON = {
  name: 'the native addon',
  needsCompiler: true,
  isDone: () => isAddonWhole() && isStamped('native', addonStamp()),
  build: async () => {
    const stamp = addonStamp();
    const targets = hasGpu() ? ['autoglm_addon', 'gpu_kernels'] : ['autoglm_addon'];
    await compile('building the native addon', ...targets);
    writeStamp('native', stamp);
  },
};

/** The addon and the test programs that ctest runs. */
export const NATIVE_TESTS = {
  name: 'the native tests',
  needsCompiler: true,
  isDone: () => isAddonWhole() && isStamped('native-tests', hashOf(TEST_SOURCES)),
  build: async () => {
    const [addon, hash] = [addonStamp(), hashOf(TEST_SOURCES)];
    await compile('building the native addon and its tests', 'all');
    writeStamp('native', addon);
    writeStamp('native-tests', hash);
  },
};

/** The program that measures the machine's limits, for the benchmarks. */
export const MACHINE_PEAK = {
  name: 'the meter of the machine',
  needsCompiler: true,
  isDone: () => isStamped('machine-peak', hashOf(PEAK_SOURCES)),
  build: async () => {
    const hash = hashOf(PEAK_SOURCES);
    await compile('building the meter of the machine', 'print_machine_peak');
    writeStamp('machine-peak', hash);
  },
};

/**
 * Kernels for GPUs take minutes to compile, so that a machine without one builds them for tests alone,
 * and for the oldest and the newest of their GPUs.
 */
function hasGpu() {
  return existsSync('/dev/nvidiactl');
}

function addonStamp() {
  return `${hashOf(ADDON_SOURCES)}${hasGpu() ? ' with kernels for GPUs' : ''}`;
}

function isAddonWhole() {
  return existsSync(ADDON_FILE) && !existsSync(UNFINISHED);
}

function hashOf(sources) {
  return contentHash(sources, isNativeSource);
}

function isNativeSource(path) {
  return /\.(cc|h|hpp|cu|cuh|txt|cmake|json)$/.test(path);
}

async function compile(title, ...targets) {
  await stage(title, async (report) => {
    await configure();
    const jobs = Math.max(1, Math.min(availableParallelism(), Math.floor(totalmem() / JOB_BYTES)));
    const clean = existsSync(UNFINISHED) ? ['--clean-first'] : [];
    mkdirSync(join(BUILD, 'stamps'), { recursive: true });
    writeFileSync(UNFINISHED, '');
    const args = [
      '--build',
      CMAKE_FOLDER,
      '--target',
      ...targets,
      '--parallel',
      String(jobs),
      ...clean,
    ];
    try {
      await runTool('cmake', args, (line) => {
        const share = shareOf(line);
        if (share !== undefined) report(share);
      });
    } finally {
      // A compiler that failed removed its output itself; only a killed one leaves half a file.
      rmSync(UNFINISHED, { force: true });
    }
  });
}

/**
 * Configures the build; recreates a folder that an interrupted or moved configuration left behind.
 */
async function configure() {
  const generator = findProgram('ninja') === undefined ? 'Unix Makefiles' : 'Ninja';
  const args = ['-S', 'native', '-B', CMAKE_FOLDER, '-DCMAKE_BUILD_TYPE=Release'];
  const gpus = 'AUTOGLM_CUDA_ARCHITECTURES';
  args.push(hasGpu() ? `-U${gpus}` : `-D${gpus}=80;90a`);
  const isFresh = !existsSync(join(CMAKE_FOLDER, 'CMakeCache.txt'));
  if (isFresh) args.push('-G', generator);
  try {
    await runTool('cmake', args);
  } catch (error) {
    if (isFresh || error instanceof Interruption) throw error;
    rmSync(CMAKE_FOLDER, { recursive: true, force: true });
    await configure();
  }
}
