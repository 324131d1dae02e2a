// Runs the tests: ctest first, then node:test, whose summary is the last thing printed.
import { readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { throwIfEnding } from './ending.mjs';
import { BUILD, ROOT } from './paths.mjs';
import { SOURCE_FLAGS } from './source.mjs';
import { runEchoing, runForeground } from './stage.mjs';
import { filesUnder } from './stamp.mjs';

/** Milliseconds after which a test file that has not ended counts as hanging. */
const FILE_LIMIT_MS = 300_000;

/** Most failed files that run again; more are not chance. */
const MAX_AGAIN = 5;

const FAILED_FILES = join(ROOT, 'deploy', 'bootstrap', 'failed-files.mjs');

/**
 * Runs the test files of `layers` whose path contains one of `filters` (all files if there are
 * none), and the native tests whose name does, `concurrency` files at once. Where all run, a few
 * files that failed run again alone: what they measure, others may have disturbed. Resolves to 0
 * only if at least one test ran and every file has passed.
 */
export async function runTests({ layers, filters, native, concurrency }) {
  const files = filesUnder(layers, (path) => path.endsWith('.test.ts'))
    .map((path) => relative(ROOT, path))
    .filter((path) => filters.length === 0 || filters.some((filter) => path.includes(filter)));
  // If node:test has no file to run, ctest must find a test.
  const onNone = files.length === 0 ? 'error' : 'ignore';
  const nativeStatus = native ? await runNativeTests({ filters, onNone, concurrency }) : 0;
  if (files.length === 0) {
    process.stderr.write(`no *.test.ts file matches ${filters.join(' or ')}\n`);
    return native ? nativeStatus : 1;
  }
  const failed = await runFiles(files, concurrency);
  if (failed.length === 0 || filters.length > 0) return failed.length === 0 ? nativeStatus : 1;
  if (failed.length > MAX_AGAIN) return 1;
  throwIfEnding();
  process.stdout.write(`\nThese failed and run again alone:\n${listOf(failed)}\n`);
  const failedAgain = await runFiles(failed, 1);
  const passed = failed.filter((file) => !failedAgain.includes(file));
  const numPassed = files.length - failedAgain.length;
  process.stdout.write(
    `\nfiles: ${numPassed} passed, ${passed.length} of them only when run alone, ${failedAgain.length} failed\n${listOf(passed)}`,
  );
  return failedAgain.length === 0 ? nativeStatus : 1;
}

/** Runs test files, so many at once; resolves to those in which a test failed. */
async function runFiles(files, concurrency) {
  const report = join(BUILD, 'failed-files.txt');
  const status = await runForeground([
    ...SOURCE_FLAGS,
    '--test',
    ...['--test-reporter=spec', '--test-reporter-destination=stdout'],
    ...[`--test-reporter=${FAILED_FILES}`, `--test-reporter-destination=${report}`],
    `--test-timeout=${FILE_LIMIT_MS}`,
    `--test-concurrency=${concurrency}`,
    ...files,
  ]);
  if (status === 0) return [];
  const lines = readFileSync(report, 'utf8').split('\n').filter(Boolean);
  const failed = [...new Set(lines.map((file) => relative(ROOT, file)))];
  // A runner that ended otherwise vouches for no file.
  const isToldApart = failed.length > 0 && failed.every((file) => files.includes(file));
  return isToldApart ? failed : files;
}

function listOf(files) {
  return files.map((file) => `  ${file}\n`).join('');
}

async function runNativeTests({ filters, onNone, concurrency }) {
  const chosen = filters.length === 0 ? [] : ['-R', filters.join('|')];
  const { status, output } = await runEchoing('ctest', [
    ...['--test-dir', `${BUILD}/cmake`, '--output-on-failure', `--no-tests=${onNone}`],
    ...['--parallel', String(concurrency)],
    ...chosen,
  ]);
  const [, failed = 0, total = 0] = /(\d+) tests? failed out of (\d+)/.exec(output) ?? [];
  process.stdout.write(`native: ${total - failed} passed, ${failed} failed\n\n`);
  return status;
}
