import { BackboneMetrics } from '#backbone/engine/backbone-metrics.ts';
import { greedySettings } from '#backbone/engine/sampler-state.ts';
import { Ticket } from '#backbone/engine/ticket.ts';
import { MetricRegistry } from '#mesh/metrics.ts';
import { Stages } from '#mesh/trace/stages.ts';
import { Generation, type GenerationContext } from './generation.ts';

/** Generates one token, so that "ready" means that the engine computes; throws if it does not. */
export async function warmUp(context: GenerationContext): Promise<void> {
  const generation = new Generation(
    {
      prompt: { tokenIds: [0], placeholders: [], positions: null, audioDurationMs: 0 },
      media: null,
      settings: greedySettings(context.vocabulary.size),
      output: {
        endRules: { maxTokens: 1, eosTokenIds: new Set(), stopTokenIds: new Set() },
        minTokens: 0,
        stopStrings: [],
        includeStopString: false,
        skipSpecialTokens: true,
        splitReasoning: false,
        tools: null,
      },
      numChoices: 1,
      ticket: new Ticket({
        client: '',
        priority: 0,
        arrivalMs: context.now(),
        needsMedia: false,
      }),
      cacheSalt: '',
      numLogprobs: -1,
      numPromptLogprobs: -1,
      returnPromptTokenIds: false,
      planOnly: false,
      embedding: null,
      delivered: [[]],
      promptKey: '',
      stages: new Stages('llm-backbone', context.now()),
    },
    // The warm-up is no client's request and must not count in any metric.
    { ...context, metrics: new BackboneMetrics(new MetricRegistry(), '') },
  );
  generation.start();
  const responses = generation.responses.read(new AbortController().signal);
  while (!(await responses.next()).done);
}
