import { DType } from '#protos/autoglm/common/v1/tensor.ts';
import { Channel, type GenerateStart } from '#protos/autoglm/llm/v1/llm_backbone.ts';
import {
  accepted,
  candidate,
  delta,
  type Events,
  finished,
  stopped,
} from '#test/contract/gateway/fake-backbone.ts';

/** Answers with thoughts and a scored text for each choice, or with an embedding. */
export async function* answering({ embedding, planOnly, sampling }: GenerateStart): Events {
  yield accepted({ promptTokenIds: [1, 2] });
  if (embedding !== undefined) {
    const data = Buffer.from(new Float32Array([1, 0.5]).buffer);
    const values = { dtype: DType.D_TYPE_FLOAT32, shape: [2], data };
    yield { event: { $case: 'embedding', value: { values } } };
  }
  const numChoices = embedding !== undefined || planOnly ? 0 : (sampling?.numChoices ?? 1);
  const ends = Array.from({ length: numChoices }, (_, index) => stopped(index));
  for (const { index } of ends) {
    const logprobs = [{ token: candidate(42, 'Hello', -0.5), rank: 1, top: [] }];
    yield delta({ index, text: 'hm', channel: Channel.CHANNEL_REASONING });
    yield delta({ index, text: 'Hello', logprobs });
  }
  yield finished({ choices: ends });
}
