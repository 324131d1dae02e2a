import type { HoldBytes } from '#gateway/media/byte-budget.ts';
import type { AdmissibleMedia } from '#gateway/media/media-intake.ts';
import { mediaItem } from '#gateway/media/media-item.ts';
import type { GenerateEvent } from '#gateway/routing/generate-call.ts';
import type { ModelRoute } from '#gateway/routing/model-route.ts';
import { MeshError } from '#mesh/errors.ts';
import { GenerateStart, OutputOptions } from '#protos/autoglm/llm/v1/llm_backbone.ts';
import type { Prompt } from '#protos/autoglm/llm/v1/prompt.ts';
import { SamplingParams } from '#protos/autoglm/llm/v1/sampling.ts';
import type { RouteContext } from './route-context.ts';

/** A prompt with media, whose tokens are asked for. */
export interface PlanCall {
  readonly form: Prompt['form'];
  readonly media: AdmissibleMedia;
  readonly route: ModelRoute;
  readonly requestId: string;
  readonly clientId: string;
  readonly hold: HoldBytes;
  readonly signal: AbortSignal;
}

/**
 * Returns the tokens of a prompt with a placeholder for every row of its media. The prompt goes the
 * way of a generation that ends before it computes, so it has the limits and the refusals of one.
 */
export async function planPrompt(
  { router, intake }: Pick<RouteContext, 'router' | 'intake'>,
  { form, media, route, requestId, clientId, hold, signal }: PlanCall,
): Promise<number[]> {
  const loaded = await intake.load(media, { clientId, hold, signal });
  const items = loaded.map((item) => mediaItem(item, media.options));
  const start: GenerateStart = {
    ...GenerateStart.create(),
    requestId,
    clientId,
    model: route.name,
    prompt: { form, media: items, maxPromptTokens: undefined },
    sampling: SamplingParams.create({ maxTokens: 0 }),
    output: OutputOptions.create({ returnPromptTokenIds: true }),
    planOnly: true,
  };
  const upload = { start, media: loaded.map(({ bytes }) => bytes) };
  let tokenIds: number[] | undefined;
  const take = (event: GenerateEvent): undefined => {
    if (event.$case === 'accepted') tokenIds = event.value.promptTokenIds;
  };
  await router.generate(upload, route, { signal, take });
  if (tokenIds !== undefined) return tokenIds;
  throw new MeshError('ENGINE_FAILED', 'the backbone ended without the tokens of the prompt');
}
