// `npm run bench -- [NAME] [options]`: prints measured figures, one per line; `mesh` prints a table of
// what a simulation of many processes shows.
import { Type } from 'typebox';
import { backboneOptions } from '#backbone/options.ts';
import { parseFlags } from '#mesh/command-line/flags.ts';
import { MeshError } from '#mesh/errors.ts';
import { didYouMean } from '#mesh/nearest-name.ts';
import { helpText, resolveOptions } from '#mesh/options.ts';
import { runTool } from '#test/run-tool.ts';
import { pickCostUs } from '#test/simulation/pick-cost.ts';
import { simulationTable } from '#test/simulation/simulation-table.ts';
import { benchDecode, benchPrefill } from './decoder-bench.ts';
import { benchEncoders } from './encoder-bench.ts';
import { type Figure, formatFigure } from './figure.ts';
import { benchGpu } from './gpu/gpu-bench.ts';
import { benchGrammars } from './grammar/grammar-bench.ts';
import { benchLoad } from './load-bench.ts';
import { measureMachinePeak, peakFigures } from './machine-peak.ts';
import { benchGateway, soak } from './mesh-bench.ts';
import { benchNative } from './native-bench.ts';
import { benchNeighbours } from './neighbour-bench.ts';
import { FLATNESS_RULE } from './soak/flatness.ts';
import { mixedSoak } from './soak/mixed-soak.ts';
import { benchSpeculation } from './speculation-bench.ts';
import { benchSteps } from './steps-bench.ts';
import { benchStreams } from './streams-bench.ts';
import { benchTraces } from './traces/traces-bench.ts';
import { benchTransfer } from './transfer-bench.ts';
import { benchWatch } from './watch-bench.ts';

const BENCHES = [
  'native',
  'decode',
  'prefill',
  'speculation',
  'grammar',
  'load',
  'encode',
  'neighbours',
  'gateway',
  'steps',
  'streams',
  'traces',
  'watch',
  'soak',
  'mesh',
] as const;

/** What runs when no bench is named. */
const UNNAMED = ['decode', 'prefill', 'encode', 'gateway', 'watch'] as const;

const NUM_PICKED_FROM = 200;

const benchOptions = Type.Object(
  {
    shape: Type.Union([Type.Literal('glm4-9b'), Type.Literal('phone-nano')], {
      default: 'glm4-9b',
      description: 'Decoder shape, filled with random weights',
    }),
    layers: Type.Integer({ minimum: 1, default: 4, description: 'Layers of the shape to build' }),
    device: Type.String({ default: 'cpu', description: 'cpu, cpu:0-3, cuda:0 or a list' }),
    kvCacheDtype: backboneOptions.properties.kvCacheDtype,
    quantize: Type.Union([Type.Literal('none'), Type.Literal('int8'), Type.Literal('int4')], {
      default: 'none',
      description: 'Integers of the decoder, head included; none: bfloat16',
    }),
    batch: Type.Integer({ minimum: 1, default: 1, description: 'Sequences in a decode step' }),
    context: Type.Integer({ minimum: 1, default: 512, description: 'Cached tokens when decoding' }),
    promptTokens: Type.Integer({ minimum: 1, default: 512, description: 'Tokens to prefill' }),
    draftTokens: Type.Integer({ minimum: 1, default: 4, description: 'Drafted tokens of a step' }),
    steps: Type.Integer({ minimum: 1, default: 5, description: 'Steps; the median counts' }),
    concurrency: Type.Integer({ minimum: 1, default: 32, description: 'Requests at once' }),
    seconds: Type.Optional(
      Type.Number({ minimum: 1, description: 'Length of a soak, seconds; unset: 60, mixed 600' }),
    ),
    mixed: Type.Boolean({
      default: false,
      description: 'Soak with text, screenshots, speech, aborts and bad input, and judge flatness',
    }),
    seed: Type.Integer({
      minimum: 0,
      maximum: 2 ** 32 - 1,
      default: 1,
      description: 'Seed of the simulated mesh',
    }),
    json: Type.Boolean({ default: false, description: 'One JSON object a line' }),
  },
  { additionalProperties: false },
);

async function main(args: readonly string[]): Promise<number> {
  if (args.includes('--help')) {
    const usage = `Usage: npm run bench -- [${BENCHES.join('|')}] [options]`;
    process.stdout.write(
      `${usage}\n\nWithout a name: ${UNNAMED.join(', ')}.\n\n${helpText(benchOptions)}\n\n${FLATNESS_RULE}\n`,
    );
    return 0;
  }
  const [first, ...rest] = args;
  const named = BENCHES.find((bench) => bench === first);
  if (named === undefined && first !== undefined && !first.startsWith('-')) {
    const hint = didYouMean(first, BENCHES) || `; there are ${BENCHES.join(', ')}`;
    throw new MeshError('INVALID_REQUEST', `no bench "${first}"${hint}`);
  }
  const options = resolveOptions(
    benchOptions,
    parseFlags(benchOptions, named === undefined ? args : rest),
  );
  const print = (figures: readonly Figure[]) => {
    for (const figure of figures) process.stdout.write(`${formatFigure(figure, options.json)}\n`);
  };
  if (named === 'mesh') {
    process.stdout.write(`${simulationTable(options)}\n`);
    const name = `one pick among ${NUM_PICKED_FROM} endpoints`;
    print([{ name, value: pickCostUs(NUM_PICKED_FROM), unit: 'µs' }]);
    return 0;
  }
  if (named === 'traces') {
    // Its times are compared with each other, not with the machine's limits.
    print(await benchTraces());
    return 0;
  }
  const gpu = /^cuda:(\d+)$/.exec(options.device)?.[1];
  if (named === 'native' && gpu !== undefined) {
    for await (const figure of benchGpu(gpu, options.layers)) print([figure]);
    return 0;
  }
  const peak = await measureMachinePeak();
  print(peakFigures(peak));
  for (const bench of named === undefined ? UNNAMED : [named]) {
    switch (bench) {
      case 'native':
        for await (const figures of benchNative(options.device, peak)) print(figures);
        break;
      case 'decode':
        print(await benchDecode(options, peak));
        break;
      case 'prefill':
        print(await benchPrefill(options, peak));
        break;
      case 'speculation':
        print(await benchSpeculation(options));
        break;
      case 'grammar':
        print(await benchGrammars());
        break;
      case 'load':
        print(await benchLoad(options, peak));
        break;
      case 'encode':
        print(await benchTransfer());
        print(await benchEncoders(peak));
        break;
      case 'neighbours':
        print(await benchNeighbours());
        break;
      case 'gateway':
        print(await benchGateway(options));
        break;
      case 'steps':
        print(await benchSteps(options));
        break;
      case 'streams':
        print(await benchStreams(options));
        break;
      case 'watch':
        print(await benchWatch());
        break;
      case 'soak':
        if (options.mixed) {
          const { figures, faults } = await mixedSoak(options.seconds);
          print(figures);
          for (const fault of faults) process.stderr.write(`bench: ${fault}\n`);
          return faults.length === 0 ? 0 : 1;
        }
        print(await soak(options));
        break;
    }
  }
  return 0;
}

await runTool('bench', main);
