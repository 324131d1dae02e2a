// Runs the tests: ctest first, then node:test. How many ended in which way is the last thing printed.
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { throwIfEnding } from './ending.mjs';
import { BUILD, ROOT } from './paths.mjs';
import { runEchoing, runForeground } from './stage.mjs';
import { outputOf, sourceOf, testFiles } from './typescript.mjs';

/** Milliseconds after which a test file that has not ended counts as hanging. */
const FILE_LIMIT_MS = 300_000;

/** Most failed files that run again; more are not chance. */
const MAX_AGAIN = 5;

const CORES = availableParallelism();

const TEST_RESULTS = join(ROOT, 'deploy', 'bootstrap', 'test-results.mjs');

/**
 * Runs the test files of `layers` whose path contains one of `filters` (all files if there are
 * none), and the native tests whose name does: those under one of `alone` one at a time, then the
 * others, as many at once as the machine has cores. Where all run, a few files that failed run again
 * alone: what they measure, others may have disturbed. Resolves to 0 only if at least one test ran
 * and every file has passed.
 */
export async function runTests({ layers, alone, filters, native }) {
  const files = testFiles(layers).filter((path) => {
    return filters.length === 0 || filters.some((filter) => path.includes(filter));
  });
  // If node:test has no file to run, ctest must find a test.
  const onNone = files.length === 0 ? 'error' : 'ignore';
  const nativeStatus = native ? await runNativeTests({ filters, onNone }) : 0;
  if (files.length === 0) {
    process.stderr.write(`no *.test.ts file matches ${filters.join(' or ')}\n`);
    return native ? nativeStatus : 1;
  }
  const isAlone = (file) => alone.some((folder) => file.startsWith(`${folder}/`));
  const others = files.filter((file) => !isAlone(file));
  const runs = [
    await runFiles(files.filter(isAlone), { concurrency: 1 }),
    await runFiles(others, { concurrency: CORES }),
  ];
  const failed = runs.flatMap((run) => run.failed);
  const tests = runs.flatMap((run) => run.tests);
  if (failed.length === 0 || failed.length > MAX_AGAIN || filters.length > 0) {
    process.stdout.write(summaryOf(tests));
    return failed.length === 0 ? nativeStatus : 1;
  }
  throwIfEnding();
  process.stdout.write(`\nThese failed and run again alone:\n${listOf(failed)}\n`);
  const again = await runFiles(failed, { concurrency: 1 });
  const passed = failed.filter((file) => !again.failed.includes(file));
  const last = [...tests.filter(({ file }) => !failed.includes(file)), ...again.tests];
  process.stdout.write(
    `${summaryOf(last)}files: ${files.length - again.failed.length} passed, ${passed.length} of them only when run alone, ${again.failed.length} failed\n${listOf(passed)}`,
  );
  return again.failed.length === 0 ? nativeStatus : 1;
}

/**
 * Runs test files, so many at once; resolves to their tests with how each ended, and to the files in
 * which one failed.
 */
async function runFiles(files, { concurrency }) {
  if (files.length === 0) return { failed: [], tests: [] };
  const report = join(BUILD, 'test-results.txt');
  const status = await runForeground([
    '--enable-source-maps',
    '--test',
    ...['--test-reporter=spec', '--test-reporter-destination=stdout'],
    ...[`--test-reporter=${TEST_RESULTS}`, `--test-reporter-destination=${report}`],
    `--test-timeout=${FILE_LIMIT_MS}`,
    `--test-concurrency=${concurrency}`,
    ...files.map((file) => relative(ROOT, outputOf(file))),
  ]);
  const tests = readFileSync(report, 'utf8')
    .split('\n')
    .filter(Boolean)
    .map((line) => {
      const [outcome, ...path] = line.split(' ');
      return { outcome, file: relative(ROOT, sourceOf(resolve(ROOT, path.join(' ')))) };
    });
  if (status === 0) return { failed: [], tests };
  const isFailed = ({ outcome }) => outcome === 'failed';
  const failed = [...new Set(tests.filter(isFailed).map(({ file }) => file))];
  // A runner that ended otherwise vouches for no file.
  const isToldApart = failed.length > 0 && failed.every((file) => files.includes(file));
  return { failed: isToldApart ? failed : files, tests };
}

function summaryOf(tests) {
  const count = (outcome) => tests.filter((test) => test.outcome === outcome).length;
  return `\ntests: ${count('passed')} passed, ${count('failed')} failed, ${count('skipped')} skipped\n`;
}

function listOf(files) {
  return files.map((file) => `  ${file}\n`).join('');
}

async function runNativeTests({ filters, onNone }) {
  const chosen = filters.length === 0 ? [] : ['-R', filters.join('|')];
  const { status, output } = await runEchoing('ctest', [
    ...['--test-dir', `${BUILD}/cmake`, '--output-on-failure', `--no-tests=${onNone}`],
    ...['--parallel', String(CORES)],
    ...chosen,
  ]);
  const [, failed = 0, total = 0] = /(\d+) tests? failed out of (\d+)/.exec(output) ?? [];
  process.stdout.write(`native: ${total - failed} passed, ${failed} failed\n\n`);
  return status;
}
