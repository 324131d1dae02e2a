import type { Vocabulary } from '#backbone/checkpoint/vocabulary.ts';
import type { ScoredToken } from '#backbone/engine/step-plan.ts';
import type { CandidateToken, TokenLogprob } from '#protos/autoglm/llm/v1/llm_backbone.ts';

/**
 * Returns the proto form of a scored token; an empty list if log-probabilities were not asked for.
 */
export function tokenLogprobs(
  { tokenId, score }: ScoredToken,
  vocabulary: Vocabulary,
): TokenLogprob[] {
  if (score === null) return [];
  const candidate = (id: number, logprob: number): CandidateToken => ({
    tokenId: id,
    logprob,
    text: Buffer.from(vocabulary.bytesOf(id)),
  });
  const top = Array.from(score.topTokenIds, (id, i) =>
    candidate(id, score.topLogprobs[i] ?? Number.NaN),
  );
  return [{ token: candidate(tokenId, score.logprob), rank: score.rank, top }];
}
