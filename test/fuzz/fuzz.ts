// `npm run fuzz`: runs the tests that damage valid inputs, again and again with other seeds.
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, relative } from 'node:path';
import { Type } from 'typebox';
import { codePath } from '#deploy/local/code-path.ts';
import { parseFlags } from '#mesh/command-line/flags.ts';
import { MeshError } from '#mesh/errors.ts';
import { helpText, resolveOptions } from '#mesh/options.ts';
import { PACKAGE_ROOT } from '#mesh/paths.ts';
import { runTool } from '#test/run-tool.ts';

/** Milliseconds between two lines of progress. */
const PROGRESS_MS = 10_000;

const fuzzOptions = Type.Object(
  {
    seconds: Type.Number({ exclusiveMinimum: 0, default: 60, description: 'How long, seconds' }),
    seed: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 0x7fffffff,
        description: 'Seed of the first round, the next has the next; unset: random',
      }),
    ),
    only: Type.Array(Type.String({ minLength: 1 }), {
      default: [],
      description: 'Parts of paths: only tests whose path holds one',
    }),
  },
  { additionalProperties: false },
);

/** One run of a test: its command line, and what its failure is called. */
interface Target {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
}

interface Failure {
  readonly name: string;
  readonly seed: number;
  readonly output: string;
}

async function main(args: readonly string[]): Promise<number> {
  if (args.includes('--help')) {
    process.stdout.write(`Usage: npm run fuzz -- [options]\n\n${helpText(fuzzOptions)}\n`);
    return 0;
  }
  const options = resolveOptions(fuzzOptions, parseFlags(fuzzOptions, args));
  const targets = findTargets(options.only);
  if (targets.length === 0) {
    throw new MeshError('INVALID_REQUEST', `no damage test matches ${options.only.join(' or ')}`);
  }
  const firstSeed = options.seed ?? 1 + Math.floor(Math.random() * 0x7ffffffe);
  process.stdout.write(`${targets.length} parsers, first seed ${firstSeed}\n`);
  const rounds = new Rounds(targets, { firstSeed, untilMs: Date.now() + options.seconds * 1000 });
  await rounds.run();
  for (const { name, seed, output } of rounds.failures) {
    process.stdout.write(`\n${name}, MUTATION_SEED=${seed}:\n${output}\n`);
  }
  const numFailed = rounds.failures.length;
  process.stdout.write(`${rounds.numRuns - numFailed} passed, ${numFailed} failed\n`);
  return numFailed === 0 ? 0 : 1;
}

/** Finds the tests whose name says that they damage something, the native ones included. */
function findTargets(only: readonly string[]): readonly Target[] {
  const files = filesNamed(/^damaged-.*\.test\.ts$/);
  const scripts = files.map((file) => ({
    name: file,
    command: process.execPath,
    args: [
      ...process.execArgv,
      '--test',
      '--test-reporter=spec',
      codePath(file.replace(/\.ts$/, '')),
    ],
  }));
  const binary = join(PACKAGE_ROOT, 'build/cmake/native_test');
  const natives = filesNamed(/^damaged_.*_test\.cc$/).map((file) => ({
    name: file,
    command: binary,
    args: [`--source-file=*${file}`],
  }));
  const all = [...scripts, ...natives];
  return only.length === 0 ? all : all.filter(({ name }) => only.some((one) => name.includes(one)));
}

/** Returns the paths of the tests with such a name, relative to the package, in order. */
function filesNamed(name: RegExp): readonly string[] {
  const root = join(PACKAGE_ROOT, 'test');
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && name.test(entry.name))
    .map((entry) => relative(PACKAGE_ROOT, join(entry.parentPath, entry.name)))
    .sort();
}

/** Runs every target with one seed, then with the next, on all cores until the time is over. */
class Rounds {
  readonly failures: Failure[] = [];
  numRuns = 0;
  readonly #targets: readonly Target[];
  readonly #firstSeed: number;
  readonly #untilMs: number;
  #numStarted = 0;

  constructor(
    targets: readonly Target[],
    { firstSeed, untilMs }: { readonly firstSeed: number; readonly untilMs: number },
  ) {
    this.#targets = targets;
    this.#firstSeed = firstSeed;
    this.#untilMs = untilMs;
  }

  async run(): Promise<void> {
    const progress = setInterval(() => this.#showProgress(), PROGRESS_MS);
    try {
      await Promise.all(Array.from({ length: availableParallelism() }, () => this.#work()));
    } finally {
      clearInterval(progress);
    }
  }

  async #work(): Promise<void> {
    while (Date.now() < this.#untilMs) {
      const target = this.#targets[this.#numStarted % this.#targets.length];
      const seed = this.#firstSeed + Math.floor(this.#numStarted / this.#targets.length);
      this.#numStarted += 1;
      if (target === undefined) return;
      const output = await runOnce(target, seed);
      this.numRuns += 1;
      if (output === undefined) continue;
      this.failures.push({ name: target.name, seed, output });
      process.stdout.write(`failed: ${target.name}, MUTATION_SEED=${seed}\n`);
    }
  }

  #showProgress(): void {
    const leftS = Math.max(0, Math.ceil((this.#untilMs - Date.now()) / 1000));
    const round = 1 + Math.floor(this.#numStarted / this.#targets.length);
    process.stdout.write(
      `round ${round}: ${this.numRuns} runs, ${this.failures.length} failed, ${leftS} s left\n`,
    );
  }
}

/** Runs a target with a seed; resolves to its output if it failed. */
async function runOnce(target: Target, seed: number): Promise<string | undefined> {
  const child = spawn(target.command, target.args, {
    cwd: PACKAGE_ROOT,
    env: { ...process.env, MUTATION_SEED: String(seed) },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const chunks: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => chunks.push(chunk));
  const status = await new Promise<number | NodeJS.Signals | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve(code ?? signal));
  });
  return status === 0 ? undefined : Buffer.concat(chunks).toString();
}

await runTool('fuzz', main);
