#ifndef AUTOGLM_MODEL_STEP_PLAN_H_
#define AUTOGLM_MODEL_STEP_PLAN_H_

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/dtype.h"
#include "base/status.h"
#include "kernels/sampling/token_choice.h"

namespace autoglm {

struct MediaRows {
  int64_t first_token = 0;
  int64_t num_rows = 0;
  Dtype dtype = Dtype::kFloat32;
  const void* rows = nullptr;  // host [num_rows, hidden_size] of dtype
  size_t bytes = 0;
  // Instead of `rows`: byte of the row pool of every rank at which they begin, float32.
  std::optional<size_t> pool_offset = {};
};

// Consecutive rows of the last hidden state, after the final norm, that are summed up.
struct PooledRows {
  int64_t first_token = 0;
  int64_t num_rows = 0;
  std::vector<double> sum;  // [hidden_size]: of the rows of steps before; empty: zeros
};

// One engine step; see StepPlan in native/step-plan.ts.
struct StepPlan {
  std::vector<int32_t> token_ids;     // [num_tokens]
  // [num_tokens] or empty: the output of the step before that chose the token; -1: token_ids has it.
  std::vector<int32_t> previous_outputs;
  std::vector<int32_t> positions;     // [3, num_tokens]
  std::vector<int32_t> slots;         // [num_tokens]
  std::vector<int32_t> query_starts;  // [num_sequences + 1]
  std::vector<int32_t> context_lens;  // [num_sequences]
  std::vector<int32_t> block_tables;  // [num_sequences, max_blocks_per_sequence]
  int64_t max_blocks_per_sequence = 0;
  std::vector<MediaRows> media_rows;
  std::vector<int32_t> output_tokens;  // [num_outputs]: the token whose logits each output reads
  std::vector<TokenChoice> outputs;    // [num_outputs]
  std::vector<PooledRows> pooled_rows;

  int64_t num_tokens() const { return static_cast<int64_t>(token_ids.size()); }
  int64_t num_sequences() const { return static_cast<int64_t>(context_lens.size()); }
};

inline constexpr int32_t kMaxLogprobs = 20;

struct StepResult {
  std::vector<ChosenToken> outputs;
  std::vector<std::vector<double>> pooled_sums;  // [num_pooled][hidden_size]
  int64_t forward_us = 0;
};

// Puts the tokens that the step before chose where the plan asks for them: into token_ids, and into
// what penalties count of the outputs at those tokens. Refuses an output that this step did not have.
// `chosen`: the tokens of its outputs; empty if it failed.
Status TakeChosenTokens(std::span<const uint32_t> chosen, StepPlan& plan);

// Limits of the numbers in a plan.
struct StepLimits {
  int64_t max_num_tokens;
  int64_t max_positions;
  int64_t vocab_size;
  int64_t hidden_size;
  int64_t num_blocks;
  int64_t block_size;
  size_t row_pool_bytes = 0;  // of each rank
};

// Refuses a plan whose lengths disagree or that reaches outside the limits, so that no plan can
// make a kernel touch foreign memory. It does not check sampling parameters: CheckSampleParams
// does, and refuses one output alone.
Status CheckStepPlan(const StepPlan& plan, const StepLimits& limits);

// What bounds the steps of a decoder.
struct LargestStep {
  int64_t num_tokens;
  int64_t num_outputs;    // rows of logits that exist at once
  int64_t num_positions;  // of the table of angles
  int64_t longest;        // tokens of a sequence, for which its row of the block table has room
  int64_t block_size;
  int64_t vocab_size;
};

// Plans a step that needs as much memory as any: as many prompts as outputs, which share the tokens,
// each in blocks of its own from block 0 on, with every kind of parameter that a choice may have.
StepPlan LargestPlan(const LargestStep& step);

}  // namespace autoglm

#endif  // AUTOGLM_MODEL_STEP_PLAN_H_
