import { Worker } from 'node:worker_threads';

/**
 * Damages valid inputs in repeatable ways, for parsers that must refuse each with an error of their
 * own and with bounded work. A failure names the seed and the case; with both in the environment,
 * as in `MUTATION_SEED=7 MUTATION_CASE=321`, only that case runs.
 */

const SEED = Number(process.env['MUTATION_SEED'] ?? 0x9e3779b9);
const ONLY_CASE = process.env['MUTATION_CASE'];
/**
 * Longest time of a case, ms. A case that takes longer hangs: it blocks its thread, so that only
 * another thread can tell.
 */
const HANG_MS = 20_000;
/**
 * Values often given to a damaged byte: the ends of signed and unsigned ranges, and their
 * neighbours.
 */
const EDGES = [0x00, 0x01, 0x7f, 0x80, 0xfe, 0xff] as const;
const MAX_EDITS = 3;
/** Longest stretch that is inserted, repeated, removed or overwritten at a random place, bytes. */
const MAX_STRETCH_BYTES = 64;

/** An input whose damage the parser must survive. */
export interface Specimen {
  readonly name: string;
  readonly bytes: Buffer;
  /** Offsets at which its chunks, pages or blocks begin, ascending. */
  readonly marks?: readonly number[];
  /** Places of its lengths and counts. */
  readonly fields?: readonly { readonly at: number; readonly numBytes: number }[];
  /**
   * Corrects checksums in place, so that the parser reads the damage; half of the cases are
   * corrected.
   */
  readonly repair?: (bytes: Buffer) => void;
}

interface Mutant {
  readonly bytes: Buffer;
  readonly what: string;
}

/**
 * Makes a small generator of repeatable numbers (xorshift32), which returns integers from 0 to
 * below its argument.
 */
