#include "model/graphs/step_bucket.h"

#include <vector>

#include "doctest/doctest.h"

namespace autoglm {
namespace {

constexpr BucketLimits kLimits = {.max_num_tokens = 64, .longest = 2000, .block_size = 16};

// Plans one token for each of so many sequences, in block tables of so many columns.
StepPlan PlanOf(int32_t num_sequences, int32_t width) {
  StepPlan plan;
  plan.max_blocks_per_sequence = width;
  plan.query_starts = {0};
  for (int32_t i = 0; i < num_sequences; ++i) {
    plan.token_ids.push_back(10 + i);
    plan.slots.push_back(16 * i + 3);
    plan.query_starts.push_back(i + 1);
    plan.context_lens.push_back(4);
    plan.block_tables.push_back(i);
    plan.block_tables.resize(plan.block_tables.size() + static_cast<size_t>(width) - 1, -1);
  }
  for (int32_t axis = 0; axis < 3; ++axis) {
    for (int32_t i = 0; i < num_sequences; ++i) plan.positions.push_back(100 * axis + i);
  }
  return plan;
}

int64_t SequencesOf(int32_t num_sequences) {
  const std::optional<StepBucket> bucket = FindStepBucket(PlanOf(num_sequences, 1), kLimits);
  return bucket.has_value() ? bucket->num_sequences : 0;
}

int64_t BlocksOf(int32_t width) {
  const std::optional<StepBucket> bucket = FindStepBucket(PlanOf(1, width), kLimits);
  return bucket.has_value() ? bucket->max_blocks_per_sequence : 0;
}

TEST_CASE("Buckets have 1, 2, 4, 8 sequences and multiples of 8, as many as a step may have tokens") {
  CHECK_EQ(SequencesOf(1), 1);
  CHECK_EQ(SequencesOf(2), 2);
  CHECK_EQ(SequencesOf(3), 4);
  CHECK_EQ(SequencesOf(5), 8);
  CHECK_EQ(SequencesOf(9), 16);
  CHECK_EQ(SequencesOf(17), 24);
  CHECK_EQ(SequencesOf(64), 64);
  CHECK_EQ(SequencesOf(65), 0);
}

TEST_CASE("Block tables of buckets double from 256 tokens to the longest sequence") {
  CHECK_EQ(BlocksOf(1), 16);
  CHECK_EQ(BlocksOf(16), 16);
  CHECK_EQ(BlocksOf(17), 32);
  CHECK_EQ(BlocksOf(65), 125);
  CHECK_EQ(BlocksOf(125), 125);
  CHECK_EQ(BlocksOf(126), 0);
}

TEST_CASE("Steps with several tokens of a sequence, or rows of media, have no bucket") {
  StepPlan prompt = PlanOf(2, 1);
  prompt.query_starts = {0, 2};
  prompt.context_lens = {2};
  StepPlan media = PlanOf(2, 1);
  media.media_rows.push_back({.first_token = 0, .num_rows = 1});

  CHECK(!FindStepBucket(prompt, kLimits).has_value());
  CHECK(!FindStepBucket(media, kLimits).has_value());
  CHECK(!FindStepBucket(StepPlan(), kLimits).has_value());
}

TEST_CASE("A padded step ends in sequences that are not stored and look at the first token of all") {
  StepPlan padded = PlanOf(8, 5);  // of a step before

  PadStep(PlanOf(3, 2), {.num_sequences = 4, .max_blocks_per_sequence = 3}, padded);

  CHECK_EQ(padded.token_ids, std::vector<int32_t>{10, 11, 12, 10});
  CHECK_EQ(padded.slots, std::vector<int32_t>{3, 19, 35, -1});
  CHECK_EQ(padded.query_starts, std::vector<int32_t>{0, 1, 2, 3, 4});
  CHECK_EQ(padded.context_lens, std::vector<int32_t>{4, 4, 4, 1});
  CHECK_EQ(padded.max_blocks_per_sequence, 3);
  CHECK_EQ(padded.block_tables, std::vector<int32_t>{0, -1, -1, 1, -1, -1, 2, -1, -1, 0, -1, -1});
  CHECK_EQ(padded.positions,
           std::vector<int32_t>{0, 1, 2, 0, 100, 101, 102, 0, 200, 201, 202, 0});
}

}  // namespace
}  // namespace autoglm
