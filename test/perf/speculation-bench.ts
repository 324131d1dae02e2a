import { join } from 'node:path';
import { Tokenizer } from '#backbone/checkpoint/tokenizer.ts';
import { NgramDrafter } from '#backbone/engine/ngram-drafter.ts';
import type { LookupLengths } from '#backbone/engine/speculation-options.ts';
import { PACKAGE_ROOT } from '#mesh/paths.ts';
import { AGENT_RULES, AGENT_TASK, AGENT_TURNS } from './agent-answers.ts';
import { type DecoderBenchOptions, secondsOfDraftStep } from './decoder-bench.ts';
import type { Figure } from './figure.ts';

const MODEL = join(PACKAGE_ROOT, 'deploy', 'models', 'phone-nano');

/** The lookup that vLLM takes if none is given, and a short one. */
const LOOKUPS: readonly LookupLengths[] = [
  { min: 5, max: 5 },
  { min: 2, max: 5 },
];

/**
 * Measures what drafts by prompt lookup are worth for an agent's answers: the tokens that a step
 * brings while these answers are generated, and what a step with a draft costs beside one without.
 * The answers are given, since which model wrote them does not matter to either.
 */
export async function benchSpeculation(
  options: DecoderBenchOptions & { readonly draftTokens: number },
): Promise<Figure[]> {
  const { draftTokens } = options;
  const tokenizer = await Tokenizer.load(MODEL);
  const plain = await secondsOfDraftStep(options, 0);
  const drafting = await secondsOfDraftStep(options, draftTokens);
  const cost = drafting / plain;
  const figures: Figure[] = [
    { name: `step with ${draftTokens} drafted tokens, to one without`, value: cost, unit: '×' },
  ];
  for (const lookup of LOOKUPS) {
    const { numTokens, numSteps, numDrafts } = await replay(tokenizer, lookup, draftTokens);
    const name = `agent answers, lookup of ${lookup.min} to ${lookup.max}`;
    const time = numDrafts * cost + (numSteps - numDrafts);
    figures.push({ name: `${name}: a step`, value: numTokens / numSteps, unit: 'tokens' });
    figures.push({ name: `${name}: speed`, value: numTokens / time, unit: '×' });
  }
  return figures;
}

/** Generates the answers token by token as an engine with drafts does, and counts its steps. */
async function replay(tokenizer: Tokenizer, lookup: LookupLengths, draftTokens: number) {
  const encode = (text: string) => tokenizer.encode(text, { addSpecialTokens: false });
  const context = [...(await encode(AGENT_RULES)), ...(await encode(AGENT_TASK))];
  const counts = { numTokens: 0, numSteps: 0, numDrafts: 0 };
  for (const { screen, answer } of AGENT_TURNS) {
    const sequence = [...context, ...(await encode(`** Screen Info **\n\n${screen}`))];
    const drafter = new NgramDrafter(sequence, lookup);
    const answerIds = await encode(answer);
    for (let done = 0; done < answerIds.length; ) {
      const draft = drafter.draft(Math.min(draftTokens, answerIds.length - done - 1));
      let numAccepted = 0;
      while (numAccepted < draft.length && draft[numAccepted] === answerIds[done + numAccepted]) {
        numAccepted++;
      }
      sequence.push(...answerIds.slice(done, done + numAccepted + 1));
      done += numAccepted + 1;
      counts.numSteps++;
      counts.numDrafts += Number(draft.length > 0);
    }
    counts.numTokens += answerIds.length;
    // Open-AutoGLM keeps the texts of earlier turns and drops their screenshots.
    context.push(...(await encode(screen)), ...answerIds);
  }
  return counts;
}
