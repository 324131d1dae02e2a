#include "model/decoder/step_plan.h"

#include <functional>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "doctest/doctest.h"

namespace autoglm {
namespace {

constexpr StepLimits kLimits = {.max_num_tokens = 8,
                                .max_positions = 100,
                                .vocab_size = 50,
                                .hidden_size = 4,
                                .num_blocks = 6,
                                .block_size = 4,
                                .row_pool_bytes = 64};

// Returns a plan of two tokens at the end of a sequence of six in blocks 3 and 1, and of one token
// of a second sequence.
StepPlan ValidPlan() {
  StepPlan plan;
  plan.token_ids = {10, 11, 12};
  plan.positions = {4, 5, 0, 4, 5, 0, 4, 5, 0};
  plan.slots = {4, 5, 8};
  plan.query_starts = {0, 2, 3};
  plan.context_lens = {6, 1};
  plan.block_tables = {3, 1, 2, -1};
  plan.max_blocks_per_sequence = 2;
  plan.output_tokens = {2};
  TokenChoice output;
  output.sample = SampleParams{};
  output.sample->vocab_limit = 50;
  plan.outputs = {output};
  return plan;
}

struct Damage {
  const char* message;  // part of the refusal
  std::function<void(StepPlan&)> apply;
};

void CheckRefusals(const std::vector<Damage>& damages) {
  for (const Damage& damage : damages) {
    CAPTURE(damage.message);
    StepPlan plan = ValidPlan();
    damage.apply(plan);

    const Status status = CheckStepPlan(plan, kLimits);

    CHECK_EQ(status.reason(), Reason::kInvalidRequest);
    CHECK_MESSAGE(status.message().find(damage.message) != std::string::npos, status.message());
  }
}

TEST_CASE("A plan gets the tokens that the step before chose, where it asks for them") {
  StepPlan plan = ValidPlan();
  plan.previous_outputs = {-1, 1, 0};
  SampleParams& params = *plan.outputs[0].sample;
  params.repetition_penalty = 1.5f;
  params.frequency_penalty = 0.5f;
  params.seen_token_ids = {7, 30};
  params.generated_token_ids = {30};
  params.generated_counts = {2};

  REQUIRE(TakeChosenTokens(std::vector<uint32_t>{30, 31}, plan).ok());

  CHECK_EQ(plan.token_ids, std::vector<int32_t>{10, 31, 30});
  CHECK_EQ(params.seen_token_ids, std::vector<uint32_t>{7, 30});
  CHECK_EQ(params.generated_token_ids, std::vector<uint32_t>{30});
  CHECK_EQ(params.generated_counts, std::vector<uint32_t>{3});
}

TEST_CASE("A chosen token that is new is counted by the penalties in use alone") {
  StepPlan plan = ValidPlan();
  plan.previous_outputs = {-1, -1, 0};
  plan.outputs[0].sample->presence_penalty = 0.5f;

  REQUIRE(TakeChosenTokens(std::vector<uint32_t>{9}, plan).ok());

  const SampleParams& params = *plan.outputs[0].sample;
  CHECK(params.seen_token_ids.empty());
  CHECK_EQ(params.generated_token_ids, std::vector<uint32_t>{9});
  CHECK_EQ(params.generated_counts, std::vector<uint32_t>{1});
}

TEST_CASE("An output that the step before did not have is refused") {
  const auto message = [](std::vector<int32_t> previous, const std::vector<uint32_t>& chosen) {
    StepPlan plan = ValidPlan();
    plan.previous_outputs = std::move(previous);
    return TakeChosenTokens(chosen, plan).message();
  };
  CHECK_NE(message({-1, -1, 1}, {4}).find("token 2 is that of output 1"), std::string::npos);
  CHECK_NE(message({0, -1, -1}, {}).find("brought none"), std::string::npos);
  CHECK_NE(message({0, -1}, {4}).find("previousOutputs"), std::string::npos);
}

TEST_CASE("A plan within its limits is accepted") {
  CHECK(CheckStepPlan(ValidPlan(), kLimits).ok());
}

TEST_CASE("A plan whose lengths disagree is refused by the array's name") {
  CheckRefusals({
      {"0 tokens", [](StepPlan& p) { p.token_ids.clear(); }},
      {"9 tokens, expected 1..8", [](StepPlan& p) { p.token_ids.resize(9); }},
      {"positions has 8 entries, expected 9", [](StepPlan& p) { p.positions.pop_back(); }},
      {"slotMapping has 4", [](StepPlan& p) { p.slots.push_back(0); }},
      {"queryStarts has 2", [](StepPlan& p) { p.query_starts.pop_back(); }},
      {"queryStarts has 3", [](StepPlan& p) { p.context_lens.clear(); }},
      {"blockTables has 3", [](StepPlan& p) { p.block_tables.pop_back(); }},
      {"outputs has 0 entries, expected 1", [](StepPlan& p) { p.outputs.clear(); }},
      {"maxBlocksPerSequence is -1", [](StepPlan& p) { p.max_blocks_per_sequence = -1; }},
      {"maxBlocksPerSequence is 4611686018427387904",
       [](StepPlan& p) { p.max_blocks_per_sequence = int64_t{1} << 62; }},
  });
}

TEST_CASE("Sequences that are not parts of the step are refused") {
  CheckRefusals({
      {"queryStarts must go from 0", [](StepPlan& p) { p.query_starts[0] = 1; }},
      {"queryStarts must go from 0", [](StepPlan& p) { p.query_starts[2] = 2; }},
      {"sequence 0: tokens 0..3", [](StepPlan& p) { p.query_starts[1] = 4; }},
      {"sequence 0: tokens 0..-1", [](StepPlan& p) { p.query_starts[1] = 0; }},
      {"context of 1 tokens is shorter", [](StepPlan& p) { p.context_lens[0] = 1; }},
      {"needs 3 blocks", [](StepPlan& p) { p.context_lens[0] = 9; }},
  });
}

TEST_CASE("Blocks, slots and positions outside the cache are refused") {
  CheckRefusals({
      {"block 6 does not exist", [](StepPlan& p) { p.block_tables[0] = 6; }},
      {"block -1 does not exist", [](StepPlan& p) { p.block_tables[2] = -1; }},
      {"token 1 has slot 6, its block table says 5", [](StepPlan& p) { p.slots[1] = 6; }},
      {"positions[3] is 100", [](StepPlan& p) { p.positions[3] = 100; }},
      {"positions[8] is -1", [](StepPlan& p) { p.positions[8] = -1; }},
  });
}

TEST_CASE("Token ids outside the vocabulary are refused, except below media rows") {
  CheckRefusals({{"tokenIds[1] is not in the vocabulary", [](StepPlan& p) { p.token_ids[1] = 50; }},
                 {"tokenIds[0] is not in", [](StepPlan& p) { p.token_ids[0] = -1; }}});
  StepPlan plan = ValidPlan();
  plan.token_ids[1] = -1;
  plan.media_rows = {{.first_token = 1, .num_rows = 1, .bytes = 16}};

  CHECK(CheckStepPlan(plan, kLimits).ok());
}

TEST_CASE("Media rows outside the step or of another size are refused") {
  CheckRefusals({
      {"media rows 2..3",
       [](StepPlan& p) { p.media_rows = {{2, 2, Dtype::kFloat32, nullptr, 32}}; }},
      {"media rows -1..0",
       [](StepPlan& p) { p.media_rows = {{-1, 2, Dtype::kFloat32, nullptr, 32}}; }},
      {"media rows",
       [](StepPlan& p) {
         p.media_rows = {{0, std::numeric_limits<int64_t>::max(), Dtype::kFloat32, nullptr, 0}};
       }},
      {"media rows of 15 bytes, expected 16",
       [](StepPlan& p) { p.media_rows = {{0, 1, Dtype::kFloat32, nullptr, 15}}; }},
      {"media rows of 16 bytes, expected 8",
       [](StepPlan& p) { p.media_rows = {{0, 1, Dtype::kBfloat16, nullptr, 16}}; }},
      {"media rows of 32 bytes at byte 36 are no float32 rows of the row pool of 64",
       [](StepPlan& p) { p.media_rows = {{.num_rows = 2, .pool_offset = 36}}; }},
      {"at byte 80 are no float32 rows of the row pool",
       [](StepPlan& p) { p.media_rows = {{.num_rows = 0, .pool_offset = 80}}; }},
      {"at byte 2 are no float32 rows of the row pool",
       [](StepPlan& p) { p.media_rows = {{.num_rows = 1, .pool_offset = 2}}; }},
      {"media rows of 8 bytes at byte 0 are no float32 rows",
       [](StepPlan& p) {
         p.media_rows = {{.num_rows = 1, .dtype = Dtype::kBfloat16, .pool_offset = 0}};
       }},
  });
}

TEST_CASE("Outputs that refer to nothing are refused") {
  CheckRefusals({
      {"output of token 3", [](StepPlan& p) { p.output_tokens[0] = 3; }},
      {"output of token -1", [](StepPlan& p) { p.output_tokens[0] = -1; }},
      {"numLogprobs is 21", [](StepPlan& p) { p.outputs[0].num_logprobs = 21; }},
      {"numLogprobs is -2", [](StepPlan& p) { p.outputs[0].num_logprobs = -2; }},
      {"targetToken 50", [](StepPlan& p) { p.outputs[0] = {.target_token = 50}; }},
  });
}

TEST_CASE("Pooled rows outside the step, and a sum of another width, are refused") {
  CheckRefusals(
      {{"pooled rows -1..1", [](StepPlan& plan) { plan.pooled_rows = {{-1, 3, {}}}; }},
       {"pooled rows 2..3", [](StepPlan& plan) { plan.pooled_rows = {{2, 2, {}}}; }},
       {"pooled rows 0..-1", [](StepPlan& plan) { plan.pooled_rows = {{0, 0, {}}}; }},
       {"sum of pooled rows", [](StepPlan& plan) { plan.pooled_rows = {{0, 1, {1.0, 2.0}}}; }}});
}

TEST_CASE("A plan is accepted whatever its sampling parameters are: they are the output's own") {
  StepPlan plan = ValidPlan();
  plan.outputs[0].sample->temperature = -1.0f;

  CHECK(CheckStepPlan(plan, kLimits).ok());
}

}  // namespace
}  // namespace autoglm
