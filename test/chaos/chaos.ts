// `npm run chaos`: a whole mesh under load, in which something is killed, stopped or cut off every
// few seconds; no request may fail.
import { Type } from 'typebox';
import { parseFlags } from '#mesh/command-line/flags.ts';
import { helpText, resolveOptions } from '#mesh/options.ts';
import { runTool } from '#test/run-tool.ts';
import { FAULT_MS } from './faults/fault-kind.ts';
import { hasPassed } from './report/report.ts';
import { reportText } from './report/report-text.ts';
import { faultKinds, runChaos } from './run-chaos.ts';

const DEFAULT_EVERY_S = 5;
/** Time after which a second signal counts as one of its own, ms. */
const SECOND_SIGNAL_MS = 600;
/** Exit status of a run that was stopped before it had anything to report. */
const STOPPED = 130;
/** Kinds of faults of the availability mode. */
const KILLS = ['-kill'];

const chaosOptions = Type.Object(
  {
    seconds: Type.Number({
      exclusiveMinimum: 0,
      maximum: 86_400,
      default: 300,
      description: 'Length of the load, seconds',
    }),
    seed: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 0x7fffffff,
        description: 'Seed of the faults and of the order of requests; unset: random',
      }),
    ),
    clients: Type.Integer({
      minimum: 1,
      maximum: 1024,
      default: 32,
      description: 'Clients that ask, each one request at a time',
    }),
    only: Type.Array(Type.String({ minLength: 1 }), {
      default: [],
      description: 'Parts of names: only faults whose name holds one, such as backbone-kill',
    }),
    partitionSeconds: Type.Number({
      exclusiveMinimum: 0,
      maximum: 60,
      default: FAULT_MS / 1000,
      description: 'Time for which registry-partition cuts processes off from etcd, seconds',
    }),
    killEvery: Type.Optional(
      Type.Number({
        exclusiveMinimum: 0,
        maximum: 86_400,
        description: 'Availability: only kills, one every so many seconds',
      }),
    ),
  },
  { additionalProperties: false },
);

async function main(args: readonly string[]): Promise<number> {
  if (args.includes('--help')) {
    process.stdout.write(`Usage: npm run chaos -- [options]\n\n${helpText(chaosOptions)}\n`);
    return 0;
  }
  const options = resolveOptions(chaosOptions, parseFlags(chaosOptions, args));
  const { seconds, clients, only, killEvery, partitionSeconds } = options;
  const words = killEvery !== undefined && only.length === 0 ? KILLS : only;
  const kinds = faultKinds(words, { partitionMs: 1000 * partitionSeconds });
  const seed = options.seed ?? 1 + Math.floor(Math.random() * 0x7ffffffe);
  const faultEveryS = killEvery ?? DEFAULT_EVERY_S;
  const signal = interruption();
  const settings = { seconds, seed, numClients: clients, faultEveryS, kinds, say: sayer(), signal };
  const report = await runChaos(settings).catch((error: unknown) => {
    if (!signal.aborted) throw error;
  });
  if (report === undefined) return STOPPED;
  process.stdout.write(`\n${reportText(report)}`);
  return hasPassed(report) ? 0 : 1;
}

/** Returns a function that prints lines with the time since now. */
function sayer(): (line: string) => void {
  const beganMs = performance.now();
  return (line) => {
    const seconds = (performance.now() - beganMs) / 1000;
    process.stdout.write(`[${seconds.toFixed(1).padStart(6)} s] ${line}\n`);
  };
}

/**
 * Returns a signal that aborts on Ctrl-C; a later one ends this process at once. The first comes
 * twice, from the terminal and from npm's verb.
 */
function interruption(): AbortSignal {
  const ending = new AbortController();
  let firstMs = Number.POSITIVE_INFINITY;
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (performance.now() > firstMs + SECOND_SIGNAL_MS) process.exit(130);
      firstMs = Math.min(firstMs, performance.now());
      ending.abort();
    });
  }
  return ending.signal;
}

await runTool('chaos', main);
