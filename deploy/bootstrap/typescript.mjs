// Compiles what the processes run: TypeScript without its tests, into build/.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { BUILD, ROOT } from './paths.mjs';
import { runTool, stage } from './stage.mjs';
import { clearStamp, contentHash, isStamped, writeStamp } from './stamp.mjs';

/** What a start runs first. */
const ENTRY = join(BUILD, 'deploy', 'cli', 'main.js');

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

/** The programs of the processes and of the command line. */
export const TYPESCRIPT = {
  name: 'the compiled TypeScript',
  needsDev: true,
  isDone: () => existsSync(ENTRY) && isStamped('typescript', hashOfSources()),
  build: compileTypeScript,
};

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
  return contentHash(SOURCES, (path) => /\.ts$|\/(package-lock|tsconfig.*)\.json$/.test(path));
}
