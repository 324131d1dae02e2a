#include <algorithm>
#include <numeric>

#include "model/decoder/step_plan.h"

namespace autoglm {
namespace {

int64_t DivideUp(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Tokens of a request that penalties count, of which a step has memory for as many sequences as rows of
// logits. A step with more takes more.
constexpr int64_t kCountedTokens = 4096;

// Returns a choice among all tokens, by a mask and by penalties of many tokens.
TokenChoice LargestChoice(int64_t vocab_size) {
  SampleParams params;
  params.temperature = 1.0f;
  params.top_p = 0.9f;
  params.repetition_penalty = 1.1f;
  params.frequency_penalty = 0.1f;
  params.vocab_limit = static_cast<uint32_t>(vocab_size);
  params.seen_token_ids.resize(static_cast<size_t>(std::min(vocab_size, kCountedTokens)));
  std::iota(params.seen_token_ids.begin(), params.seen_token_ids.end(), 0u);
  params.generated_token_ids = params.seen_token_ids;
  params.generated_counts.assign(params.seen_token_ids.size(), 1u);
  const size_t num_words = static_cast<size_t>(DivideUp(vocab_size, kTokensPerMaskWord));
  params.allowed_tokens = std::vector<uint32_t>(num_words, ~0u);
  return {.sample = params, .num_logprobs = kMaxLogprobs};
}

}  // namespace

StepPlan LargestPlan(const LargestStep& step) {
  const int64_t num_sequences = std::min(step.num_outputs, step.num_tokens);
  const int64_t most_tokens = DivideUp(step.num_tokens, num_sequences);
  const int64_t blocks_each = DivideUp(most_tokens, step.block_size);
  StepPlan plan;
  plan.max_blocks_per_sequence =
      std::max(blocks_each, DivideUp(step.longest, step.block_size));
  plan.token_ids.assign(static_cast<size_t>(step.num_tokens), 0);
  plan.query_starts.push_back(0);
  plan.block_tables.assign(static_cast<size_t>(num_sequences * plan.max_blocks_per_sequence), 0);
  std::vector<int32_t> positions;
  for (int64_t sequence = 0; sequence < num_sequences; ++sequence) {
    const int64_t begin = step.num_tokens * sequence / num_sequences;
    const int64_t count = step.num_tokens * (sequence + 1) / num_sequences - begin;
    const int64_t first_block = sequence * blocks_each;
    for (int64_t block = 0; block < blocks_each; ++block) {
      plan.block_tables[static_cast<size_t>(sequence * plan.max_blocks_per_sequence + block)] =
          static_cast<int32_t>(first_block + block);
    }
    for (int64_t i = 0; i < count; ++i) {
      plan.slots.push_back(static_cast<int32_t>(first_block * step.block_size + i));
      positions.push_back(static_cast<int32_t>(std::min(i, step.num_positions - 1)));
    }
    plan.query_starts.push_back(static_cast<int32_t>(begin + count));
    plan.context_lens.push_back(static_cast<int32_t>(count));
    plan.output_tokens.push_back(static_cast<int32_t>(begin + count - 1));
    plan.outputs.push_back(LargestChoice(step.vocab_size));
  }
  for (int axis = 0; axis < 3; ++axis) {
    plan.positions.insert(plan.positions.end(), positions.begin(), positions.end());
  }
  plan.pooled_rows.push_back({.first_token = 0, .num_rows = step.num_tokens, .sum = {}});
  return plan;
}

}  // namespace autoglm
