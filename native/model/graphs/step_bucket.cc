#include "model/graphs/step_bucket.h"

#include <algorithm>
#include <bit>

namespace autoglm {
namespace {

// Tokens of the narrowest block table.
constexpr int64_t kLeastTokens = 256;

int64_t DivideUp(int64_t a, int64_t b) { return (a + b - 1) / b; }

int64_t NumSequences(int64_t count) {
  if (count > 8) return DivideUp(count, 8) * 8;
  return static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(count)));
}

int64_t NumBlocks(int64_t count, const BucketLimits& limits) {
  const uint64_t pieces = static_cast<uint64_t>(DivideUp(count * limits.block_size, kLeastTokens));
  const int64_t tokens = static_cast<int64_t>(std::bit_ceil(pieces)) * kLeastTokens;
  return DivideUp(std::min(tokens, limits.longest), limits.block_size);
}

// Appends `count` copies of a value.
void Append(std::vector<int32_t>& values, int64_t count, int32_t value) {
  values.insert(values.end(), static_cast<size_t>(count), value);
}

}  // namespace

std::optional<StepBucket> FindStepBucket(const StepPlan& plan, const BucketLimits& limits) {
  if (plan.num_tokens() == 0 || plan.num_tokens() != plan.num_sequences()) return std::nullopt;
  if (!plan.media_rows.empty()) return std::nullopt;
  const StepBucket bucket = {NumSequences(plan.num_sequences()),
                             NumBlocks(plan.max_blocks_per_sequence, limits)};
  const bool fits = bucket.num_sequences <= std::min(kMaxBucketSequences, limits.max_num_tokens) &&
                    bucket.max_blocks_per_sequence >= plan.max_blocks_per_sequence;
  return fits ? std::optional(bucket) : std::nullopt;
}

void PadStep(const StepPlan& plan, const StepBucket& bucket, StepPlan& padded) {
  const int64_t num_sequences = plan.num_sequences();
  const int64_t added = bucket.num_sequences - num_sequences;
  padded.token_ids = plan.token_ids;
  Append(padded.token_ids, added, plan.token_ids[0]);
  padded.slots = plan.slots;
  Append(padded.slots, added, -1);
  padded.context_lens = plan.context_lens;
  Append(padded.context_lens, added, 1);
  padded.positions.clear();
  for (int axis = 0; axis < 3; ++axis) {
    const auto begin = plan.positions.begin() + axis * num_sequences;
    padded.positions.insert(padded.positions.end(), begin, begin + num_sequences);
    Append(padded.positions, added, 0);
  }
  padded.query_starts.clear();
  for (int32_t i = 0; i <= bucket.num_sequences; ++i) padded.query_starts.push_back(i);

  padded.max_blocks_per_sequence = bucket.max_blocks_per_sequence;
  padded.block_tables.clear();
  for (int64_t i = 0; i < num_sequences; ++i) {
    const auto begin = plan.block_tables.begin() + i * plan.max_blocks_per_sequence;
    padded.block_tables.insert(padded.block_tables.end(), begin,
                               begin + plan.max_blocks_per_sequence);
    Append(padded.block_tables, bucket.max_blocks_per_sequence - plan.max_blocks_per_sequence, -1);
  }
  for (int64_t i = 0; i < added; ++i) {
    padded.block_tables.push_back(plan.block_tables[0]);
    Append(padded.block_tables, bucket.max_blocks_per_sequence - 1, -1);
  }
}

}  // namespace autoglm
