#ifndef AUTOGLM_MODEL_STEP_PLAN_H_
#define AUTOGLM_MODEL_STEP_PLAN_H_

#include <cstdint>
#include <vector>

#include "base/dtype.h"
#include "base/status.h"
#include "kernels/sampling/token_choice.h"

namespace autoglm {

struct MediaRows {
  int64_t first_token = 0;
  int64_t num_rows = 0;
  Dtype dtype = Dtype::kFloat32;
  const void* rows = nullptr;  // [num_rows, hidden_size] of dtype
  size_t bytes = 0;
};

// One engine step; see StepPlan in native/step-plan.ts.
struct StepPlan {
  std::vector<int32_t> token_ids;     // [num_tokens]
  std::vector<int32_t> positions;     // [3, num_tokens]
  std::vector<int32_t> slots;         // [num_tokens]
  std::vector<int32_t> query_starts;  // [num_sequences + 1]
  std::vector<int32_t> context_lens;  // [num_sequences]
  std::vector<int32_t> block_tables;  // [num_sequences, max_blocks_per_sequence]
  int64_t max_blocks_per_sequence = 0;
  std::vector<MediaRows> media_rows;
  std::vector<int32_t> output_tokens;  // [num_outputs]: the token whose logits each output reads
  std::vector<TokenChoice> outputs;    // [num_outputs]

  int64_t num_tokens() const { return static_cast<int64_t>(token_ids.size()); }
  int64_t num_sequences() const { return static_cast<int64_t>(context_lens.size()); }
};

inline constexpr int32_t kMaxLogprobs = 20;

struct StepResult {
  std::vector<ChosenToken> outputs;
  int64_t forward_us = 0;
};

// Limits of the numbers in a plan.
struct StepLimits {
  int64_t max_num_tokens;
  int64_t max_positions;
  int64_t vocab_size;
  int64_t hidden_size;
  int64_t num_blocks;
  int64_t block_size;
};

// Refuses a plan whose lengths disagree or that reaches outside the limits, so that no plan can
// make a kernel touch foreign memory. It does not check sampling parameters: CheckSampleParams
// does, and refuses one output alone.
Status CheckStepPlan(const StepPlan& plan, const StepLimits& limits);

}  // namespace autoglm

#endif  // AUTOGLM_MODEL_STEP_PLAN_H_
