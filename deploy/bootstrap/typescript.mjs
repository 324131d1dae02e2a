// The parts of the tree that are made of TypeScript: what the processes run, and the tests.
import { join, relative } from 'node:path';
import { bundle, isBundleWhole } from './bundle.mjs';
import { BUILD, ROOT } from './paths.mjs';
import { stage } from './stage.mjs';
import { clearStamp, contentHash, filesUnder, isStamped, writeStamp } from './stamp.mjs';

/** The console runs in the browser and is built apart. */
const IN_BROWSER = join(ROOT, 'gateway', 'console');

const SOURCES = [
  'gateway',
  'services',
  'native',
  'deploy',
  'protos/gen',
  'package.json',
  'package-lock.json',
  'tsconfig.json',
];

/** What is started by itself: a process, a thread, a command. */
const PROGRAMS = [
  'deploy/cli/main.ts',
  'deploy/examples/generate.ts',
  'deploy/examples/stream-audio.ts',
  'gateway/main.ts',
  'gateway/http/body/json-worker.ts',
  'native/print-gpus.ts',
  'services/llm-backbone/main.ts',
  'services/llm-backbone/grammar/compile-worker.ts',
  'services/llm-backbone/prompt/render-worker.ts',
  'services/speech-encoder/main.ts',
  'services/speech-encoder/decoder-main.ts',
  'services/vision-encoder/main.ts',
  'services/vision-encoder/decoder-main.ts',
];

/** What tests, benches and other tools are and start beside those. */
const TEST_PROGRAMS = [
  'test/chaos/chaos.ts',
  'test/contract/deploy/poisoned-encoder.ts',
  'test/contract/deploy/run-supervisor.ts',
  'test/contract/deploy/scripted-process.ts',
  'test/contract/encoder/misbehaving-decoder.ts',
  'test/contract/encoder/rows-taker.ts',
  'test/contract/encoder/sharing-encoder.ts',
  'test/contract/failover/standing-backbone.ts',
  'test/contract/failover/standing-encoder.ts',
  'test/contract/llm-backbone/load-once.ts',
  'test/e2e/alone/bystander-process.ts',
  'test/eval/eval.ts',
  'test/fuzz/fuzz.ts',
  'test/parity/busy-worker.ts',
  'test/parity/parity.ts',
  'test/perf/bench.ts',
  'test/perf/neighbour.ts',
  'test/perf/row-sender.ts',
  'test/perf/traces/traced-path.ts',
  'test/perf/watched-process.ts',
];

/** The programs of the processes and of the command line. */
export const TYPESCRIPT = bundled({
  name: 'the compiled TypeScript',
  stamp: 'typescript',
  title: 'compiling TypeScript',
  sources: SOURCES,
  chunks: 'chunks',
  modules: () => PROGRAMS,
});

/** All tests and the tools for developers. */
export const TESTS = bundled({
  name: 'the compiled tests',
  stamp: 'tests',
  title: 'compiling the tests',
  sources: [...SOURCES, 'test'],
  chunks: 'test-chunks',
  modules: () => [...testFiles(['test']), ...TEST_PROGRAMS],
});

function bundled({ name, stamp, title, sources, chunks, modules }) {
  const hash = () => {
    return contentHash(sources, (path) => {
      return isCompiled(path) || /\/(package|package-lock|tsconfig)\.json$/.test(path);
    });
  };
  return {
    name,
    needsDev: true,
    // A copy that was broken off has the stamp, but lacks files.
    isDone: () => isBundleWhole(chunks) && isStamped(stamp, hash()),
    build: async () => {
      const current = hash();
      clearStamp(stamp);
      await stage(title, () => bundle({ modules: modules(), chunks }));
      writeStamp(stamp, current);
    },
  };
}

function isCompiled(path) {
  return path.endsWith('.ts') && !path.startsWith(IN_BROWSER);
}

/** Returns the paths from the root of the test files under `folders`. */
export function testFiles(folders) {
  return filesUnder(folders, (path) => path.endsWith('.test.ts')).map((path) =>
    relative(ROOT, path),
  );
}

/** Returns the path of what is compiled from a source, which is named by its path from the root. */
export function outputOf(source) {
  return join(BUILD, source.replace(/\.ts$/, '.js'));
}

/** Returns the path of the source of a compiled file; that of any other file is its own. */
export function sourceOf(path) {
  const isOutput = path.startsWith(join(BUILD, '/'));
  return isOutput ? join(ROOT, relative(BUILD, path).replace(/\.js$/, '.ts')) : path;
}
