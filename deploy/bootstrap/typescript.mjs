// Compiles the TypeScript that the processes run, without its tests, into build/.
import { existsSync } from 'node:fs';
import { join, relative } from 'node:path';
import { BUILD, ROOT } from './paths.mjs';
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
export const TYPESCRIPT = {
  name: 'the compiled TypeScript',
  needsDev: true,
  isDone: () => isWhole() && isStamped('typescript', hashOfSources()),
  build: compileTypeScript,
};

function isCompiled(path) {
  return path.endsWith('.ts') && !path.startsWith(IN_BROWSER);
}

/** Tells whether every file is there: a copy that was broken off has the stamp, but lacks files. */
function isWhole() {
  const sources = filesUnder(SOURCES, isCompiled);
  return sources.every((path) => {
    return existsSync(join(BUILD, relative(ROOT, path).replace(/\.ts$/, '.js')));
  });
}

async function compileTypeScript() {
  const hash = hashOfSources();
  clearStamp('typescript');
  const compiler = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc');
  await stage('compiling TypeScript', () =>
    runTool(process.execPath, [compiler, '-p', 'tsconfig.build.json']),
  );
  writeStamp('typescript', hash);
}

function hashOfSources() {
  return contentHash(SOURCES, (path) => {
    return isCompiled(path) || /\/(package-lock|tsconfig[^/]*)\.json$/.test(path);
  });
}
