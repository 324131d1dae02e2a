import type { Echo } from '#gateway/openai/answer/echo.ts';
import type { Router } from '#gateway/routing/router.ts';
import type { Accepted, GenerateStart } from '#protos/autoglm/llm/v1/llm_backbone.ts';
import type { AnswerSource } from './answer-call.ts';
import type { AnswerWriter } from './answer-writer.ts';

/** A writer that repeats prompts. */
export interface EchoWriter<Last> extends AnswerWriter<Last> {
  /** Called once for each prompt, before its first event is written. */
  setEcho(echo: Echo, index: number): void;
}

export interface EchoSource extends Pick<AnswerSource, 'route' | 'signal'> {
  readonly router: Pick<Router, 'call'>;
  /** The prompts in the order of the request. */
  readonly prompts: readonly GenerateStart['prompt'][];
  /** True if the echo carries log-probabilities, so that its first token is needed too. */
  readonly hasLogprobs: boolean;
}

/** Finds the text of each prompt when it is accepted, before any part of its answer is written. */
export function withEchoes<Last>(writer: EchoWriter<Last>, source: EchoSource): AnswerWriter<Last> {
  return {
    write: (event, index) => {
      if (event.$case !== 'accepted') return writer.write(event, index);
      return echoOf(source.prompts[index], event.value, source).then((echo) => {
        writer.setEcho(echo, index);
        return writer.write(event, index);
      });
    },
    end: () => writer.end(),
  };
}

/**
 * Returns the echo of an accepted prompt: the client's own text, or that of the prompt's tokens.
 */
async function echoOf(
  prompt: GenerateStart['prompt'],
  { promptTokenIds: ids }: Accepted,
  { router, route, signal, hasLogprobs }: EchoSource,
): Promise<Echo> {
  const textOf = async (tokenIds: number[]) => {
    const request = { model: route.name, tokenIds };
    const { text } = await router.call(
      route,
      ({ backbone }, alive) => backbone.detokenize(request, { signal: alive }),
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
