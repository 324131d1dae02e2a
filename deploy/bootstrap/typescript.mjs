// Compiles TypeScript into build/: what the processes run, and apart from it the tests.
import { existsSync } from 'node:fs';
import { join, relative } from 'node:path';
import { BUILD, ROOT } from './paths.mjs';
import { areProgramsWhole, bundlePrograms } from './programs.mjs';
import { runTool, stage } from './stage.mjs';
import { clearStamp, contentHash, filesUnder, isStamped, writeStamp } from './stamp.mjs';

/** The console runs in the browser and is built apart. */
const IN_BROWSER = join(ROOT, 'gateway', 'console');

const SOURCES = [
  'gateway',
  'services',
  'native',
  'deploy',
  'protos/gen',
  'package-lock.json',
  'tsconfig.json',
  'tsconfig.build.json',
];

/** The compiled programs of the processes and of the command line. */
export const TYPESCRIPT = compiled({
  name: 'the compiled TypeScript',
  stamp: 'typescript',
  title: 'compiling TypeScript',
  project: 'tsconfig.build.json',
  sources: SOURCES,
});

/** The compiled tests; types are not their matter, but that of `npm run check`. */
export const TESTS = compiled({
  name: 'the compiled tests',
  stamp: 'tests',
  title: 'compiling the tests',
  project: 'tsconfig.tests.json',
  sources: [...SOURCES, 'tsconfig.tests.json', 'test'],
});

/** A part of the tree that `tsc` writes to build/, each module at its place. */
function compiled({ name, stamp, title, project, sources }) {
  const hash = () => {
    return contentHash(sources, (path) => {
      return isCompiled(path) || /\/(package-lock|tsconfig[^/]*)\.json$/.test(path);
    });
  };
  // A copy that was broken off has the stamp, but lacks files.
  const isWhole = () => {
    const outputs = filesUnder(sources, isCompiled).map(outputOf);
    return outputs.every((path) => existsSync(path)) && areProgramsWhole();
  };
  return {
    name,
    needsDev: true,
    isDone: () => isWhole() && isStamped(stamp, hash()),
    build: async () => {
      const current = hash();
      clearStamp(stamp);
      const compiler = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc');
      await stage(title, async () => {
        await runTool(process.execPath, [compiler, '-p', project]);
        await bundlePrograms();
      });
      writeStamp(stamp, current);
    },
  };
}

function isCompiled(path) {
  return path.endsWith('.ts') && !path.startsWith(IN_BROWSER);
}

/** Returns the path of what is compiled from the source at `path`. */
export function outputOf(path) {
  return join(BUILD, relative(ROOT, path).replace(/\.ts$/, '.js'));
}

/** Returns the path of the source of a compiled file; that of any other file is its own. */
export function sourceOf(path) {
  const isOutput = path.startsWith(join(BUILD, '/'));
  return isOutput ? join(ROOT, relative(BUILD, path).replace(/\.js$/, '.ts')) : path;
}
