import { MetricRegistry } from '#mesh/metrics.ts';
import { BackboneMetrics } from './backbone-metrics.ts';
import { Generation, type GenerationContext } from './generation.ts';

/** Generates one token for real, so that "ready" means the engine computes; throws where it does not. */
export async function warmUp(context: GenerationContext): Promise<void> {
  const generation = new Generation(
    {
      prompt: { tokenIds: [0], placeholders: [], positions: null, audioDurationMs: 0 },
      media: null,
      settings: {
        temperature: 0,
        topK: 0,
        topP: 1,
        minP: 0,
        repetitionPenalty: 1,
        presencePenalty: 0,
        frequencyPenalty: 0,
        seed: 0n,
        vocabLimit: context.vocabulary.size,
        biasTokenIds: new Uint32Array(0),
        biasValues: new Float32Array(0),
        allowedTokenIds: null,
        badWords: [],
        endTokenIds: [],
        minTokens: 0,
      },
      output: {
        endRules: { maxTokens: 1, eosTokenIds: new Set(), stopTokenIds: new Set() },
        minTokens: 0,
        stopStrings: [],
        includeStopString: false,
        skipSpecialTokens: true,
        splitReasoning: false,
      },
      numChoices: 1,
      priority: 0,
      numLogprobs: -1,
      numPromptLogprobs: -1,
      returnPromptTokenIds: false,
      delivered: [[]],
      arrivalMs: context.now(),
    },
    // It is nobody's request and counts in no metric.
    { ...context, metrics: new BackboneMetrics(new MetricRegistry(), '') },
  );
  generation.start();
  const responses = generation.responses.read(new AbortController().signal);
  while (!(await responses.next()).done);
}
