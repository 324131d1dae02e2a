#ifndef AUTOGLM_MODEL_STEP_PLAN_H_
#define AUTOGLM_MODEL_STEP_PLAN_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "base/dtype.h"
#include "base/status.h"

namespace autoglm {

// How to choose a token; see SampleParams in native/step-plan.ts, which these fields mirror.
struct SampleParams {
  float temperature = 0.0f;  // 0: greedy
  uint32_t top_k = 0;        // 0: all
  float top_p = 1.0f;
  float min_p = 0.0f;
  float repetition_penalty = 1.0f;
  float presence_penalty = 0.0f;
  float frequency_penalty = 0.0f;
  uint64_t seed = 0;
  uint32_t stream = 0;
  uint32_t position = 0;
  uint32_t vocab_limit = 0;
  std::vector<uint32_t> seen_token_ids;
  std::vector<uint32_t> generated_token_ids;
  std::vector<uint32_t> generated_counts;  // as many as generated_token_ids
  std::vector<uint32_t> bias_token_ids;
  std::vector<float> bias_values;  // as many as bias_token_ids
  std::optional<std::vector<uint32_t>> allowed_token_ids;
  std::vector<uint32_t> forbidden_token_ids;
};

struct StepOutput {
  int32_t token = 0;
  std::optional<SampleParams> sample = std::nullopt;  // none: score target_token
  uint32_t target_token = 0;
  int32_t num_logprobs = -1;  // -1: none asked for
};

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
  std::vector<StepOutput> outputs;

  int64_t num_tokens() const { return static_cast<int64_t>(token_ids.size()); }
  int64_t num_sequences() const { return static_cast<int64_t>(context_lens.size()); }
};

inline constexpr int32_t kMaxLogprobs = 20;

struct TokenLogprob {
  uint32_t token_id;
  float logprob;
};

struct OutputResult {
  // Why this output has no token, if so: parameters out of range or that leave nothing to choose
  // (kInvalidRequest), logits that are not finite (kEngineFailed). The other outputs stand.
  Status status;
  uint32_t token_id = 0;
  float logprob = 0.0f;           // NaN where not asked for
  uint32_t rank = 0;              // 0 where not asked for
  std::vector<TokenLogprob> top;  // best first
};

struct StepResult {
  std::vector<OutputResult> outputs;
  int64_t forward_us = 0;
};

// What a plan may refer to.
struct StepLimits {
  int64_t max_num_tokens;
  int64_t max_positions;
  int64_t vocab_size;
  int64_t hidden_size;
  int64_t num_blocks;
  int64_t block_size;
};

// Refuses a plan whose lengths disagree or that reaches outside the limits, so that no plan can
// make a kernel touch foreign memory. How tokens are chosen is not looked at: see below.
Status CheckStepPlan(const StepPlan& plan, const StepLimits& limits);

// Refuses numbers out of range and ids outside the vocabulary. A request brings them, so a refusal
// is the output's, not the plan's.
Status CheckSampleParams(const SampleParams& params, const StepLimits& limits);

}  // namespace autoglm

#endif  // AUTOGLM_MODEL_STEP_PLAN_H_
