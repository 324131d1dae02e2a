import { readFile } from 'node:fs/promises';
import { Type } from 'typebox';
import { readArguments } from '#mesh/command-line/flags.ts';
import { errorMessage } from '#mesh/error-message.ts';
import { MeshError } from '#mesh/errors.ts';
import { fingerprint } from '#mesh/model/fingerprint.ts';
import { helpText, resolveOptions } from '#mesh/options.ts';
import { describeProgress } from '#mesh/process/load-progress.ts';
import type { Command } from './command.ts';
import {
  differences,
  type FileChecksum,
  modelChecksums,
  parseChecksums,
  type ReadProgress,
  wholeChecksum,
} from './model-checksums.ts';

/** Milliseconds between two lines of progress: on a terminal one line that changes, or a log. */
const TERMINAL_PERIOD_MS = 200;
const LOG_PERIOD_MS = 10_000;

const verifyOptions = Type.Object(
  {
    against: Type.Optional(
      Type.String({ description: 'List of sha256sum that the files must match', minLength: 1 }),
    ),
  },
  { additionalProperties: false },
);

/** `autoglm verify DIR`: reads every byte of a model, which the fingerprint only samples. */
export const verify: Command = {
  name: 'verify',
  summary: 'read a model whole and print or compare its checksums',
  help: () =>
    `Usage: autoglm verify DIR [options]\n\nReads every file of a model directory and prints its SHA-256 as sha256sum does, then the\nmodel's checksum and fingerprint. Exit status 1 when a file differs or the weights are damaged.\n\nOptions [default]:\n${helpText(verifyOptions)}\n`,
  run: async (args) => {
    const { values, rest } = readArguments(verifyOptions, args);
    const [directory, ...others] = rest;
    if (directory === undefined || others.length > 0) {
      throw new MeshError(
        'INVALID_REQUEST',
        'verify needs one model directory: autoglm verify DIR',
      );
    }
    const options = resolveOptions(verifyOptions, values);
    const expected = options.against === undefined ? undefined : await readList(options.against);
    const files: FileChecksum[] = [];
    const progress = new ProgressLine(process.stderr);
    for await (const file of modelChecksums(directory, (read) => progress.show(read))) {
      progress.clear();
      files.push(file);
      process.stdout.write(`${file.sha256}  ${file.name}\n`);
    }
    process.stdout.write(`# model       ${wholeChecksum(files)}\n`);
    process.stdout.write(`# fingerprint ${await fingerprint(directory)}\n`);
    if (expected === undefined) return 0;
    const lines = differences(files, expected);
    for (const line of lines) process.stderr.write(`autoglm: ${line}\n`);
    return lines.length === 0 ? 0 : 1;
  },
};

async function readList(path: string): Promise<readonly FileChecksum[]> {
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    const why = errorMessage(cause);
    throw new MeshError('INVALID_REQUEST', `--against: ${path} cannot be read: ${why}`, { cause });
  });
  return parseChecksums(text, path);
}

/** Shows how far the reading is and how long it will take. */
class ProgressLine {
  readonly #output: NodeJS.WriteStream;
  readonly #periodMs: number;
  readonly #startMs = performance.now();
  #lastMs = performance.now();
  #isShown = false;

  constructor(output: NodeJS.WriteStream) {
    this.#output = output;
    this.#periodMs = output.isTTY ? TERMINAL_PERIOD_MS : LOG_PERIOD_MS;
  }

  show({ numBytes, totalBytes }: ReadProgress): void {
    const nowMs = performance.now();
    if (nowMs - this.#lastMs < this.#periodMs) return;
    this.#lastMs = nowMs;
    const elapsedMs = nowMs - this.#startMs;
    const line = describeProgress({ doneBytes: numBytes, totalBytes, elapsedMs });
    this.#output.write(this.#output.isTTY ? `\r${line}\u001b[K` : `${line}\n`);
    this.#isShown = true;
  }

  /** Removes the line from a terminal before something else is printed. */
  clear(): void {
    if (this.#isShown && this.#output.isTTY) this.#output.write('\r\u001b[K');
    this.#isShown = false;
  }
}
