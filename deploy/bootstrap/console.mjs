// Builds the gateway's page in the browser into build/console/, only if a source has changed.
import { join } from 'node:path';
import { ROOT } from './paths.mjs';
import { runTool, stage } from './stage.mjs';
import { clearStamp, contentHash, isStamped, writeStamp } from './stamp.mjs';

const SOURCES = [
  'gateway/console',
  'services/mesh/answer',
  'services/mesh/overview',
  'deploy/models/phone-nano/media',
  'package-lock.json',
];
const OUTPUT = ['build/console'];

/** The page, its script and its style, and the samples that it offers. */
export const CONSOLE = {
  name: 'the console',
  needsDev: true,
  // The stamp counts the output too: a copy that was broken off lacks files.
  isDone: () => isStamped('console', stampOf(sourceHash())),
  build: async () => {
    const hash = sourceHash();
    clearStamp('console');
    const vite = join(ROOT, 'node_modules', 'vite', 'bin', 'vite.js');
    const config = join('gateway', 'console', 'vite.config.mjs');
    await stage('building the console', () =>
      runTool(process.execPath, [
        ...[vite, 'build', '--config', config, '--configLoader', 'native'],
        ...['--logLevel', 'warn'],
      ]),
    );
    writeStamp('console', stampOf(hash));
  },
};

function sourceHash() {
  return contentHash(SOURCES, (path) => !path.endsWith('.md') && !path.includes('/pictures/'));
}

function stampOf(hash) {
  return `${hash} ${contentHash(OUTPUT, () => true)}`;
}
