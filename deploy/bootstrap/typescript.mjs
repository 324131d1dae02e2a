// Compiles what the processes run: TypeScript without its tests, into build/.
import { join } from 'node:path';
import { ROOT } from './paths.mjs';
import { runTool, stage } from './stage.mjs';
import { clearStamp, contentHash, isStamped, writeStamp } from './stamp.mjs';

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

/** Compiles when a source changed. */
export async function compileTypeScript() {
  const hash = contentHash(SOURCES, (path) =>
    /\.ts$|\/(package-lock|tsconfig.*)\.json$/.test(path),
  );
  if (isStamped('typescript', hash)) return;
  clearStamp('typescript');
  const compiler = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc');
  await stage('compiling TypeScript', () =>
    runTool(process.execPath, [compiler, '-p', 'tsconfig.build.json']),
  );
  writeStamp('typescript', hash);
}
