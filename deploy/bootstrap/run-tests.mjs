// Runs the tests: ctest first, then node:test, whose summary is the last thing printed.
import { relative } from 'node:path';
import { BUILD, ROOT } from './paths.mjs';
import { SOURCE_FLAGS } from './source.mjs';
import { runEchoing, runForeground } from './stage.mjs';
import { filesUnder } from './stamp.mjs';

/** Milliseconds after which a test file that has not ended counts as hanging. */
const FILE_LIMIT_MS = 300_000;

/**
 * Runs the test files of `layers` whose path contains one of `filters` (all files if there are
 * none), and the native tests whose name does, `concurrency` files at once. Resolves to 0 only if
 * at least one test ran and none failed.
 */
export async function runTests({ layers, filters, native, concurrency }) {
  const files = filesUnder(layers, (path) => path.endsWith('.test.ts'))
    .map((path) => relative(ROOT, path))
    .filter((path) => filters.length === 0 || filters.some((filter) => path.includes(filter)));
  // If node:test has no file to run, ctest must find a test.
  const onNone = files.length === 0 ? 'error' : 'ignore';
  const nativeStatus = native ? await runNativeTests({ filters, onNone }) : 0;
  if (files.length === 0) {
    process.stderr.write(`no *.test.ts file matches ${filters.join(' or ')}\n`);
    return native ? nativeStatus : 1;
  }
  const flags = [
    ...SOURCE_FLAGS,
    '--test',
    '--test-reporter=spec',
    `--test-timeout=${FILE_LIMIT_MS}`,
    `--test-concurrency=${concurrency}`,
  ];
  const status = await runForeground([...flags, ...files]);
  return status === 0 ? nativeStatus : status;
}

async function runNativeTests({ filters, onNone }) {
  const chosen = filters.length === 0 ? [] : ['-R', filters.join('|')];
  const { status, output } = await runEchoing('ctest', [
    ...['--test-dir', `${BUILD}/cmake`, '--output-on-failure', `--no-tests=${onNone}`],
    ...chosen,
  ]);
  const [, failed = 0, total = 0] = /(\d+) tests? failed out of (\d+)/.exec(output) ?? [];
  process.stdout.write(`native: ${total - failed} passed, ${failed} failed\n\n`);
  return status;
}
