// `npm run eval`: asks phone-nano its evaluation set over REST and compares with the reference.
import { Type } from 'typebox';
import Value from 'typebox/value';
import { backboneOptions } from '#backbone/options.ts';
import { parseFlags } from '#mesh/command-line/flags.ts';
import { helpText, resolveOptions } from '#mesh/options.ts';
import { property, startMesh } from '#test/e2e/mesh.ts';
import { postChat } from '#test/e2e/request/chat-request.ts';
import {
  caseName,
  chatRequest,
  type PhoneCase,
  readPhoneCases,
  readPhoneFile,
} from '#test/e2e/request/phone-cases.ts';
import { runTool } from '#test/run-tool.ts';
import { counts } from './counting-rule.ts';
import { formatTally, Tally } from './tally.ts';

const evalOptions = Type.Object(
  {
    url: Type.Optional(
      Type.String({
        minLength: 1,
        description: 'Gateway of a running mesh with phone-nano; unset: starts one',
      }),
    ),
    concurrency: Type.Integer({ minimum: 1, default: 8, description: 'Questions at once' }),
    quantize: Type.Union([Type.Literal('none'), Type.Literal('int8'), Type.Literal('int4')], {
      default: 'none',
      description: 'Integers to which the started mesh rounds the language model',
    }),
    kvCacheDtype: backboneOptions.properties.kvCacheDtype,
    quantizeTower: Type.Union([Type.Literal('none'), Type.Literal('int8'), Type.Literal('int4')], {
      default: 'none',
      description: 'Integers to which the started mesh rounds the towers',
    }),
    wrong: Type.Boolean({ default: false, description: 'Print every answer that does not count' }),
  },
  { additionalProperties: false },
);

/** Figures of the reference implementation, percent by group. */
const header = Type.Object({ reference_accuracy: Type.Record(Type.String(), Type.Number()) });

/** Percentage points by which a group may be below the reference, by the coarsest integers of weights. */
const TOLERANCES = { none: 1, int8: 1, int4: 3 } as const;

async function main(args: readonly string[]): Promise<number> {
  if (args.includes('--help')) {
    process.stdout.write(`Usage: npm run eval -- [options]\n\n${helpText(evalOptions)}\n`);
    return 0;
  }
  const options = resolveOptions(evalOptions, parseFlags(evalOptions, args));
  const reference = Value.Parse(header, readPhoneFile('eval.json')).reference_accuracy;
  const { quantize, quantizeTower, kvCacheDtype } = options;
  const flags = [
    ...['--quantize', quantize, '--quantize-tower', quantizeTower],
    ...['--kv-cache-dtype', kvCacheDtype],
  ];
  const mesh = options.url === undefined ? await startMesh({ flags }) : undefined;
  try {
    const url = options.url ?? mesh?.url ?? '';
    const tally = await askAll(url, options);
    process.stdout.write(`${formatTally(tally, reference)}\n`);
    const tolerance = Math.max(TOLERANCES[quantize], TOLERANCES[quantizeTower]);
    return tally.isWithin(reference, tolerance) ? 0 : 1;
  } finally {
    await mesh?.stop();
  }
}

interface Asking {
  readonly concurrency: number;
  readonly wrong: boolean;
}

async function askAll(url: string, { concurrency, wrong }: Asking): Promise<Tally> {
  const cases = readPhoneCases('eval.json');
  const pending = cases.values();
  const tally = new Tally();
  const ask = async () => {
    for (const one of pending) {
      const answer = await answerOf(url, one);
      const isRight = counts(answer, one.expected);
      tally.add(one.group, { isRight });
      if (wrong && !isRight) {
        process.stdout.write(`${caseName(one)}\n  wants ${one.expected}\n  got   ${answer}\n`);
      }
      const isStop = tally.total % 20 === 0 || tally.total === cases.length;
      if (isStop) process.stderr.write(`[eval] ${tally.total} of ${cases.length} asked\n`);
    }
  };
  await Promise.all(Array.from({ length: concurrency }, ask));
  return tally;
}

async function answerOf(url: string, one: PhoneCase): Promise<string> {
  const { status, body } = await postChat(url, { ...chatRequest(one), temperature: 0 });
  if (status !== 200) {
    const why = String(property(body, 'error', 'message'));
    throw new Error(`${caseName(one)}: ${status}: ${why}`);
  }
  return String(property(body, 'choices', 0, 'message', 'content'));
}

await runTool('eval', main);