export function numbers(seed: number): (below: number) => number {
  let state = seed | 0 || 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

/**
 * Runs `check` on the regular mutants of each specimen, one for each mark, field and kind of
 * damage, and on `numRandom` others. An error of `check` is thrown with the case's name.
 */
export async function checkMutants(
  specimens: readonly Specimen[],
  numRandom: number,
  check: (bytes: Buffer, specimen: Specimen) => void | Promise<void>,
): Promise<void> {
  const watchdog = new Watchdog();
  try {
    for (const specimen of specimens) {
      let index = 0;
      for (const { bytes, what } of mutantsOf(specimen, numRandom)) {
        index += 1;
        if (ONLY_CASE !== undefined && index !== Number(ONLY_CASE)) continue;
        const name = `${specimen.name}: MUTATION_SEED=${SEED} MUTATION_CASE=${index}: ${what}`;
        watchdog.begin(name);
        try {
          await check(bytes, specimen);
        } catch (cause: unknown) {
          throw new Error(`${name}: ${String(cause)}`, { cause });
        }
      }
    }
  } finally {
    await watchdog.close();
  }
}

function* mutantsOf(specimen: Specimen, numRandom: number): Generator<Mutant> {
  for (const mutant of regularMutants(specimen)) {
    specimen.repair?.(mutant.bytes);
    yield mutant;
  }
  const next = numbers(SEED);
  for (let left = numRandom; left > 0; left--) {
    const mutant = randomMutant(specimen, next);
    if (next(2) === 0) specimen.repair?.(mutant.bytes);
    yield mutant;
  }
}

function* regularMutants({ bytes, marks = [], fields = [] }: Specimen): Generator<Mutant> {
  for (const mark of [0, ...marks, bytes.length]) {
    for (const length of [mark - 1, mark, mark + 1]) {
      if (length < 0 || length >= bytes.length) continue;
      yield { bytes: Buffer.from(bytes.subarray(0, length)), what: `cut to ${length} bytes` };
    }
  }
  for (const { at, numBytes } of fields) {
    if (at + numBytes > bytes.length) continue;
    for (const edge of EDGES) {
      const changed = Buffer.from(bytes).fill(edge, at, at + numBytes);
      yield { bytes: changed, what: `bytes ${at} to ${at + numBytes} set to ${edge}` };
    }
    for (let byte = at; byte < at + numBytes; byte++) {
      for (const step of [1, -1, 0x80]) {
        const changed = Buffer.from(bytes);
        changed[byte] = ((changed[byte] ?? 0) + step) & 0xff;
        yield { bytes: changed, what: `byte ${byte} plus ${step}` };
      }
    }
  }
  yield* chunkMutants(bytes, marks);
}

/** Makes mutants with a chunk left out, repeated, or put behind the one that follows. */
function* chunkMutants(bytes: Buffer, marks: readonly number[]): Generator<Mutant> {
  for (const [index, start] of marks.entries()) {
    const end = marks[index + 1] ?? bytes.length;
    const nextEnd = marks[index + 2] ?? bytes.length;
    const [before, chunk, follower, rest] = [
      bytes.subarray(0, start),
      bytes.subarray(start, end),
      bytes.subarray(end, nextEnd),
      bytes.subarray(nextEnd),
    ];
    const orders = [
      { what: 'left out', parts: [before, follower, rest] },
      { what: 'given twice', parts: [before, chunk, chunk, follower, rest] },
      { what: 'behind the next', parts: [before, follower, chunk, rest] },
    ];
    for (const { what, parts } of orders) {
      yield { bytes: Buffer.concat(parts), what: `the chunk at ${start} ${what}` };
    }
  }
}

function randomMutant({ bytes, marks = [] }: Specimen, next: (below: number) => number): Mutant {
  let changed = Buffer.from(bytes);
  const edits: string[] = [];
  for (let left = 1 + next(MAX_EDITS); left > 0 && changed.length > 0; left--) {
    // Half of the damage is near a mark, since the structure is there.
    const mark = marks.length > 0 && next(2) === 0 ? marks[next(marks.length)] : undefined;
    const near = (mark ?? next(bytes.length)) + next(mark === undefined ? 1 : 32);
    const at = Math.min(near, changed.length - 1);
    const edit = EDITS[next(EDITS.length)] ?? flip;
    const { parts, what } = edit({ bytes: changed, at, length: 1 + next(MAX_STRETCH_BYTES) }, next);
    changed = Buffer.concat(parts);
    edits.push(`${what} at ${at}`);
  }
  return { bytes: changed, what: edits.join(', ') };
}

interface Place {
  readonly bytes: Buffer;
  readonly at: number;
  readonly length: number;
}

type Edit = (
  place: Place,
  next: (below: number) => number,
) => { readonly parts: readonly Buffer[]; readonly what: string };

const flip: Edit = ({ bytes, at }, next) => {
  const bit = next(8);
  const byte = Buffer.from([(bytes[at] ?? 0) ^ (1 << bit)]);
  return {
    parts: [bytes.subarray(0, at), byte, bytes.subarray(at + 1)],
    what: `bit ${bit} flipped`,
  };
};

const EDITS: readonly Edit[] = [
  flip,
  ({ bytes, at }, next) => {
    const byte = Buffer.from([EDGES[next(EDGES.length)] ?? 0]);
    return { parts: [bytes.subarray(0, at), byte, bytes.subarray(at + 1)], what: `${byte[0]} set` };
  },
  ({ bytes, at, length }, next) => {
    const stretch = Buffer.alloc(Math.min(length, bytes.length - at), EDGES[next(EDGES.length)]);
    const rest = bytes.subarray(at + stretch.length);
    return { parts: [bytes.subarray(0, at), stretch, rest], what: `${length} overwritten` };
  },
  ({ bytes, at, length }, next) => {
    const inserted = Buffer.from(Array.from({ length }, () => next(256)));
    const parts = [bytes.subarray(0, at), inserted, bytes.subarray(at)];
    return { parts, what: `${length} inserted` };
  },
  ({ bytes, at, length }) => {
    const parts = [bytes.subarray(0, at), bytes.subarray(at + length)];
    return { parts, what: `${length} removed` };
  },
  ({ bytes, at, length }, next) => {
    const from = next(bytes.length);
    const parts = [bytes.subarray(0, at), bytes.subarray(from, from + length), bytes.subarray(at)];
    return { parts, what: `${length} of ${from} repeated` };
  },
  ({ bytes, at }) => ({ parts: [bytes.subarray(0, at)], what: 'cut' }),
];

/** Ends the process, with the name of the case, if one blocks its thread. */
class Watchdog {
  readonly #name = new SharedArrayBuffer(1024);
  readonly #beat = new Int32Array(new SharedArrayBuffer(4));
  readonly #worker = new Worker(WATCH, {
    eval: true,
    workerData: { name: this.#name, beat: this.#beat, hangMs: HANG_MS },
  });

  begin(name: string): void {
    Buffer.from(this.#name).fill(0).write(name);
    Atomics.add(this.#beat, 0, 1);
    Atomics.notify(this.#beat, 0);
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }
}

const WATCH = `
  const { writeSync } = require('node:fs');
  const { name, beat, hangMs } = require('node:worker_threads').workerData;
  while (Atomics.wait(beat, 0, Atomics.load(beat, 0), hangMs) !== 'timed-out');
  writeSync(2, 'hangs: ' + Buffer.from(name).toString().replaceAll('\\0', '') + '\\n');
  process.kill(process.pid, 'SIGKILL');
`;
