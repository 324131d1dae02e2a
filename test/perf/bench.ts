// `npm run bench -- [decode|prefill|encode|gateway|soak] [options]`: prints measured figures, one
// per line.
import { Type } from 'typebox';
import { helpText, parseFlags, resolveOptions } from '#mesh/options.ts';
import { benchDecode, benchPrefill } from './decoder-bench.ts';
import { benchEncoders } from './encoder-bench.ts';
import { type Figure, formatFigure } from './figure.ts';
import { measureMachinePeak, peakFigures } from './machine-peak.ts';
import { benchGateway, soak } from './mesh-bench.ts';
import { benchTransfer } from './transfer-bench.ts';

const BENCHES = ['decode', 'prefill', 'encode', 'gateway', 'soak'] as const;

const benchOptions = Type.Object(
  {
    shape: Type.Union([Type.Literal('glm4-9b'), Type.Literal('phone-nano')], {
      default: 'glm4-9b',
      description: 'Decoder shape, filled with random weights',
    }),
    layers: Type.Integer({ minimum: 1, default: 4, description: 'Layers of the shape to build' }),
    device: Type.String({ default: 'cpu', description: 'cpu, cpu:0-3 or cuda:0' }),
    batch: Type.Integer({ minimum: 1, default: 1, description: 'Sequences in a decode step' }),
    context: Type.Integer({ minimum: 1, default: 512, description: 'Cached tokens when decoding' }),
    promptTokens: Type.Integer({ minimum: 1, default: 512, description: 'Tokens to prefill' }),
    steps: Type.Integer({ minimum: 1, default: 5, description: 'Steps; the median counts' }),
    concurrency: Type.Integer({ minimum: 1, default: 32, description: 'Requests at once' }),
    seconds: Type.Number({ minimum: 1, default: 60, description: 'Length of a soak, seconds' }),
    json: Type.Boolean({ default: false, description: 'One JSON object a line' }),
  },
  { additionalProperties: false },
);

async function main(args: readonly string[]): Promise<void> {
  if (args.includes('--help')) {
    const usage = `Usage: npm run bench -- [${BENCHES.join('|')}] [options]`;
    process.stdout.write(
      `${usage}\n\nWithout a name: all but soak.\n\n${helpText(benchOptions)}\n`,
    );
    return;
  }
  const [first, ...rest] = args;
  const named = BENCHES.find((bench) => bench === first);
  const options = resolveOptions(
    benchOptions,
    parseFlags(benchOptions, named === undefined ? args : rest),
  );
  const print = (figures: readonly Figure[]) => {
    for (const figure of figures) process.stdout.write(`${formatFigure(figure, options.json)}\n`);
  };
  const peak = await measureMachinePeak();
  print(peakFigures(peak));
  for (const bench of named === undefined ? BENCHES.filter((one) => one !== 'soak') : [named]) {
    switch (bench) {
      case 'decode':
        print(await benchDecode(options, peak));
        break;
      case 'prefill':
        print(await benchPrefill(options, peak));
        break;
      case 'encode':
        print(await benchTransfer());
        print(await benchEncoders(peak));
        break;
      case 'gateway':
        print(await benchGateway(options));
        break;
      case 'soak':
        print(await soak(options));
        break;
    }
  }
}

await main(process.argv.slice(2));
