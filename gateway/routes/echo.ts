import type { Echo } from '#gateway/openai/echo.ts';
import type { ModelRoute } from '#gateway/routing/model-route.ts';
import type { Router } from '#gateway/routing/router.ts';
import type { Accepted, GenerateStart } from '#protos/autoglm/llm/v1/llm_backbone.ts';

export interface EchoWish {
  readonly route: ModelRoute;
  readonly prompt: GenerateStart['prompt'];
  readonly accepted: Accepted;
  /** The echo carries log-probabilities, so its first token is needed too. */
  readonly hasLogprobs: boolean;
  readonly signal: AbortSignal;
}

/** Finds the text of an accepted prompt: the client's own, or that of its tokens. */
export async function echoOf(router: Router, wish: EchoWish): Promise<Echo> {
  const { route, prompt, accepted, hasLogprobs, signal } = wish;
  const ids = accepted.promptTokenIds;
  const textOf = async (tokenIds: number[]) => {
    const request = { model: route.name, tokenIds };
    const { text } = await router.call(
      route,
      ({ backbone }) => backbone.detokenize(request, { signal }),
      signal,
    );
    return text;
  };
  const { form, maxPromptTokens } = prompt ?? {};
  const isWhole = form?.$case === 'text' && maxPromptTokens === undefined;
  const [first] = ids;
  const [text, firstText] = await Promise.all([
    isWhole ? form.value.text : textOf(ids),
    hasLogprobs && first !== undefined ? textOf([first]) : '',
  ]);
  if (!hasLogprobs || first === undefined) return { text, firstToken: undefined };
  return { text, firstToken: { tokenId: first, logprob: 0, text: Buffer.from(firstText) } };
}
